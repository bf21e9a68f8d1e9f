"""Let apply reach a load's snapshot before loaded rows join a history.

Changes before the snapshot that are not applied yet are in the loaded rows, and are skipped afterwards.
For a history they are worth some patience: applied, they have versions at their own times.
"""

from __future__ import annotations

import time
from contextlib import suppress

from trempy_provider.errors import TrempyError
from trempy_provider.jobs.loading.context import LoadContext
from trempy_provider.jobs.uncaptured import note_nothing_uncaptured
from trempy_provider.postgres.checkpoints import is_caught_up, read_checkpoint
from trempy_provider.postgres.metadata_places import metadata_session
from trempy_provider.postgres.session import Session
from trempy_provider.replication.lsn import Lsn

_POLL_SECONDS = 0.1
_STANDSTILL_SECONDS = 10.0


def wait_for_apply(context: LoadContext, *, until: Lsn, target: Session) -> None:
    """Wait until everything before an LSN is applied; give up where that would be in vain."""
    task_name = context.task.task_name
    with metadata_session(context.target, target, "full_load") as metadata:
        if is_caught_up(target, metadata, task_name, lsn=until) or not _may_be_captured(context, until):
            return
        reached, deadline = None, 0.0
        while not is_caught_up(target, metadata, task_name, lsn=until):
            end_lsn = read_checkpoint(target, task_name).end_lsn
            if end_lsn != reached:
                reached, deadline = end_lsn, time.monotonic() + _STANDSTILL_SECONDS
            if time.monotonic() > deadline:
                return
            context.stop.wait(_POLL_SECONDS)
            context.stop.raise_if_set()


def _may_be_captured(context: LoadContext, until: Lsn) -> bool:
    """Tell whether everything before an LSN is captured, or a capture runs that will see to it."""
    with suppress(TrempyError):  # the load goes on without it; capture itself tells what is wrong
        captured = note_nothing_uncaptured(
            context.task, source=context.source, target=context.target, lsn=until
        )
        return captured is not False
    return False

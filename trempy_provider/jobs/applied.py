"""Wait until everything up to an LSN is applied, whether a capture runs or nothing is left to capture."""

from __future__ import annotations

import time
from contextlib import suppress

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import TrempyError
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.uncaptured import note_nothing_uncaptured
from trempy_provider.postgres.checkpoints import is_caught_up
from trempy_provider.postgres.metadata_places import metadata_session
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.replication.lsn import Lsn

_POLL_SECONDS = 0.05
_FIRST_ASK_SECONDS = 0.5


def wait_until_applied(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    session: Session,
    lsn: Lsn,
    patience_seconds: float,
    stop: StopSignal,
) -> bool:
    """Wait until everything committed before an LSN is applied; return whether it is.

    `session` is one with the target; further ones are opened only to ask whether anything is left to capture.
    """
    started_at = time.monotonic()
    ask_at = started_at + _FIRST_ASK_SECONDS
    with metadata_session(target, session, "applied") as metadata:
        while not is_caught_up(session, metadata, task.task_name, lsn=lsn):
            now = time.monotonic()
            if now > started_at + patience_seconds:
                return False
            if now > ask_at:
                with suppress(TrempyError):  # capture itself tells what is wrong
                    note_nothing_uncaptured(task, source=source, target=target, lsn=lsn)
                ask_at = now + 2 * (now - started_at)
            stop.wait(_POLL_SECONDS)
            stop.raise_if_set()
    return True

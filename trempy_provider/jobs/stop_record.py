"""Why a task needs a person, kept in its metadata for `status`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from trempy_provider.errors import ConfigurationError, RetryPolicy, TrempyError
from trempy_provider.postgres.metadata import clear_stop, read_task, record_stop
from trempy_provider.postgres.session import Endpoint

logger = logging.getLogger(__name__)


@contextmanager
def recording_stop(target: Endpoint, *, job: str) -> Iterator[None]:
    """Forget the job's earlier stop while the block runs, and record an error that needs a person."""
    with _best_effort(), target.connect(job) as session:
        row = read_task(session, target.task_name)
        if row is not None and (row.stop_reason or "").startswith(f"{job}: "):
            clear_stop(session, target.task_name)
    try:
        yield
    except ConfigurationError:
        raise
    except TrempyError as error:
        if error.policy is RetryPolicy.AFTER_FIX:
            with _best_effort(), target.connect(job) as session:
                record_stop(session, target.task_name, f"{job}: {error} {error.hint}")
        raise


@contextmanager
def _best_effort() -> Iterator[None]:
    """Let nothing of the record end the command: the job finds out by itself."""
    try:
        yield
    except TrempyError as error:
        logger.debug("the reason of a stop could not be recorded or looked up: %s", error)

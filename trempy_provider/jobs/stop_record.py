"""Why a task needs a person, kept in its metadata for `status` and for whoever comes later.

That the record itself fails ends nothing: the job has its own error, or finds out by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from trempy_provider.errors import ConfigurationError, MetadataError, RetryPolicy, TrempyError
from trempy_provider.postgres.metadata import clear_stop, read_task, record_stop
from trempy_provider.postgres.session import Endpoint

logger = logging.getLogger(__name__)


@contextmanager
def recording_stop(target: Endpoint, *, job: str) -> Iterator[None]:
    """Forget the job's earlier stop while the block runs, and record an error that needs a person.

    Metadata that is not the task's own has no place for it.
    """
    clear_stop_of(target, job=job)
    try:
        yield
    except (ConfigurationError, MetadataError):
        raise
    except TrempyError as error:
        if error.policy is RetryPolicy.AFTER_FIX:
            record_stop_of(target, job=job, reason=error.explanation)
        raise


def record_stop_of(target: Endpoint, *, job: str, reason: str) -> None:
    """Record the reason under the job's name."""
    try:
        with target.metadata.connect(job) as session:
            record_stop(session, target.task_name, f"{job}: {reason}")
    except TrempyError as error:
        logger.warning("The reason of the stop could not be recorded: %s", error)


def clear_stop_of(target: Endpoint, *, job: str) -> None:
    """Forget the reason if this job recorded it: a job that works says nothing about the others."""
    try:
        with target.metadata.connect(job) as session:
            row = read_task(session, target.task_name)
            if row is not None and (row.stop_reason or "").startswith(f"{job}: "):
                clear_stop(session, target.task_name)
    except TrempyError as error:
        logger.debug("The reason of an earlier stop could not be looked up: %s", error)

"""Keep in the metadata why a task needs a person, for `status` and for whoever comes later."""

from __future__ import annotations

import logging

from trempy_provider.errors import TrempyError
from trempy_provider.postgres.metadata import clear_stop, read_task, record_stop
from trempy_provider.postgres.session import Endpoint

log = logging.getLogger(__name__)


def record_stop_of(target: Endpoint, *, job: str, reason: str) -> None:
    """Record the reason under the job's name; that this fails too is only logged."""
    try:
        with target.connect(job) as session:
            record_stop(session, target.task_name, f"{job}: {reason}")
    except TrempyError as error:
        log.warning("The reason of the stop could not be recorded: %s", error)


def clear_stop_of(target: Endpoint, *, job: str) -> None:
    """Forget the reason if this job recorded it: a job that works says nothing about the others."""
    try:
        with target.connect(job) as session:
            row = read_task(session, target.task_name)
            if row is not None and (row.stop_reason or "").startswith(f"{job}: "):
                clear_stop(session, target.task_name)
    except TrempyError as error:
        log.warning("The reason of an earlier stop could not be looked up: %s", error)

"""Pause: let the leases of a task that run end in good order, and wait until they have.

A lease looks every few seconds whether it was asked to end since it began (`PauseWatch`); what it has read is
published, or applied, and the checkpoint says where the next one goes on.
It keeps no lease from beginning: in Airflow, the CDC DAG is paused for that.
A lease that is deferred has no session; that it waits no longer is noted, for the charts of idle time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import JobInProgressError, MetadataError
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.postgres.metadata import schema_required
from trempy_provider.postgres.metadata_places import metadata_session
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.statistics import end_wait, has_statistics

JOB = "pause"
JOBS = ("capture", "apply")
LOOK_SECONDS = 2.0
ASK_AGAIN_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.25


class PauseWatch:
    """Whether a lease was asked to end since this was made; asks the metadata every few seconds at most."""

    def __init__(self, metadata: Session, task_name: str) -> None:
        self._metadata = metadata
        self._parameters = {"task_name": task_name}
        self._count = self._read()
        self._looked_at = time.monotonic()

    def is_asked(self) -> bool:
        """Tell whether the lease has to end."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return False
        self._looked_at = now
        return self._read() != self._count

    def _read(self) -> int | None:
        with schema_required():
            count: int | None = self._metadata.fetch_value(static_sql("read_pause_count"), self._parameters)
            return count


@dataclass(frozen=True, slots=True)
class PauseReport:
    """Which jobs had sessions when asked; none of them has any more."""

    asked: tuple[str, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain values."""
        return {"asked": list(self.asked), "seconds": round(self.seconds, 3)}


def pause(
    task: ReplicationTask,
    *,
    target: Endpoint,
    stop: StopSignal,
    patience_seconds: float = PATIENCE_SECONDS,
) -> PauseReport:
    """Ask capture and apply to end; return when neither has a session with target or metadata database.

    Raise MetadataError before a setup, JobInProgressError when one goes on for longer than that.
    """
    started_at = time.monotonic()
    asked_at = float("-inf")
    asked: set[str] = set()
    with target.connect(JOB) as session, metadata_session(target, session, JOB) as metadata:
        while running := _running_jobs(target, session, metadata):
            stop.raise_if_set()
            asked.update(running)
            now = time.monotonic()
            if now - started_at > patience_seconds:
                still = " and ".join(running)
                raise JobInProgressError(
                    f"task {task.task_name}: {still} did not end within {patience_seconds:g} s"
                )
            if now - asked_at > ASK_AGAIN_SECONDS:
                _ask(metadata, task.task_name)
                asked_at = now
            stop.wait(_POLL_SECONDS)
        if has_statistics(session):
            end_wait(session, task.task_name)
    return PauseReport(tuple(job for job in JOBS if job in asked), time.monotonic() - started_at)


def _ask(metadata: Session, task_name: str) -> None:
    with schema_required():
        if not metadata.execute(static_sql("raise_pause_count"), {"task_name": task_name}):
            raise MetadataError(f"task {task_name} has not been set up")


def _running_jobs(target: Endpoint, session: Session, metadata: Session) -> list[str]:
    prefix = {"prefix": target.application_name("")}
    present = {
        name
        for place in (session, metadata)
        for (name,) in place.fetch_all(static_sql("task_sessions"), prefix)
    }
    return [job for job in JOBS if target.application_name(job) in present]

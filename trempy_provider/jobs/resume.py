"""Resume: tell where a paused or stopped task goes on, and forget why it had stopped.

In Airflow, the CDC DAG is let run for it; `trempy run` goes on by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import MetadataError
from trempy_provider.postgres.checkpoints import read_checkpoint
from trempy_provider.postgres.metadata import clear_stop, read_task
from trempy_provider.postgres.metadata_places import metadata_session
from trempy_provider.postgres.session import Endpoint

JOB = "resume"


@dataclass(frozen=True, slots=True)
class ResumeReport:
    """Where the task goes on, and why it had stopped."""

    checkpoint_lsn: str | None  # None: the task follows no changes
    stop_reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain values."""
        return {"checkpoint_lsn": self.checkpoint_lsn, "stop_reason": self.stop_reason}


def resume(task: ReplicationTask, *, target: Endpoint) -> ResumeReport:
    """Forget the stop; a cause that is still there stops the task again.

    Raise MetadataError before a setup.
    """
    with target.connect(JOB) as session, metadata_session(target, session, JOB) as metadata:
        row = read_task(metadata, task.task_name)
        if row is None:
            raise MetadataError(f"task {task.task_name} has not been set up")
        lsn = str(read_checkpoint(session, task.task_name).end_lsn) if task.captures_changes else None
        clear_stop(metadata, task.task_name)
    return ResumeReport(lsn, row.stop_reason)

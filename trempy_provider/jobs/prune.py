"""Prune: delete what the metadata tells of a past that the settings let go of.

Apply does it whenever it starts; the command is for tasks whose apply goes on for weeks.
"""

from __future__ import annotations

from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.history import PrunedHistory, prune_history
from trempy_provider.postgres.metadata import schema_required
from trempy_provider.postgres.session import Endpoint, Session

JOB = "prune"
SECONDS_PER_DAY = 86400
NOTHING = PrunedHistory(0, 0, 0)


def prune(task: ReplicationTask, *, target: Endpoint) -> PrunedHistory:
    """Delete row errors, settled dead letters and skipped transactions that are too old."""
    with target.connect(JOB) as session, schema_required():
        return prune_task(session, task)


def prune_task(session: Session, task: ReplicationTask) -> PrunedHistory:
    """Do it through a session of the target; errors that still count towards a limit stay."""
    handling = task.error_handling
    if handling.history_retention_days is None:
        return NOTHING
    retention_seconds = handling.history_retention_days * SECONDS_PER_DAY
    return prune_history(
        session,
        task.task_name,
        period_seconds=max(retention_seconds, handling.stop_after_errors_period_seconds),
    )

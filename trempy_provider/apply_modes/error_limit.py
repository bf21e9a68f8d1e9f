"""The limit of recorded row errors at which a task stops: `error_handling.stop_after_errors`.

Errors count from the later of two moments: the period before now, and the last stop for this reason.
They are counted after the transaction that recorded them, so the rows that could be written are.
"""

from __future__ import annotations

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ErrorLimitError
from trempy_provider.postgres.session import Session, static_sql


def raise_at_error_limit(session: Session, task: ReplicationTask) -> None:
    """Raise ErrorLimitError when the task has reached its limit, and let counting begin anew."""
    limit = task.error_handling.stop_after_errors
    if limit is None:
        return
    period_seconds = task.error_handling.stop_after_errors_period_seconds
    parameters = {"task_name": task.task_name, "period_seconds": period_seconds}
    row = session.fetch_one(static_sql("count_recent_errors"), parameters)
    if row is None or row[0] < limit:
        return
    count, since, commit_lsn = row
    session.execute(static_sql("restart_error_count"), {"task_name": task.task_name})
    raise ErrorLimitError(
        f"task {task.task_name}: {count} rows have failed since {since:%Y-%m-%d %H:%M:%S%z}, the last "
        f"at commit LSN {commit_lsn}; error_handling.stop_after_errors is {limit}"
    )

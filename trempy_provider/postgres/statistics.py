"""What tasks have done over time, in the metadata of their targets: rows a minute, an hour and a day.

Counts are those since the task was set up, so a sample that is missing loses nothing, and the rows of longer
periods need no adding up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from trempy_provider.postgres.metadata import applied_migrations
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.lsn import Lsn

MIGRATION = "0015_idle"
MINUTE, HOUR, DAY = 60, 3600, 86400
BATCHES_KEPT = 500


@dataclass(frozen=True, slots=True)
class TaskSample:
    """How far a task is; None where that is not known.

    `idle_seconds` is how long, at most, it waits now for something to do, and nobody looks; None when it does
    not wait.
    """

    lag_seconds: float | None
    lag_bytes: int | None
    queue_depth: int | None
    retained_bytes: int | None
    batch_count: int
    published_bytes: int
    idle_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StatisticsStep:
    """A step of time: the largest lag and depth in it, the counts at its end, and how long it waits then."""

    at: datetime
    lag_seconds: float | None
    lag_bytes: int | None
    queue_depth: int | None
    retained_bytes: int | None
    insert_count: int
    update_count: int
    delete_count: int
    error_count: int
    batch_count: int
    idle_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AppliedBatch:
    """A batch as apply has applied it."""

    applied_at: datetime
    end_lsn: Lsn
    transaction_count: int
    change_count: int
    seconds: float


def has_statistics(session: Session) -> bool:
    """Tell whether the database has the tables; an older version's metadata has not."""
    return MIGRATION in applied_migrations(session)


def record_sample(session: Session, task_name: str, sample: TaskSample, *, since_seconds: float) -> None:
    """Note a sample, and the counts of tables that have changed within so many seconds."""
    session.execute(
        static_sql("record_statistics"),
        {
            "task_name": task_name,
            "lag_seconds": sample.lag_seconds,
            "lag_bytes": sample.lag_bytes,
            "queue_depth": sample.queue_depth,
            "retained_bytes": sample.retained_bytes,
            "batch_count": sample.batch_count,
            "published_bytes": sample.published_bytes,
            "idle_seconds": sample.idle_seconds,
        },
    )
    parameters = {"task_name": task_name, "since_seconds": since_seconds}
    session.execute(static_sql("record_table_statistics"), parameters)


def end_wait(session: Session, task_name: str) -> None:
    """Note that a task whose last sample says that it waits does so no longer."""
    session.execute(static_sql("end_wait"), {"task_name": task_name})


def prune_statistics(session: Session, task_name: str, kept_seconds: Mapping[int, float]) -> None:
    """Forget what is older than it is kept, by the length of the period in seconds."""
    for period_seconds, seconds in kept_seconds.items():
        parameters = {"task_name": task_name, "period_seconds": period_seconds, "kept_seconds": seconds}
        session.execute(static_sql("prune_statistics"), parameters)
        session.execute(static_sql("prune_table_statistics"), parameters)


def read_statistics(
    session: Session,
    task_name: str,
    *,
    period_seconds: int,
    step_seconds: int,
    span_seconds: int,
    table: QualifiedName | None = None,
) -> list[StatisticsStep]:
    """Return the steps that have samples, of a task or of one of its tables, the oldest first.

    Before them comes what was known last before the span, if anything was.
    """
    parameters = {
        "task_name": task_name,
        "period_seconds": period_seconds,
        "step_seconds": step_seconds,
        "span_seconds": span_seconds,
    }
    query = "read_statistics"
    if table is not None:
        query = "read_table_statistics"
        parameters |= {"schema_name": table.schema_name, "table_name": table.table_name}
    before = session.fetch_all(static_sql(f"{query}_before"), parameters)
    return [StatisticsStep(*row) for row in (*before, *session.fetch_all(static_sql(query), parameters))]


def read_sparklines(
    session: Session, task_names: Collection[str]
) -> dict[str, list[tuple[datetime, float | None, int]]]:
    """Return the minutes of the last hour by task: when, the lag in seconds, and the changes until then."""
    lines: dict[str, list[tuple[datetime, float | None, int]]] = {}
    rows = session.fetch_all(static_sql("read_sparklines"), {"task_names": list(task_names)})
    for name, at, lag_seconds, change_count in rows:
        lines.setdefault(name, []).append((at, lag_seconds, change_count))
    return lines


def record_batches(session: Session, task_name: str, batches: Sequence[AppliedBatch]) -> None:
    """Note batches, and forget those before the last few hundred."""
    session.execute(
        static_sql("insert_applied_batches"),
        {
            "task_name": task_name,
            "applied_at": [batch.applied_at for batch in batches],
            "end_lsns": [str(batch.end_lsn) for batch in batches],
            "transactions": [batch.transaction_count for batch in batches],
            "changes": [batch.change_count for batch in batches],
            "seconds": [batch.seconds for batch in batches],
        },
    )
    session.execute(static_sql("prune_applied_batches"), {"task_name": task_name, "kept": BATCHES_KEPT})


def read_batches(session: Session, task_name: str, *, limit: int) -> list[AppliedBatch]:
    """Return the batches applied last, the newest first."""
    rows = session.fetch_all(static_sql("list_applied_batches"), {"task_name": task_name, "limit": limit})
    return [
        AppliedBatch(at, Lsn.parse(end_lsn), transactions, changes, seconds)
        for at, changes, transactions, seconds, end_lsn in rows
    ]

"""Overview: how far many tasks are, each server asked once for all of them.

A server is read by itself, whatever the number of its tasks; `task_overview` puts together what the servers
of one task have told.
What a server has not told is None, and so is what follows from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trempy_provider.broker.base import QueueDepths
from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.lag import Clocks, judge_state, measure_lag
from trempy_provider.jobs.task_status import (
    JOBS,
    CaptureStatus,
    CheckpointStatus,
    Lag,
    SlotFacts,
    TaskState,
)
from trempy_provider.postgres.metadata import applied_migrations, explaining_version, version_problem
from trempy_provider.postgres.session import Session, application_name_of, static_sql
from trempy_provider.replication.lsn import Lsn


@dataclass(frozen=True, slots=True)
class SourceReading:
    """What a source tells: its position and clock, and the slots by name."""

    now: datetime
    source_lsn: Lsn
    slots: Mapping[str, SlotFacts]
    wal_limits: Mapping[str, int]  # bytes a slot may retain, by slot; none without a limit


@dataclass(frozen=True, slots=True)
class TableCounts:
    """How many tables a task has, by state, and how many rows of them apply could not write."""

    total: int = 0
    loaded: int = 0
    loading: int = 0
    failed: int = 0
    error_count: int = 0


@dataclass(frozen=True, slots=True)
class TaskMetadata:
    """What one database's metadata tells of a task."""

    set_up_at: datetime | None = None
    stop_reason: str | None = None
    is_set_up: bool = False
    capture: CaptureStatus | None = None
    published_commit_at: datetime | None = None
    checkpoint: CheckpointStatus | None = None


@dataclass(frozen=True, slots=True)
class DatabaseReading:
    """What a database with metadata tells of tasks, by their names."""

    now: datetime
    tasks: Mapping[str, TaskMetadata] = field(default_factory=dict)
    tables: Mapping[str, TableCounts] = field(default_factory=dict)
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    application_names: Collection[str] = ()
    problem: str | None = None  # an older version's metadata does not tell everything


@dataclass(frozen=True, slots=True)
class Stage:
    """How far one stage is behind the one before it; None where that is not known."""

    seconds: float | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class TaskOverview:
    """How far a task is."""

    state: TaskState
    stop_reason: str | None = None
    set_up_at: datetime | None = None
    running_jobs: tuple[str, ...] = ()
    lag: Lag | None = None
    stages: Mapping[str, Stage] = field(default_factory=dict)
    slot: SlotFacts | None = None
    wal_limit_bytes: int | None = None
    queue: QueueDepths | None = None
    capture: CaptureStatus | None = None
    checkpoint: CheckpointStatus | None = None
    tables: TableCounts = TableCounts()
    dead_letter_count: int = 0
    read_at: datetime | None = None  # by the clock of the target


def read_source(session: Session, slot_names: Collection[str]) -> SourceReading:
    """Read a source for all tasks that have it."""
    row = session.fetch_one(static_sql("source_position"))
    assert row is not None
    limit = session.fetch_value(static_sql("slot_wal_limit"))
    rows = session.fetch_all(static_sql("overview_slots"), {"slot_names": list(slot_names)})
    return SourceReading(
        now=row[1],
        source_lsn=Lsn.parse(row[0]),
        slots={name: _slot(name, *facts) for name, *facts in rows},
        wal_limits={
            name: retained + safe if safe is not None and safe > 0 else limit
            for name, _, _, retained, safe in rows
            if limit is not None and retained is not None
        },
    )


def read_database(session: Session, task_names: Collection[str]) -> DatabaseReading:
    """Read a target or metadata database for all tasks that have something in it.

    Raise MetadataError when it is of a version too old to tell how far they are.
    """
    now = session.fetch_value("select clock_timestamp()")
    present = applied_migrations(session)
    if not present:
        return DatabaseReading(now)
    names = {"task_names": list(task_names)}
    with explaining_version(session):
        return DatabaseReading(
            now=now,
            tasks={row[0]: _task(row) for row in session.fetch_all(static_sql("overview_tasks"), names)},
            tables={
                name: TableCounts(*counts)
                for name, *counts in session.fetch_all(static_sql("overview_tables"), names)
            },
            dead_letters=dict(_pairs(session.fetch_all(static_sql("overview_dead_letters"), names))),
            application_names={name for (name,) in session.fetch_all(static_sql("overview_sessions"))},
            problem=version_problem(present),
        )


def task_overview(
    task: ReplicationTask,
    *,
    source: SourceReading | None,
    metadata: DatabaseReading | None,
    target: DatabaseReading | None,
    queue: QueueDepths | None,
) -> TaskOverview:
    """Put together what a task's servers have told."""
    name = task.task_name
    slot = source.slots.get(task.slot_name) if source is not None else None
    running = _running_jobs(name, [r for r in (metadata, target) if r is not None])
    known = metadata.tasks.get(name) if metadata is not None else None
    applied = target.tasks.get(name) if target is not None else None
    capture = known.capture if known is not None else None
    checkpoint = applied.checkpoint if applied is not None else None
    is_set_up = known is not None and (known.is_set_up or not task.captures_changes)
    set_up_at = known.set_up_at if known is not None else None
    lag = measure_lag(
        capture,
        checkpoint,
        clocks=_clocks(source, metadata, target),
        source_lsn=None if source is None else source.source_lsn,
        is_capturing="capture" in running or "watch" in running,
        set_up_at=set_up_at,
    )
    stop_reason = known.stop_reason if known is not None else None
    state = TaskState.UNKNOWN if metadata is None else TaskState.NOT_SET_UP
    if is_set_up:
        state = judge_state(
            stop_reason=stop_reason, running_jobs=running, slot_is_active=slot is not None and slot.active
        )
    published_at = known.published_commit_at if known is not None else None
    return TaskOverview(
        state=state,
        stop_reason=stop_reason if state is TaskState.STOPPED else None,
        set_up_at=set_up_at,
        running_jobs=running,
        lag=lag,
        stages=_stages(lag, queue, published_at=published_at, now=None if source is None else source.now),
        slot=slot,
        wal_limit_bytes=None if source is None else source.wal_limits.get(task.slot_name),
        queue=queue,
        capture=capture,
        checkpoint=checkpoint,
        tables=target.tables.get(name, TableCounts()) if target is not None else TableCounts(),
        dead_letter_count=target.dead_letters.get(name, 0) if target is not None else 0,
        read_at=None if target is None else target.now,
    )


def _stages(
    lag: Lag | None, queue: QueueDepths | None, *, published_at: datetime | None, now: datetime | None
) -> dict[str, Stage]:
    """Split the lag: what capture has not seen, what waits in the queue, what apply has in hand.

    The broker does not tell how much WAL its messages are from, so it has the share of what is published
    and not applied that its waiting messages are of all messages, with one in hand of apply.
    """
    if lag is None:
        return {}
    capture_seconds = 0.0 if lag.capture_bytes == 0 else None
    if lag.capture_bytes and lag.seconds is not None and published_at is not None and now is not None:
        capture_seconds = min((now - published_at).total_seconds(), lag.seconds)
    rest = None
    if lag.seconds is not None and capture_seconds is not None:
        rest = max(lag.seconds - capture_seconds, 0.0) if lag.apply_bytes else 0.0
    waiting = 0.0 if queue is None else queue.ready / (queue.ready + 1)
    broker_bytes = int(lag.apply_bytes * waiting)
    return {
        "capture": Stage(capture_seconds if lag.apply_bytes else lag.seconds, lag.capture_bytes),
        "broker": Stage(None if rest is None else rest * waiting, broker_bytes),
        "apply": Stage(None if rest is None else rest * (1 - waiting), lag.apply_bytes - broker_bytes),
    }


def _running_jobs(task_name: str, readings: Iterable[DatabaseReading]) -> tuple[str, ...]:
    present = {name for reading in readings for name in reading.application_names}
    return tuple(job for job in JOBS if application_name_of(task_name, job) in present)


def _clocks(
    source: SourceReading | None, metadata: DatabaseReading | None, target: DatabaseReading | None
) -> Clocks | None:
    now = source or target
    return None if now is None or metadata is None else Clocks(now.now, metadata.now)


def _slot(name: str, active: bool, wal_status: str | None, retained: int | None, _: int | None) -> SlotFacts:
    return SlotFacts(name, exists=True, active=active, wal_status=wal_status, retained_bytes=retained)


def _task(row: tuple[Any, ...]) -> TaskMetadata:
    _, set_up_at, stop_reason, _, has_consistent_point, *progress = row
    published_lsn, idle, seen_lsn, seen_at, published_commit_at, published_bytes, batch_count = progress[:7]
    end_lsn, committed_at, change_count = progress[7:]
    capture = checkpoint = None
    if published_lsn is not None:
        published = Lsn.parse(published_lsn)
        seen = max(Lsn.parse(seen_lsn), published)
        capture = CaptureStatus(published, seen, seen_at, idle, batch_count, 0, published_bytes)
    if end_lsn is not None:
        checkpoint = CheckpointStatus(Lsn.parse(end_lsn), None, committed_at, None, 0, change_count)
    return TaskMetadata(
        set_up_at, stop_reason, has_consistent_point, capture, published_commit_at, checkpoint
    )


def _pairs(rows: Iterable[tuple[Any, ...]]) -> list[tuple[str, int]]:
    return [(name, count) for name, count in rows]

"""What `status` tells: values, and their form as JSON.

A part that could not be asked is None, and `unreachable` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from trempy_provider.errors import TargetUnavailableError
from trempy_provider.postgres.dead_letters import DeadLetterState
from trempy_provider.postgres.table_states import LoadState, TableState
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.lsn import Lsn

JOBS = ("full_load", "capture", "apply", "watch")  # those whose sessions tell that a task runs


class TaskState(str, Enum):
    """A task's state in a word."""

    NOT_SET_UP = "not set up"
    LOADING = "loading"
    RUNNING = "running"
    STOPPED = "stopped"
    IDLE = "idle"
    UNKNOWN = "unknown"  # the metadata cannot be read

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class CheckpointStatus:
    """What is applied: everything committed on the source before `end_lsn`."""

    end_lsn: Lsn
    commit_lsn: Lsn | None
    committed_at: datetime | None
    applied_at: datetime | None
    transaction_count: int
    change_count: int


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """What is captured: everything committed before `seen_lsn` is in batches up to `published_lsn`."""

    published_lsn: Lsn
    seen_lsn: Lsn
    seen_at: datetime
    idle: bool
    batch_count: int
    change_count: int
    published_bytes: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the target is behind, in bytes of WAL by stage and in seconds by commit time.

    `capture_bytes` lie between the source's WAL now and what capture has seen, changes of other tables
    included; `apply_bytes` between what is published and what is applied.
    """

    capture_bytes: int | None
    apply_bytes: int
    total_bytes: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """The task's replication slot on the source."""

    name: str
    exists: bool
    active: bool = False
    wal_status: str | None = None
    confirmed_lsn: Lsn | None = None
    retained_bytes: int | None = None
    invalidated: bool = False


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """Messages that wait in the broker; `unacknowledged` is None where the broker does not tell."""

    ready: int
    unacknowledged: int | None
    dead_letters: int


@dataclass(frozen=True, slots=True)
class DeadLetterFacts:
    """A message that apply has given up and about which somebody has to decide."""

    message_id: str
    state: DeadLetterState
    transaction_id: int | None
    first_lsn: Lsn | None
    last_lsn: Lsn | None
    reason: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class SkippedFacts:
    """A transaction that was left out as asked; without an id, none with that LSN has come."""

    commit_lsn: Lsn
    transaction_id: int | None
    change_count: int
    skipped_at: datetime


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table of the task."""

    source: QualifiedName
    target: QualifiedName
    state: LoadState
    loaded_rows: int
    loaded_bytes: int
    estimated_rows: int | None
    percent: float | None
    snapshot_lsn: Lsn | None
    insert_count: int
    update_count: int
    delete_count: int
    truncate_count: int
    error_count: int
    last_change_at: datetime | None
    load_error: str | None
    apply_error: str | None  # the last one

    @classmethod
    def of(cls, state: TableState, *, apply_error: str | None) -> TableStatus:
        """Return what status tells of a table's row in the metadata."""
        same = {name: getattr(state, name) for name in _names(cls) if hasattr(state, name)}
        return cls(**same, percent=_percent(state), load_error=state.error, apply_error=apply_error)


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """How far a task is."""

    task_name: str
    replication_type: str
    mode: str
    state: TaskState
    stop_reason: str | None = None
    stopped_at: datetime | None = None
    set_up_at: datetime | None = None
    running_jobs: tuple[str, ...] = ()
    source_lsn: Lsn | None = None
    checkpoint: CheckpointStatus | None = None
    capture: CaptureStatus | None = None
    lag: Lag | None = None
    slot: SlotFacts | None = None
    queue: QueueFacts | None = None
    dead_letters: tuple[DeadLetterFacts, ...] = ()
    skip_lsn: Lsn | None = None  # of the transaction that is to be left out
    skipped: tuple[SkippedFacts, ...] = ()  # the last ones
    tables: tuple[TableStatus, ...] = ()
    unreachable: Mapping[str, str] = field(default_factory=dict)  # by part: source, target, metadata, broker

    @property
    def error(self) -> TargetUnavailableError | None:
        """Return what a command ends with when target or metadata cannot tell how far the task is."""
        reason = self.unreachable.get("target") or self.unreachable.get("metadata")
        if reason is None:
            return None
        return TargetUnavailableError(f"the state of task {self.task_name} is not known: {reason}")

    def as_dict(self) -> dict[str, Any]:
        """Return the status as plain values: LSNs and names as text, times in ISO format, UTC."""
        return {name: _plain(getattr(self, name)) for name in _names(type(self))}


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(kind))


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type | QualifiedName):
        return {name: _plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Lsn | QualifiedName | Enum):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return dict(value) if isinstance(value, Mapping) else value


def _percent(state: TableState) -> float | None:
    """Return how much of the load is done; less than 100 until the table is ready."""
    if state.state is LoadState.READY:
        return 100.0
    if state.state is not LoadState.LOADING:
        return 0.0
    if not state.estimated_rows or state.estimated_rows < 0:
        return None
    return round(min(100 * state.loaded_rows / state.estimated_rows, 99.0), 1)

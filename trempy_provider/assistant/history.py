"""How this installation's tasks have done: their settings, and what the metadata tables have measured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import TrempyError
from trempy_provider.postgres.metadata import applied_migrations, available_migrations
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.tables import QualifiedName


@dataclass(frozen=True, slots=True)
class TableLoad:
    """The last load of one table."""

    name: QualifiedName
    rows: int
    bytes: int
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error_count: int = 0


@dataclass(frozen=True, slots=True)
class TaskHistory:
    """One task: its settings, when they are known, and what was measured, when it was set up."""

    task_name: str
    settings: ReplicationTask | None = None
    captures_changes: bool = False
    has_stopped: bool = False
    lag_seconds: float | None = None  # of the last batch applied, by commit time
    batch_count: int = 0
    change_count: int = 0
    published_bytes: int = 0
    error_count: int = 0
    loads: tuple[TableLoad, ...] = ()

    @property
    def tables(self) -> frozenset[QualifiedName]:
        """Return the source tables that are known to belong to the task."""
        named = [] if self.settings is None else self.settings.tables
        explicit = (QualifiedName(t.schema_name, t.table_name) for t in named if not t.is_pattern)
        return frozenset((*explicit, *(load.name for load in self.loads)))

    @property
    def load_bytes_per_second(self) -> float | None:
        """Return how fast its last full load was, from its first table's start to its last one's end."""
        timed = [(load.started_at, load.finished_at, load.bytes) for load in self.loads]
        done = [(begun, ended, size) for begun, ended, size in timed if begun and ended and ended > begun]
        if not done:
            return None
        seconds = (max(e for _, e, _ in done) - min(b for b, _, _ in done)).total_seconds()
        return sum(size for _, _, size in done) / seconds if seconds > 0 else None

    @property
    def changes_per_batch(self) -> float | None:
        """Return the mean size of its batches."""
        return self.change_count / self.batch_count if self.batch_count else None

    @property
    def error_fraction(self) -> float:
        """Return how many of its changes failed."""
        return self.error_count / self.change_count if self.change_count else 0.0

    def covers(self, name: QualifiedName) -> bool:
        """Tell whether the task replicates a table."""
        is_selected = self.settings is not None and self.settings.selection_of(
            name.schema_name, name.table_name
        )
        return bool(is_selected) or name in self.tables


@dataclass(frozen=True, slots=True)
class History:
    """All tasks of this installation that are known."""

    tasks: tuple[TaskHistory, ...] = ()

    def similar_to(self, names: Collection[QualifiedName]) -> tuple[TaskHistory, ...]:
        """Return the tasks with some of these tables, those with most of them first."""
        counted = [(sum(map(task.covers, names)), task) for task in self.tasks]
        ranked = sorted(counted, key=lambda pair: (-pair[0], pair[1].task_name))
        return tuple(task for count, task in ranked if count)


def read_history(target: Endpoint | None, settings: Iterable[ReplicationTask]) -> History:
    """Return the history of the tasks whose settings are given, and of those that the metadata knows.

    The metadata is the target's, and that of its metadata database.

    A database that cannot be asked, or has no metadata of this version, adds nothing.
    """
    known = {task.task_name: task for task in settings}
    measured = _read_measured(target)
    names = sorted(known.keys() | measured.keys())
    return History(
        tuple(
            TaskHistory(task_name=name, settings=known.get(name), **measured.get(name, {})) for name in names
        )
    )


def _read_measured(target: Endpoint | None) -> Mapping[str, dict[str, Any]]:
    """Return what is measured, from the target and from its metadata database where it has one."""
    if target is None:
        return {}
    measured = _measured_in(target)
    if target.metadata is target:
        return measured
    elsewhere = _measured_in(target.metadata)
    return {
        name: _joined(measured.get(name, {}), elsewhere.get(name, {}))
        for name in measured.keys() | elsewhere.keys()
    }


def _joined(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Join the parts of one task: each value is in one of the two databases, and empty in the other."""
    return {key: here.get(key) or there.get(key) for key in here.keys() | there.keys()}


def _measured_in(endpoint: Endpoint) -> Mapping[str, dict[str, Any]]:
    try:
        with endpoint.connect("suggest") as session:
            return _measured(session)
    except TrempyError:
        return {}


def _measured(session: Session) -> Mapping[str, dict[str, Any]]:
    if applied_migrations(session) != available_migrations():
        return {}
    loads: dict[str, list[TableLoad]] = {}
    for task_name, schema, table, *load in session.fetch_all(static_sql("table_histories")):
        loads.setdefault(task_name, []).append(TableLoad(QualifiedName(schema, table), *load))
    return {
        task_name: {
            "captures_changes": captures_changes,
            "has_stopped": has_stopped,
            "lag_seconds": lag_seconds,
            "batch_count": batch_count,
            "change_count": change_count,
            "published_bytes": published_bytes,
            "error_count": error_count,
            "loads": tuple(loads.get(task_name, ())),
        }
        for (
            task_name,
            captures_changes,
            has_stopped,
            lag_seconds,
            batch_count,
            change_count,
            published_bytes,
            error_count,
        ) in session.fetch_all(static_sql("task_histories"))
    }

"""The state of each table of a task: waiting, loading, ready or in error, and what was counted.

Apply reads the states again whenever `checkpoints.states_version` has changed.
Writers raise it first, which takes the checkpoint's row lock before the table's: the order in which apply
takes them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import Enum
from typing import Any

from psycopg2 import sql

from trempy_provider.errors import MetadataError
from trempy_provider.postgres.checkpoints import raise_states_version
from trempy_provider.postgres.metadata import schema_required
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.lsn import Lsn

# What apply does not ask for.
_SILENT = frozenset({"loaded_rows", "loaded_bytes", "estimated_rows", "partition_oids"})


class LoadState(str, Enum):
    """Where a table is between being named and being followed."""

    PENDING = "pending"
    LOADING = "loading"
    READY = "ready"
    ERROR = "error"

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class TableState:
    """One row of trempy.table_states."""

    source_oid: int
    source: QualifiedName
    target: QualifiedName
    key_columns: tuple[str, ...]
    state: LoadState = LoadState.PENDING
    created_by_task: bool = False
    load_id: int = 0
    load_table: str | None = None
    snapshot_lsn: Lsn | None = None
    estimated_rows: int | None = None
    loaded_rows: int = 0
    loaded_bytes: int = 0
    load_started_at: datetime | None = None
    load_finished_at: datetime | None = None
    error: str | None = None
    insert_count: int = 0
    update_count: int = 0
    delete_count: int = 0
    truncate_count: int = 0
    error_count: int = 0
    last_change_at: datetime | None = None
    component: int | None = None  # names the tables that foreign keys join; None: not known
    lane: int | None = None  # None: none was given to it yet
    partition_oids: tuple[int, ...] | None = None  # leaves whose rows the target has; None: not known


_COLUMNS = frozenset(column.name for column in fields(TableState)) - {"source_oid", "source", "target"} | {
    "source_schema",
    "source_table",
    "target_schema",
    "target_table",
}


def read_table_states(session: Session, task_name: str) -> dict[int, TableState]:
    """Return the task's tables by the OID they have on the source."""
    with schema_required():
        rows = session.fetch_all(static_sql("read_table_states"), {"task_name": task_name})
    return {row[0]: _table_state(row) for row in rows}


def read_states_of_lane(session: Session, task_name: str, lane: int) -> dict[int, TableState]:
    """Return the tables of one lane; those that were given to none belong to lane 0."""
    states = read_table_states(session, task_name)
    return {oid: state for oid, state in states.items() if (state.lane or 0) == lane}


def read_waiting_tables(session: Session, task_name: str) -> tuple[str, ...]:
    """Return the names of the source tables that wait for a load, also of those whose last one failed."""
    states = read_table_states(session, task_name).values()
    waiting = (LoadState.PENDING, LoadState.ERROR)
    return tuple(str(state.source) for state in states if state.state in waiting)


def write_table_state(session: Session, task_name: str, state: TableState) -> None:
    """Add a table to the task; what is counted starts at zero."""
    with _announced(session, task_name):
        session.execute(
            static_sql("insert_table_state"),
            {
                "task_name": task_name,
                "source_oid": state.source_oid,
                "source_schema": state.source.schema_name,
                "source_table": state.source.table_name,
                "target_schema": state.target.schema_name,
                "target_table": state.target.table_name,
                "key_columns": list(state.key_columns),
                "state": str(state.state),
                "created_by_task": state.created_by_task,
                "load_id": state.load_id,
                "snapshot_lsn": _parameter(state.snapshot_lsn),
                "estimated_rows": state.estimated_rows,
            },
        )


def update_table_state(session: Session, task_name: str, source_oid: int, **changes: Any) -> None:
    """Change columns of a table's row; `source` and `target` take a QualifiedName.

    Raises states_version in the same transaction, unless only the progress of a load or partitions change.
    Raise MetadataError when the task has no such table.
    """
    assignments = _as_columns(changes)
    with _announced(session, task_name, silently=set(assignments) <= _SILENT):
        parameters = {**assignments, "task_name": task_name, "source_oid": source_oid}
        if session.execute(update_table_state_sql(sorted(assignments)), parameters) == 0:
            raise MetadataError(f"task {task_name} has no table with OID {source_oid} on the source")


def wait_for_load(session: Session, task_name: str, state: TableState, *, reason: str) -> TableState:
    """Let nobody write to a table until it has been loaded from a snapshot yet to come; return its state."""
    load_state = LoadState.LOADING if state.state is LoadState.LOADING else LoadState.PENDING
    error = f"It has to be loaded again: {reason}."
    update_table_state(session, task_name, state.source_oid, state=load_state, snapshot_lsn=None, error=error)
    return replace(state, state=load_state, snapshot_lsn=None, error=error)


def request_load(session: Session, task_name: str, state: TableState, *, reason: str) -> None:
    """Let a table that is ready be loaded again; apply goes on writing to its present rows."""
    parameters = {
        "task_name": task_name,
        "source_oid": state.source_oid,
        "reason": f"It has to be loaded again: {reason}.",
    }
    with _announced(session, task_name):
        session.execute(static_sql("request_load"), parameters)


def delete_table_state(session: Session, task_name: str, source_oid: int) -> None:
    """Take a table off the task, with the changes held back for it."""
    with _announced(session, task_name):
        parameters = {"task_name": task_name, "source_oid": source_oid}
        session.execute(static_sql("delete_held_changes"), parameters)
        session.execute(static_sql("delete_table_state"), parameters)


def update_table_state_sql(columns: list[str]) -> sql.Composed:
    """Compose the update of some columns of one table's row."""
    return sql.SQL(
        "update trempy.table_states set {assignments} "
        "where task_name = %(task_name)s and source_oid = %(source_oid)s"
    ).format(
        assignments=sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns
        )
    )


@contextmanager
def _announced(session: Session, task_name: str, *, silently: bool = False) -> Iterator[None]:
    """Run the block in the open transaction, or in its own, after telling apply."""
    with schema_required():
        if session.in_transaction:
            yield from _announce(session, task_name, silently)
        else:
            with session.transaction():
                yield from _announce(session, task_name, silently)


def _announce(session: Session, task_name: str, silently: bool) -> Iterator[None]:
    if not silently:
        raise_states_version(session, task_name)
    yield


def _as_columns(changes: dict[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, value in changes.items():
        if isinstance(value, QualifiedName):
            columns[f"{name}_schema"], columns[f"{name}_table"] = value.schema_name, value.table_name
        else:
            columns[name] = _parameter(value)
    unknown = sorted(set(columns) - _COLUMNS)
    if unknown:
        raise ValueError(f"trempy.table_states has no column {unknown[0]}")
    return columns


def _parameter(value: object) -> object:
    if isinstance(value, Lsn | LoadState):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _table_state(row: tuple[Any, ...]) -> TableState:
    oid, source_schema, source_table, target_schema, target_table, key_columns, state, *rest = row
    created_by_task, load_id, load_table, snapshot_lsn, *counts, partition_oids = rest
    return TableState(
        oid,
        QualifiedName(source_schema, source_table),
        QualifiedName(target_schema, target_table),
        tuple(key_columns),
        LoadState(state),
        created_by_task,
        load_id,
        load_table,
        None if snapshot_lsn is None else Lsn.parse(snapshot_lsn),
        *(*counts, None if partition_oids is None else tuple(partition_oids)),
    )

"""The tables of a task on the target and their rows in `table_states`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import read_table
from trempy_provider.postgres.known_tables import (
    KnownTable,
    known_from_facts,
    read_known_tables,
    write_known_table,
)
from trempy_provider.postgres.lanes import write_components
from trempy_provider.postgres.schema import create_keys, create_target_table, target_columns
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.source_catalog import read_source_facts
from trempy_provider.postgres.source_facts import SourceFacts
from trempy_provider.postgres.table_plan import TablePlan, plan_table
from trempy_provider.postgres.table_states import (
    LoadState,
    TableState,
    delete_table_state,
    read_table_states,
    update_table_state,
    write_table_state,
)
from trempy_provider.postgres.tables import QualifiedName, Table
from trempy_provider.replication.lsn import Lsn

_ZERO_COUNTS = {
    "insert_count": 0,
    "update_count": 0,
    "delete_count": 0,
    "truncate_count": 0,
    "error_count": 0,
    "last_change_at": None,
}


@dataclass(slots=True)
class TableChanges:
    """What was done to the task's tables."""

    added: list[QualifiedName] = field(default_factory=list)
    removed: list[QualifiedName] = field(default_factory=list)
    created: list[QualifiedName] = field(default_factory=list)
    created_types: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def start_tables(
    source: Session,
    target: Session,
    task: ReplicationTask,
    tables: Sequence[Table],
    *,
    start: Lsn,
    facts: Mapping[int, SourceFacts] | None = None,
) -> TableChanges:
    """Let every table of the task begin at `start`: waiting for its load, or ready when nothing is loaded.

    `facts` are of tables that are not loaded, read before `start`.
    Call it in a transaction.
    """
    changes = synchronize_tables(source, target, task, tables, start=start, facts=facts)
    for table in tables:
        if table.name not in changes.added:
            _start_again(target, task, table, start)
            write_first_shape(target, task, (facts or {}).get(table.oid))
    return changes


def read_first_facts(
    source: Session, task: ReplicationTask, tables: Sequence[Table]
) -> dict[int, SourceFacts]:
    """Return the facts of tables that are followed without a load, which would read them."""
    if task.loads_fully:
        return {}
    return {table.oid: read_source_facts(source, task, table.oid) for table in tables}


def write_first_shape(target: Session, task: ReplicationTask, facts: SourceFacts | None) -> None:
    """Record the shape in which a table is first followed."""
    if facts is not None and facts.name is not None:
        write_known_table(target, task.task_name, facts.oid, known_from_facts(facts))


def synchronize_tables(
    source: Session,
    target: Session,
    task: ReplicationTask,
    tables: Sequence[Table],
    *,
    start: Lsn,
    facts: Mapping[int, SourceFacts] | None = None,
) -> TableChanges:
    """Add tables the task does not know yet, missing target tables too, and take off those it no longer has.

    `facts` are of tables that are not loaded, read before `start`.
    Call it in a transaction; a second call changes nothing.
    """
    synchronization = _Synchronization(source, target, task, start, facts or {})
    synchronization.run(tables)
    return synchronization.changes


@dataclass(slots=True)
class _Synchronization:
    source: Session
    target: Session
    task: ReplicationTask
    start: Lsn
    facts: Mapping[int, SourceFacts]
    changes: TableChanges = field(default_factory=TableChanges)
    known: dict[int, KnownTable] = field(default_factory=dict)

    def run(self, tables: Sequence[Table]) -> None:
        states = read_table_states(self.target, self.task.task_name)
        self.known = read_known_tables(self.target, self.task.task_name)
        present = {table.oid for table in tables}
        gone = [state for oid, state in states.items() if oid not in present]
        for state in gone:
            delete_table_state(self.target, self.task.task_name, state.source_oid)
            self.changes.removed.append(state.source)
        predecessors = {state.target: state for state in gone}
        for table in tables:
            plan = plan_table(self.task, table)
            if table.oid in states:
                self._keep_up(table, plan, states[table.oid])
            else:
                self._add(table, plan, predecessors.get(plan.target))
        if self.task.captures_changes:
            joined = self.source.fetch_all(static_sql("foreign_keys"), {"oids": sorted(present)})
            write_components(self.target, self.task.task_name, [(oid, other) for oid, other in joined])

    def _keep_up(self, table: Table, plan: TablePlan, state: TableState) -> None:
        """Follow a table that got another name or key on the source, or whose target was dropped.

        One that the settings put elsewhere on the target starts there anew; what it had stays as it is.
        Columns that got another name have it for apply only when the stream has come there.
        """
        changes: dict[str, Any] = {}
        target = place_of(table, plan, state)
        if target != state.target:
            changes |= {
                "target": target,
                "state": _first_state(self.task),
                "snapshot_lsn": _first_snapshot(self.task, self.start),
                "load_id": 0,
                "load_finished_at": None,
                "created_by_task": False,
            }
        if table.name != state.source:
            changes["source"] = table.name
        if table.key_columns != state.key_columns and not self._is_being_renamed(table):
            changes["key_columns"] = table.key_columns
        if self._create_if_missing(table, replace(plan, target=target)):
            first = {"state": _first_state(self.task), "load_finished_at": None}
            changes |= {**first, "created_by_task": True}
        if changes:
            update_table_state(self.target, self.task.task_name, table.oid, **changes)

    def _is_being_renamed(self, table: Table) -> bool:
        known = self.known.get(table.oid)
        names = {} if known is None else {entry.attnum: entry.alias for entry in known.columns}
        return any(names.get(column.position, column.name) != column.name for column in table.columns)

    def _add(self, table: Table, plan: TablePlan, predecessor: TableState | None) -> None:
        """Add a table; dropped and created again on the source, it inherits what it has on the target."""
        was_created = self._create_if_missing(table, plan)
        state = TableState(
            source_oid=table.oid,
            source=table.name,
            target=plan.target,
            key_columns=table.key_columns,
            state=_first_state(self.task),
            created_by_task=was_created or (predecessor is not None and predecessor.created_by_task),
            load_id=0 if predecessor is None else predecessor.load_id,
            snapshot_lsn=_first_snapshot(self.task, self.start),
            estimated_rows=table.estimated_rows,
        )
        write_table_state(self.target, self.task.task_name, state)
        write_first_shape(self.target, self.task, self.facts.get(table.oid))
        self.changes.added.append(table.name)

    def _create_if_missing(self, table: Table, plan: TablePlan) -> bool:
        """Create the target table if it is missing and the settings allow it; return whether it was."""
        exists = read_table(self.target, plan.target) is not None
        if exists or not self.task.task.create_table_if_not_exists:
            return False
        columns = target_columns(self.task, table, plan)
        created = create_target_table(self.source, self.target, name=plan.target, columns=columns)
        create_keys(self.target, plan.keys, name=plan.target)
        self.changes.created.append(plan.target)
        self.changes.created_types += created.created_types
        self.changes.warnings += created.warnings
        return True


def place_of(table: Table, plan: TablePlan, state: TableState) -> QualifiedName:
    """Return where the table's rows go: where the settings say, else where they have gone so far.

    A table that gets another name on the source keeps the one it has on the target.
    """
    given, source = plan.target, table.name
    return QualifiedName(
        given.schema_name if given.schema_name != source.schema_name else state.target.schema_name,
        given.table_name if given.table_name != source.table_name else state.target.table_name,
    )


def _start_again(target: Session, task: ReplicationTask, table: Table, start: Lsn) -> None:
    update_table_state(
        target,
        task.task_name,
        table.oid,
        state=_first_state(task),
        snapshot_lsn=_first_snapshot(task, start),
        error=None,
        loaded_rows=0,
        loaded_bytes=0,
        estimated_rows=table.estimated_rows,
        **_ZERO_COUNTS,
    )


def _first_state(task: ReplicationTask) -> LoadState:
    return LoadState.PENDING if task.loads_fully else LoadState.READY


def _first_snapshot(task: ReplicationTask, start: Lsn) -> Lsn | None:
    return None if task.loads_fully else start

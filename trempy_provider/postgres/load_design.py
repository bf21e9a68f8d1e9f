"""How the rows of one table get to the target: decided when its copying begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg2 import sql

from trempy_provider.config.choices import SchemaEvolution
from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, TargetSchemaError
from trempy_provider.postgres.catalog import read_table
from trempy_provider.postgres.copy import copy_in_sql
from trempy_provider.postgres.copy_format import rows_travel_binary
from trempy_provider.postgres.load_shape import LoadShape, shape_to_load
from trempy_provider.postgres.load_tables import (
    IndexPlan,
    create_bare_table_sql,
    create_load_table_sql,
    drop_table_sql,
    holds_rows,
    load_table_name,
    plan_indexes,
    plan_keys,
    read_obstacles,
)
from trempy_provider.postgres.namespaces import ensure_schema
from trempy_provider.postgres.plan_fitting import fit_plan
from trempy_provider.postgres.schema import create_target_table, target_columns
from trempy_provider.postgres.sequences import planned_sequences
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.source_facts import SourceFacts
from trempy_provider.postgres.table_plan import TablePlan, plan_table
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.tables import QualifiedName, Table
from trempy_provider.postgres.version_columns import first_version_sql


@dataclass(frozen=True, slots=True)
class LoadDesign:
    """The load table, what is copied into it, and what becomes of it."""

    load_table: QualifiedName
    shape: LoadShape
    plan: TablePlan
    sequences: Mapping[str, QualifiedName]  # of the source, by the target's columns
    binary: bool
    indexes: tuple[IndexPlan, ...]
    moves: bool  # the load table takes the target's place
    recreates: bool = False  # ... after the source's model instead of the target's
    keeps_history: bool = False  # the target's rows are versions, which new ones join

    def copy_in_sql(self) -> sql.Composed:
        """Compose COPY FROM STDIN into the load table."""
        return copy_in_sql(self.load_table.identifier, self.column_names, binary=self.binary)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Return the columns that travel."""
        return tuple(column.name for column in self.plan.columns)

    @property
    def all_column_names(self) -> tuple[str, ...]:
        """Return the columns that are written."""
        return self.column_names + (() if self.plan.versions is None else self.plan.versions.names)


def design_load(
    task: ReplicationTask,
    source: Session,
    target: Session,
    *,
    table: Table,
    facts: SourceFacts,
    state: TableState,
    snapshot_at: datetime,
    context: CompileContext,
) -> LoadDesign:
    """Create the table's load table, empty and without indexes, and decide how it is filled and used.

    A load table that a killed load left behind is dropped.
    A row's first version starts at `snapshot_at`.
    Raise ConfigurationError when no column is chosen, TargetSchemaError when the target cannot take the rows.
    """
    shape = shape_to_load(task, target, table=table, facts=facts, state=state)
    plan = plan_table(task, shape.table, context=context).require_complete()
    if table.columns and not plan.columns:
        raise ConfigurationError(f"table {table.name}: the settings choose none of its columns")
    order = _Order(task, shape, state, load_table_name(task.task_name, table.oid), plan)
    with target.transaction():
        target.execute(drop_table_sql(order.load_table))
        present = read_table(target, state.target)
        if present is None or task.full_load.recreate_table_if_exists or _is_outgrown(order, target, present):
            design = _design_anew(order, source, target)
        else:
            design = _design_like(order, present, source, target)
        if plan.versions is not None:
            target.execute(first_version_sql(order.load_table, plan.versions, snapshot_at))
        return design


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be loaded where."""

    task: ReplicationTask
    shape: LoadShape
    state: TableState
    load_table: QualifiedName
    plan: TablePlan

    @property
    def table(self) -> Table:
        """Return the source table, without columns that are not replicated."""
        return self.shape.table


def _design_anew(order: _Order, source: Session, target: Session) -> LoadDesign:
    """Model the load table after the source."""
    task, target_name = order.task, order.state.target
    may_create = task.task.create_table_if_not_exists or task.full_load.recreate_table_if_exists
    if not may_create and not order.state.created_by_task:
        raise TargetSchemaError(f"table {target_name} does not exist on the target")
    all_columns = target_columns(task, order.table, order.plan)
    ensure_schema(target, target_name.schema_name)
    create_target_table(source, target, name=order.load_table, columns=all_columns)
    return LoadDesign(
        load_table=order.load_table,
        shape=order.shape,
        plan=order.plan,
        sequences=planned_sequences(order.table, order.plan),
        binary=_travel_binary(order, source, target),
        indexes=plan_keys(order.plan.keys, load_table=order.load_table),
        moves=True,
        recreates=True,
    )


def _is_outgrown(order: _Order, target: Session, present: Table) -> bool:
    """Tell whether a table of ours, of whose former shape nothing is known, is to be made anew."""
    if order.task.cdc.schema_evolution is not SchemaEvolution.APPLY or not order.state.created_by_task:
        return False
    if order.plan.versions is not None and holds_rows(target, present):  # a history
        return False
    wanted = {c.name: c.type_name for c in target_columns(order.task, order.table, order.plan)}
    fits = wanted == {column.name: column.type_name for column in present.columns}
    return not order.shape.is_followed and not fits and not read_obstacles(target, present)


def _design_like(order: _Order, present: Table, source: Session, target: Session) -> LoadDesign:
    """Model the load table after the target."""
    _refuse_missing_columns(present, order.plan)
    order = replace(order, plan=fit_plan(order.plan, present))
    has_columns = bool(order.plan.columns)
    moves = has_columns and order.state.created_by_task and not read_obstacles(target, present)
    create_like = create_load_table_sql(order.load_table, present.name, complete=moves)
    target.execute(create_like if has_columns else create_bare_table_sql(order.load_table))
    order.shape.finish(target, order.load_table)
    indexes = plan_indexes(target, present, load_table=order.load_table)
    keeps_history = order.plan.versions is not None and not order.task.full_load.truncate_before_insert
    if not moves:
        # They serve the replay of changes, and the comparison with versions.
        serves = has_columns and (order.task.captures_changes or keeps_history)
        indexes = tuple(plan for plan in indexes if plan.is_unique) if serves else ()
    return LoadDesign(
        load_table=order.load_table,
        shape=order.shape,
        plan=order.plan,
        sequences=planned_sequences(order.table, order.plan),
        binary=_travel_binary(order, source, target),
        indexes=indexes,
        moves=moves,
        keeps_history=keeps_history,
    )


def _refuse_missing_columns(present: Table, plan: TablePlan) -> None:
    names = {column.name for column in present.columns if not column.generated}
    versions = () if plan.versions is None else plan.versions.names
    wanted = (*(column.name for column in plan.columns), *versions)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise TargetSchemaError(f"table {present.name} on the target lacks columns: {', '.join(missing)}")


def _travel_binary(order: _Order, source: Session, target: Session) -> bool:
    created = read_table(target, order.load_table)
    assert created is not None
    return rows_travel_binary(
        source,
        target,
        source_types=[column.type.base_oid for column in order.plan.columns],
        target_types=[created.column(column.name).base_type_oid for column in order.plan.columns],
    )

"""Lineage: from which columns of the source each column of the target is made, as the settings say."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from trempy_provider.config.chaining import masks_of
from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import find_tables, selected_columns
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.table_plan import plan_table
from trempy_provider.postgres.tables import QualifiedName, Table


@dataclass(frozen=True, slots=True)
class ColumnLineage:
    """A column of the target; `inputs` are the source's columns that its value is made of, () for a constant.

    `is_copied`: the value is the source's as it stands, whatever the column's name.
    `is_masked`: `inputs` cannot be told from the value.
    """

    name: str
    type_name: str
    inputs: tuple[str, ...]
    is_copied: bool
    is_masked: bool


@dataclass(frozen=True, slots=True)
class TableLineage:
    """A target table and what it is made of; `source_columns` are names and types of those that travel.

    `filter_columns` are the source's columns that decide which rows there are.
    """

    source: QualifiedName
    target: QualifiedName
    source_columns: tuple[tuple[str, str], ...]
    columns: tuple[ColumnLineage, ...]
    filter_columns: tuple[str, ...]


def lineage(
    task: ReplicationTask, *, source: Endpoint, tables: Collection[str] | None = None
) -> tuple[TableLineage, ...]:
    """Return the lineage of the task's tables; `tables` chooses some as `schema.table`, None means all.

    Only the source's catalog is read.
    """
    names = None if tables is None else {QualifiedName.parse(name) for name in tables}
    with source.connect("lineage") as session:
        found = find_tables(session, task)
    return tuple(_table(task, table) for table in found if names is None or table.name in names)


def _table(task: ReplicationTask, table: Table) -> TableLineage:
    plan = plan_table(task, table)
    travelling = selected_columns(task, table)
    name = (table.name.schema_name, table.name.table_name)
    masked = masks_of(task, name, [column.name for column in travelling]).masks
    read_by_filters = {read for _, condition in plan.conditions for read in condition.columns}
    return TableLineage(
        source=table.name,
        target=plan.target,
        source_columns=tuple((column.name, column.type_name) for column in travelling),
        columns=tuple(_column(column, masked) for column in plan.columns),
        filter_columns=tuple(sorted(read_by_filters)),
    )


def _column(column: ChainColumn, masked: Collection[str]) -> ColumnLineage:
    return ColumnLineage(
        name=column.name,
        type_name=column.type.name,
        inputs=tuple(dict.fromkeys(column.depends_on)),
        is_copied=column.source is not None,
        is_masked=any(name in masked for name in column.depends_on),
    )

"""What a source table becomes on the target: name, columns, key, and which rows.

The one place where settings and a table's description meet.
A plan is made from the catalog's description of the source for setup and full load, and from the stream's
for apply; both give the same names, types and expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trempy_provider.config.expressions import Expression
from trempy_provider.config.table_chain import ChainColumn, TableChain, start_chain
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.value_types import ValueType
from trempy_provider.postgres.catalog import selected_columns
from trempy_provider.postgres.tables import Column, Key, QualifiedName, Table
from trempy_provider.postgres.version_columns import VersionColumns, version_columns
from trempy_provider.replication.messages import Relation


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table of the target.

    `identity` are the columns by which a row is found: those made from the source's key; (): all of them.
    `keys` are the unique keys of a table that the task creates.
    `predicate` holds for the rows that belong on the target; None: for all.
    `versions` are the columns that tell the versions of a row apart, beside `columns`; None: it has one.
    """

    source: QualifiedName
    target: QualifiedName
    columns: tuple[ChainColumn, ...]
    identity: tuple[str, ...]
    keys: tuple[Key, ...] = ()
    predicate: Expression | None = None
    versions: VersionColumns | None = None

    def of_source(self, name: str) -> ChainColumn | None:
        """Return the column that is a source column's value as it stands, None when there is none."""
        return next((column for column in self.columns if column.source == name), None)


def plan_table(task: ReplicationTask, table: Table) -> TablePlan:
    """Return the plan of a table as the source's catalog has it."""
    columns = [(column.name, value_type(column)) for column in selected_columns(task, table)]
    chain = _chain(task, table.name, columns)
    plan = _plan(task, table.name, chain, table.key_columns)
    return replace(plan, keys=_keys(plan, table))


def plan_relation(
    task: ReplicationTask,
    relation: Relation,
    *,
    source: QualifiedName,
    key_columns: Sequence[str],
    types: Sequence[ValueType],
) -> TablePlan:
    """Return the plan of a relation as the stream describes it; `types` are those of its columns.

    The source's name is given, because the stream may still call the table by an old one.
    """
    chain = _chain(task, source, zip(relation.column_names, types, strict=True))
    return _plan(task, source, chain, key_columns)


def value_type(column: Column) -> ValueType:
    """Return the type of a column's values."""
    return ValueType(column.type_name, column.base_type_name or column.type_name, column.base_type_oid)


def _chain(
    _task: ReplicationTask, source: QualifiedName, columns: Iterable[tuple[str, ValueType]]
) -> TableChain:
    return start_chain(source.schema_name, source.table_name, columns)


def _plan(
    task: ReplicationTask, source: QualifiedName, chain: TableChain, key_columns: Sequence[str]
) -> TablePlan:
    places = {column.origin: name for name, column in chain.columns.items()}
    return TablePlan(
        source=source,
        target=QualifiedName(chain.schema_name, chain.table_name),
        columns=tuple(chain.columns.values()),
        identity=tuple(places.get(name, name) for name in key_columns),
        predicate=chain.predicate,
        versions=version_columns(task),
    )


def _keys(plan: TablePlan, table: Table) -> tuple[Key, ...]:
    """Return the source's unique keys whose columns are all on the target as they stand.

    A table of versions has one: no value of the source is unique in it.
    """
    if plan.versions is not None:
        return (plan.versions.key(table, plan.identity),)
    names = {column.source: column.name for column in plan.columns if column.source is not None}
    return tuple(
        replace(key, columns=tuple(names[name] for name in key.columns))
        for key in table.keys
        if names.keys() >= set(key.columns)
    )

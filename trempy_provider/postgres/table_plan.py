"""What a source table becomes on the target: name, columns, key, and which rows.

The one place where settings and a table's description meet.
A plan is made from the catalog's description of the source for setup and full load, and from the stream's
for apply; both give the same names, types and expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trempy_provider.config.chaining import Chained, apply_settings
from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.expressions import Expression
from trempy_provider.config.fields import NAME_MAX_BYTES
from trempy_provider.config.table_chain import ChainColumn, TableChain
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.value_types import ValueType
from trempy_provider.errors import ConfigurationError, FieldProblem
from trempy_provider.postgres.catalog import selected_columns
from trempy_provider.postgres.tables import Column, Key, QualifiedName, Table
from trempy_provider.postgres.version_columns import VersionColumns, version_columns

DEFAULT_CONTEXT = CompileContext()


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table of the target.

    `identity` are the columns by which a row is found: those in the place of the source's key; (): all.
    `keys` are the unique keys of a table that the task creates, the primary key first.
    `conditions` hold for the rows that belong on the target, each by the path of its filter.
    `problems` are the settings that could not be applied.
    `versions` are the columns that tell the versions of a row apart, beside `columns`; None: it has one.
    """

    source: QualifiedName
    target: QualifiedName
    columns: tuple[ChainColumn, ...]
    identity: tuple[str, ...]
    keys: tuple[Key, ...] = ()
    conditions: tuple[tuple[str, Expression], ...] = ()
    problems: tuple[FieldProblem, ...] = ()
    versions: VersionColumns | None = None

    def of_source(self, name: str) -> ChainColumn | None:
        """Return the column that is a source column's value as it stands, None when there is none."""
        return next((column for column in self.columns if column.source == name), None)

    def require_complete(self) -> TablePlan:
        """Return the plan; raise ConfigurationError when a setting could not be applied."""
        if self.problems:
            raise ConfigurationError("".join(f"\n  {problem}" for problem in self.problems).strip())
        return self


def plan_table(
    task: ReplicationTask,
    table: Table,
    *,
    context: CompileContext = DEFAULT_CONTEXT,
    knows_keys: bool = True,
) -> TablePlan:
    """Return the plan of a table as the source's catalog has it.

    Names, types and keys do not depend on the context.
    Without `knows_keys` the description has none, and neither has the plan.
    """
    chained = apply_settings(
        task,
        (table.name.schema_name, table.name.table_name),
        [(column.name, value_type(column)) for column in selected_columns(task, table)],
        primary_key=_travelling_key(task, table) if knows_keys else None,
        context=context,
    )
    plan = _plan(task, table.name, chained, table.key_columns)
    return replace(plan, keys=_keys(plan, chained.table, table))


def plan_relation(
    task: ReplicationTask,
    columns: Iterable[tuple[str, ValueType]],
    *,
    source: QualifiedName,
    key_columns: Sequence[str],
    context: CompileContext = DEFAULT_CONTEXT,
) -> TablePlan:
    """Return the plan of a relation as the stream describes it, from its columns' names and types.

    The source's name is given, because the stream may still call the table by an old one.
    """
    chained = apply_settings(
        task,
        (source.schema_name, source.table_name),
        columns,
        primary_key=None,
        context=context,
    )
    return _plan(task, source, chained, key_columns)


def _travelling_key(task: ReplicationTask, table: Table) -> tuple[str, ...]:
    """Return the primary key, () when not all of its columns travel."""
    travelling = {column.name for column in selected_columns(task, table)}
    return table.primary_key if travelling.issuperset(table.primary_key) else ()


def value_type(column: Column) -> ValueType:
    """Return the type of a column's values."""
    return ValueType(column.type_name, column.base_type_name or column.type_name, column.base_type_oid)


def _plan(
    task: ReplicationTask, source: QualifiedName, chained: Chained, key_columns: Sequence[str]
) -> TablePlan:
    chain = chained.table
    places = {column.origin: name for name, column in chain.columns.items()}
    return TablePlan(
        source=source,
        target=QualifiedName(chain.schema_name, chain.table_name),
        columns=tuple(chain.columns.values()),
        identity=tuple(places.get(name, name) for name in key_columns),
        conditions=chained.conditions,
        problems=chained.problems,
        versions=version_columns(task),
    )


def _keys(plan: TablePlan, chain: TableChain, table: Table) -> tuple[Key, ...]:
    """Return the primary key, the source's unique keys over columns as they stand, and what finds a row.

    A row is found by the source's key, also when that is not the target's primary key.
    A table of versions has one key: no value of the source is unique in it.
    """
    primary = chain.primary_key or ()
    former = _renamed_primary_key(plan, table)
    if plan.versions is not None:
        is_as_before = former is not None and former.columns == primary
        return (plan.versions.key(table, plan.identity if is_as_before else primary or plan.identity),)
    keys = [] if not primary else [_primary_key(plan, primary, former)]
    names = {column.source: column.name for column in plan.columns if column.source is not None}
    keys += [
        replace(key, columns=tuple(names[name] for name in key.columns))
        for key in table.unique_keys
        if names.keys() >= set(key.columns)
    ]
    is_covered = any(set(key.columns) == set(plan.identity) for key in keys)
    if plan.identity and not is_covered and set(plan.identity) <= set(names.values()):
        keys.append(Key(_key_name(plan, "source_key"), plan.identity, is_constraint=False))
    return tuple(keys)


def _renamed_primary_key(plan: TablePlan, table: Table) -> Key | None:
    """Return the source's primary key under the target's names, None when not all of it is there."""
    places = {column.origin: column.name for column in plan.columns if column.origin is not None}
    for key in table.keys:
        if key.is_primary and places.keys() >= set(key.columns):
            return replace(key, columns=tuple(places[name] for name in key.columns))
    return None


def _primary_key(plan: TablePlan, columns: tuple[str, ...], former: Key | None) -> Key:
    """Return the target's primary key: the source's, if it has only been renamed."""
    if former is not None and former.columns == columns:
        return former
    return Key(_key_name(plan, "pkey"), columns, is_primary=True)


def _key_name(plan: TablePlan, ending: str) -> str:
    """Return `<table>_<ending>`, cut to the length of a name."""
    room = NAME_MAX_BYTES - len(ending) - 1
    return plan.target.table_name.encode()[:room].decode(errors="ignore") + f"_{ending}"

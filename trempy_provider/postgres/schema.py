"""The tables a task creates on the target, after the model of their sources.

A created table has the source's columns with their exact types, NOT NULL, keys, and the defaults that rest on
built-in objects alone; a partitioned table becomes a plain one.

Some things differ on purpose:

- An identity column is BY DEFAULT on the target, also where it is ALWAYS on the source: rows arrive with
  their values, which ALWAYS refuses in UPDATE, and in INSERT without OVERRIDING SYSTEM VALUE.
- A serial column becomes an identity column: it keeps its sequence without depending on a name.
- A stored generated column is generated on the target too; the source does not send it (see "Generated
  Columns" in the manual's chapter on logical replication).
- Foreign keys, check constraints, triggers, plain indexes, grants and policies are not created: the source
  has checked its rows already, and the rest serves whoever reads the target.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg2 import sql

from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import selection_of
from trempy_provider.postgres.namespaces import ensure_schema
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_plan import TablePlan
from trempy_provider.postgres.tables import Column, Key, QualifiedName, SequenceOptions, Table
from trempy_provider.postgres.types import ensure_types

Collation = tuple[str, str]

_INTEGER_LIMITS = {21: 2**15 - 1, 23: 2**31 - 1, 20: 2**63 - 1}  # int2, int4, int8: identity columns' types
_VIRTUAL_COLUMNS_VERSION = 180000


@dataclass(frozen=True, slots=True)
class CreatedTable:
    """What creating a table did beside it."""

    name: QualifiedName
    created_types: tuple[str, ...]
    warnings: tuple[str, ...]


def target_columns(task: ReplicationTask, table: Table, plan: TablePlan) -> tuple[Column, ...]:
    """Return the columns of a target table that the task creates.

    These are the plan's columns in the order of the source's, the generated ones among those chosen, as far
    as they are computed from columns that are on the target under their names, the created ones, and those
    that tell versions apart.
    """
    planned = {column.origin: column for column in plan.columns if column.origin is not None}
    kept = [
        _planned_column(column, planned[column.name]) if column.name in planned else column
        for column in table.columns
        if column.name in planned or _is_generated_on_target(task, column, table, planned)
    ]
    created = [_made_column(column) for column in plan.columns if column.origin is None]
    versions = () if plan.versions is None else plan.versions.definitions()
    return (*kept, *created, *versions)


def create_target_table(
    source: Session, target: Session, *, name: QualifiedName, columns: Sequence[Column]
) -> CreatedTable:
    """Create schema, types and table on the target, without keys; run it in a transaction.

    Raise TargetSchemaError for a type that the target lacks and a task cannot create.
    """
    ensure_schema(target, name.schema_name)
    created_types = ensure_types(source, target, columns)
    missing = missing_collations(target, columns)
    target.execute(
        create_table_sql(
            name=name, columns=columns, server_version=target.server_version, missing_collations=missing
        )
    )
    warnings = [*_collation_warnings(columns, missing), *_default_warnings(columns)]
    return CreatedTable(name, tuple(created_types), tuple(f"{name}: {warning}" for warning in warnings))


def create_keys(target: Session, keys: Sequence[Key], *, name: QualifiedName) -> None:
    """Add keys to a table, under their names where these are free in its schema."""
    for key in keys:
        taken = target.fetch_value(
            static_sql("relation_exists"), {"schema_name": name.schema_name, "name": key.name}
        )
        target.execute(add_key_sql(key, table_name=name, key_name=None if taken else key.name))


def missing_collations(target: Session, columns: Sequence[Column]) -> frozenset[Collation]:
    """Return the collations of `columns` that the target does not have."""
    wanted = sorted({column.collation for column in columns if column.collation is not None})
    names = {
        "schemas": [schema for schema, _ in wanted],
        "collations": [collation for _, collation in wanted],
    }
    present = {(schema, name) for schema, name in target.fetch_all(static_sql("present_collations"), names)}
    return frozenset(wanted) - present


def create_table_sql(
    *,
    name: QualifiedName,
    columns: Sequence[Column],
    server_version: int,
    missing_collations: Collection[Collation] = (),
) -> sql.Composed:
    """Compose the creation of a table without its keys, so that a load can add them after the rows."""
    definitions = [
        column_sql(column, server_version=server_version, missing_collations=missing_collations)
        for column in columns
    ]
    return sql.SQL("create table {name} ({columns})").format(
        name=name.identifier, columns=sql.SQL(", ").join(definitions)
    )


def column_sql(
    column: Column, *, server_version: int, missing_collations: Collection[Collation] = ()
) -> sql.Composed:
    """Compose one column's definition."""
    parts: list[sql.Composable] = [column.identifier, type_sql(column, missing_collations)]
    parts += _value_sql(column, server_version=server_version)
    if column.not_null:
        parts.append(sql.SQL("not null"))
    return sql.SQL(" ").join(parts)


def type_sql(column: Column, missing_collations: Collection[Collation] = ()) -> sql.Composable:
    """Compose a column's type with its collation."""
    if column.collation is None or column.collation in missing_collations:
        return sql.SQL(column.type_name)
    return sql.SQL("{} collate {}").format(sql.SQL(column.type_name), sql.Identifier(*column.collation))


def add_key_sql(key: Key, *, table_name: QualifiedName, key_name: str | None = None) -> sql.Composed:
    """Compose the creation of a key; without a name PostgreSQL chooses a free one."""
    columns = sql.SQL(", ").join(map(sql.Identifier, key.columns))
    distinct = sql.SQL(" nulls not distinct" if key.nulls_not_distinct else "")
    if not key.is_constraint:
        return sql.SQL("create unique index {name} on {table} ({columns}){distinct}").format(
            name=sql.SQL("") if key_name is None else sql.Identifier(key_name),
            table=table_name.identifier,
            columns=columns,
            distinct=distinct,
        )
    return sql.SQL("alter table {table} add {name} {kind}{distinct} ({columns}){deferrable}").format(
        table=table_name.identifier,
        name=sql.SQL("") if key_name is None else sql.SQL("constraint {}").format(sql.Identifier(key_name)),
        kind=sql.SQL("primary key" if key.is_primary else "unique"),
        distinct=distinct,
        columns=columns,
        deferrable=sql.SQL("" if key.is_immediate else " deferrable"),
    )


def _is_generated_on_target(
    task: ReplicationTask, column: Column, table: Table, planned: Mapping[str, ChainColumn]
) -> bool:
    """Tell whether a generated column of the source is one on the target too."""
    selection = selection_of(task, table.name)
    if not column.generated or not (selection is None or selection.selects_column(column.name)):
        return False
    sources = [planned.get(name) for name in column.generated_from]
    return all(source is not None and source.name == source.source for source in sources)


def _planned_column(column: Column, planned: ChainColumn) -> Column:
    if planned.is_as_it_stands:
        return replace(column, name=planned.name)
    return _made_column(planned, position=column.position)


def _made_column(column: ChainColumn, *, position: int = 0) -> Column:
    """Return the definition of a column whose value is computed: a type and nothing else."""
    return Column(
        name=column.name,
        position=position,
        type_oid=column.type.base_oid,
        type_name=column.type.name,
        base_type_oid=column.type.base_oid,
        type_schema="pg_catalog",
        base_type_name=column.type.base_name,
    )


def _value_sql(column: Column, *, server_version: int) -> list[sql.Composable]:
    if column.generated:
        stored = column.generated == "s" or server_version < _VIRTUAL_COLUMNS_VERSION
        return [
            sql.SQL("generated always as ({expression}) {kind}").format(
                expression=sql.SQL(column.default_sql or ""), kind=sql.SQL("stored" if stored else "virtual")
            )
        ]
    if becomes_identity(column):
        return [sql.SQL("generated by default as identity") + _counting_sql(column)]
    if column.default_sql is not None and column.default_is_safe:
        return [sql.SQL("default ") + sql.SQL(column.default_sql)]
    return []


def _counting_sql(column: Column) -> sql.Composed:
    """Compose how the column's sequence counts, where that is not the type's default."""
    options, limit = column.sequence_options, _INTEGER_LIMITS.get(column.type_oid, 2**63 - 1)
    if options is None:
        return sql.Composed([])
    options = replace(options, maximum=min(options.maximum, limit), minimum=max(options.minimum, -limit - 1))
    if options == SequenceOptions(maximum=limit):
        return sql.Composed([])
    return sql.SQL(
        " (start with {start} increment by {increment} minvalue {minimum} maxvalue {maximum} cache {cache}"
        " {cycle})"
    ).format(
        start=sql.Literal(options.start),
        increment=sql.Literal(options.increment),
        minimum=sql.Literal(options.minimum),
        maximum=sql.Literal(options.maximum),
        cache=sql.Literal(options.cache),
        cycle=sql.SQL("cycle" if options.cycles else "no cycle"),
    )


def becomes_identity(column: Column) -> bool:
    """Tell whether the column is an identity column on a target table that the task creates.

    An identity column is NOT NULL, so a serial column that allows NULL stays plain.
    """
    if column.identity:
        return True
    return column.is_serial and column.not_null and column.type_oid in _INTEGER_LIMITS


def _collation_warnings(columns: Sequence[Column], missing: Collection[Collation]) -> list[str]:
    return [
        f"column {column.name}: the target has no collation {column.collation[1]}; its own default is used"
        for column in columns
        if column.collation is not None and column.collation in missing
    ]


def _default_warnings(columns: Sequence[Column]) -> list[str]:
    return [
        f"column {column.name}: its default rests on objects of the source and is left out"
        for column in columns
        if column.default_sql and not column.generated
        if not column.default_is_safe and not becomes_identity(column)
    ]

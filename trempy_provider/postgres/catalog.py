"""Read from PostgreSQL's catalog which tables a task has and what they look like.

Nothing here changes a server.
See "System Catalogs" in PostgreSQL's manual (53), pg_class, pg_attribute and pg_index above all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from trempy_provider.config.choices import OperationName
from trempy_provider.config.tables import TableSelection
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, TargetSchemaError
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import (
    Column,
    Key,
    Partition,
    QualifiedName,
    SequenceOptions,
    Table,
)

__all__ = [
    "Column",
    "Key",
    "Partition",
    "QualifiedName",
    "Table",
    "find_tables",
    "list_tables",
    "operations_of",
    "read_columns_and_keys",
    "read_table",
    "read_tables",
    "read_target_table",
    "selected_columns",
    "selection_of",
]

_REPLICABLE_KINDS = ("r", "p")


def read_tables(session: Session, names: Iterable[QualifiedName]) -> tuple[Table, ...]:
    """Describe the relations that exist among `names`, in the order of `names`."""
    wanted = list(dict.fromkeys(names))
    parameters = {
        "schemas": [name.schema_name for name in wanted],
        "tables": [name.table_name for name in wanted],
    }
    rows = session.fetch_all(static_sql("tables"), parameters)
    oids = {"oids": [row[0] for row in rows]}
    columns = _by_table(session.fetch_all(static_sql("columns"), {**oids, "waits": True}))
    keys = _by_table(session.fetch_all(static_sql("keys"), oids))
    roots = {"oids": [row[0] for row in rows if row[3] == "p"]}
    partitions = _by_table(session.fetch_all(static_sql("partitions"), roots))
    found = [_table(row, columns[row[0]], keys[row[0]], partitions[row[0]]) for row in rows]
    places = {name: place for place, name in enumerate(wanted)}
    return tuple(sorted(found, key=lambda table: places[table.name]))


def read_table(session: Session, name: QualifiedName) -> Table | None:
    """Describe one relation, None when it does not exist."""
    return next(iter(read_tables(session, [name])), None)


def read_columns_and_keys(session: Session, oid: int) -> tuple[tuple[Column, ...], tuple[Key, ...]]:
    """Return a relation's columns and keys without waiting for whoever has it locked.

    What generated columns are computed from is left out.
    """
    oids = {"oids": [oid]}
    columns = session.fetch_all(static_sql("columns"), {**oids, "waits": False})
    keys = session.fetch_all(static_sql("keys"), oids)
    return tuple(_column(row[1:]) for row in columns), tuple(_key(row[1:]) for row in keys)


def read_target_table(session: Session, name: QualifiedName) -> Table:
    """Describe a target table; raise TargetSchemaError when it does not exist."""
    table = read_table(session, name)
    if table is None:
        raise TargetSchemaError(f"target table {name} does not exist")
    return table


def list_tables(session: Session, task: ReplicationTask) -> tuple[list[QualifiedName], list[QualifiedName]]:
    """Return the task's tables in order of loading, and the explicit names that do not exist.

    A pattern stands for permanent tables and partitioned tables; their partitions belong to them.
    """
    rows = session.fetch_all(static_sql("table_names"))
    matching = [
        QualifiedName(schema, name)
        for schema, name, kind, persistence, is_partition in rows
        if kind in _REPLICABLE_KINDS and persistence == "p" and not is_partition
        if selection_of(task, QualifiedName(schema, name)) is not None
    ]
    explicit = [
        QualifiedName(selection.schema_name, selection.table_name)
        for selection in task.tables
        if not selection.is_pattern
    ]
    existing = {table.name for table in read_tables(session, explicit)}
    missing = [name for name in explicit if name not in existing]
    chosen = dict.fromkeys([name for name in explicit if name in existing] + matching)
    return sorted(chosen, key=lambda name: (_priority(task, name), name)), missing


def find_tables(session: Session, task: ReplicationTask) -> tuple[Table, ...]:
    """Describe the task's tables in order of loading, patterns expanded.

    Raise ConfigurationError that lists the explicit names that do not exist, or when no table is left.
    """
    names, missing = list_tables(session, task)
    if missing:
        listed = ", ".join(str(name) for name in missing)
        raise ConfigurationError(
            f"the source has no table {listed}",
            hint="Correct tables[] in the settings: capitals and spaces count.",
        )
    if not names:
        raise ConfigurationError("no table on the source matches tables[]", hint="Correct the patterns.")
    return read_tables(session, names)


def selection_of(task: ReplicationTask, name: QualifiedName) -> TableSelection | None:
    """Return the selection a table falls under: its own name first, then the first pattern listed."""
    return task.selection_of(name.schema_name, name.table_name)


def selected_columns(task: ReplicationTask, table: Table) -> tuple[Column, ...]:
    """Return the columns that travel: the ones the settings choose, without generated ones."""
    selection = selection_of(task, table.name)
    return tuple(
        column
        for column in table.columns
        if not column.generated and (selection is None or selection.selects_column(column.name))
    )


def operations_of(task: ReplicationTask, table: Table) -> frozenset[OperationName]:
    """Return the operations of a table that the task replicates."""
    selection = selection_of(task, table.name)
    return frozenset(OperationName if selection is None else selection.operations)


def _priority(task: ReplicationTask, name: QualifiedName) -> int:
    selection = selection_of(task, name)
    return selection.priority if selection is not None else 0


def _by_table(rows: Sequence[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    grouped: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(row[1:])
    return grouped


def _table(
    row: tuple[Any, ...],
    columns: list[tuple[Any, ...]],
    keys: list[tuple[Any, ...]],
    partitions: list[tuple[Any, ...]],
) -> Table:
    (
        oid,
        schema,
        name,
        kind,
        persistence,
        identity,
        is_partition,
        secured,
        forced,
        owner,
        *sizes,
        children,
        cascades,
        unique_index_count,
    ) = row
    leaves = tuple(_partition(leaf) for leaf in partitions)
    pages, size_bytes, estimated_rows = _summed(leaves) if kind == "p" else sizes
    return Table(
        oid=oid,
        name=QualifiedName(schema, name),
        kind=kind,
        persistence=persistence,
        replica_identity=identity,
        is_partition=is_partition,
        has_row_security=secured,
        forces_row_security=forced,
        owner=owner,
        page_count=pages,
        size_bytes=size_bytes,
        estimated_rows=estimated_rows,
        has_inheritance_children=children,
        cascades_to_it=cascades,
        unique_index_count=unique_index_count,
        columns=tuple(_column(column) for column in columns),
        keys=tuple(_key(key) for key in keys),
        partitions=leaves,
    )


def _summed(leaves: Sequence[Partition]) -> tuple[int, int, int | None]:
    rows = [leaf.estimated_rows for leaf in leaves if leaf.estimated_rows is not None]
    known = sum(rows) if len(rows) == len(leaves) else None
    return sum(leaf.page_count for leaf in leaves), sum(leaf.size_bytes for leaf in leaves), known


def _partition(row: tuple[Any, ...]) -> Partition:
    oid, schema, name, kind, persistence, identity, pages, size_bytes, rows, columns = row
    leaf_name = QualifiedName(schema, name)
    return Partition(
        oid, leaf_name, kind, persistence, identity, pages, size_bytes, rows, tuple(columns or ())
    )


def _column(row: tuple[Any, ...]) -> Column:
    *described, options = row
    *simple, generated_from, base_name, stored_name = described[:-6]
    collation, sequence, equality = (pair if pair[1] is not None else None for pair in _pairs(described[-6:]))
    owned = None if sequence is None else QualifiedName(*sequence)
    named = (collation, owned, base_name, stored_name, equality, _sequence_options(options))
    values = (*simple, tuple(generated_from or ()), *named)
    return Column(*values)


def _sequence_options(options: list[int] | None) -> SequenceOptions | None:
    if options is None:
        return None
    start, increment, minimum, maximum, cache, cycles = options
    return SequenceOptions(start, increment, minimum, maximum, cache, cycles=bool(cycles))


def _pairs(values: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _key(row: tuple[Any, ...]) -> Key:
    name, is_primary, is_identity, is_immediate, nulls_not_distinct, is_constraint, columns, not_null = row
    return Key(
        name=name,
        columns=tuple(columns),
        is_primary=is_primary,
        is_replica_identity=is_identity,
        is_immediate=is_immediate,
        is_constraint=is_constraint,
        is_not_null=not_null,
        nulls_not_distinct=nulls_not_distinct,
    )

"""The table in which a load collects rows, and how its rows take the target table's place.

Rows arrive in a table of the schema `trempy` that has no index; keys and indexes are made after the rows.
Then one transaction puts them in place, and readers see the old rows until it commits. Either

- the target table is dropped and the load table takes its name: when the task created the target and nothing
  hangs on it that would be lost; or
- the target's rows are deleted and the load table's are inserted.

A transaction of isolation level REPEATABLE READ that began before a move and reads the table for the first
time after it finds no rows, as after TRUNCATE ("Caveats" in PostgreSQL's chapter on concurrency control).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from trempy_provider.postgres.catalog import read_table
from trempy_provider.postgres.copy import column_list_sql
from trempy_provider.postgres.metadata import METADATA_SCHEMA
from trempy_provider.postgres.schema import add_key_sql
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import Column, Key, QualifiedName, Table

_NAME_BYTES = 63  # NAMEDATALEN - 1


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """A key or an index to make on the load table, with its name there and its name in the end."""

    load_name: str
    name: str
    create: sql.Composed
    is_unique: bool
    columns: tuple[str, ...] = ()  # of a key; () where rows are not to be told by them
    nulls_not_distinct: bool = False


def load_table_name(task_name: str, source_oid: int) -> QualifiedName:
    """Return the load table of a task's table; a long task name is shortened to its digest."""
    name = f"load_{task_name}_{source_oid}"
    if len(name) > _NAME_BYTES:
        name = f"load_{hashlib.sha256(task_name.encode()).hexdigest()[:32]}_{source_oid}"
    return QualifiedName(METADATA_SCHEMA, name)


def create_load_table_sql(
    load_table: QualifiedName, target: QualifiedName, *, complete: bool
) -> sql.Composed:
    """Compose a table like the target without indexes; `complete`: to take the target's place.

    It has the target's checks in either case: a change that is replayed into it fails here, by its row.
    """
    options = ["defaults", "generated", "identity", "storage", "compression", "constraints"]
    options += ["comments"] if complete else []
    return sql.SQL("create table {load_table} (like {target} {options})").format(
        load_table=load_table.identifier,
        target=target.identifier,
        options=sql.SQL(" ").join(sql.SQL(f"including {option}") for option in options),
    )


def create_bare_table_sql(name: QualifiedName) -> sql.Composed:
    """Compose a table without columns."""
    return sql.SQL("create table {} ()").format(name.identifier)


def drop_table_sql(name: QualifiedName) -> sql.Composed:
    """Compose the drop of a table that may not be there."""
    return sql.SQL("drop table if exists {}").format(name.identifier)


def read_obstacles(session: Session, target: Table) -> tuple[str, ...]:
    """Return why the target cannot be dropped and replaced without a loss; () when it can."""
    rows = session.fetch_all(static_sql("replacement_obstacles"), {"oid": target.oid})
    return tuple(reason for (reason,) in rows)


def plan_indexes(session: Session, target: Table, *, load_table: QualifiedName) -> tuple[IndexPlan, ...]:
    """Return the target's keys, unique constraints and indexes, to be made on the load table."""
    plans = []
    keys = {key.name: key for key in target.keys}
    rows = session.fetch_all(static_sql("index_definitions"), {"oid": target.oid})
    for number, (name, is_constraint, definition, is_unique) in enumerate(rows):
        load_name = _index_name(load_table, number)
        create = (
            _constraint_sql(load_name, load_table, definition)
            if is_constraint
            else _index_sql(load_name, load_table, definition, is_unique=is_unique)
        )
        plans.append(_index_plan(load_name, name, create, is_unique=is_unique, key=keys.get(name)))
    return tuple(plans)


def plan_keys(keys: Sequence[Key], *, load_table: QualifiedName) -> tuple[IndexPlan, ...]:
    """Return keys after the source's model."""
    plans = []
    for number, key in enumerate(keys):
        load_name = _index_name(load_table, number)
        create = add_key_sql(key, table_name=load_table, key_name=load_name)
        plans.append(_index_plan(load_name, key.name, create, is_unique=True, key=key))
    return tuple(plans)


def _index_plan(
    load_name: str, name: str, create: sql.Composed, *, is_unique: bool, key: Key | None
) -> IndexPlan:
    if key is None:
        return IndexPlan(load_name, name, create, is_unique)
    return IndexPlan(load_name, name, create, is_unique, key.columns, key.nulls_not_distinct)


def move_into_place(
    session: Session, *, load_table: QualifiedName, target: QualifiedName, indexes: Sequence[IndexPlan]
) -> None:
    """Drop the target and give its name to the load table; call it in the final transaction."""
    old, new = read_table(session, target), read_table(session, load_table)
    assert new is not None
    serials = [column for column in old.columns if column.sequence and column.is_serial] if old else []
    for column in serials:
        session.execute(_own_sequence_sql(column, owner=None))
    comment = _read_comment(session, old)
    session.execute(drop_table_sql(target))
    session.execute(_set_schema_sql(load_table, target.schema_name))
    moved = QualifiedName(target.schema_name, load_table.table_name)
    session.execute(_rename_sql("table", moved, target.table_name))
    _rename_indexes(session, target.schema_name, indexes)
    _rename_sequences(session, target, old=old, new=new)
    for column in serials:
        session.execute(_own_sequence_sql(column, owner=target))
    if comment is not None:
        session.execute(_comment_sql(target, comment))


def replace_rows(
    session: Session,
    *,
    load_table: QualifiedName,
    target: Table,
    columns: Sequence[str],
    delete: bool,
) -> None:
    """Put the load table's rows in the target instead of its own; call it in the final transaction."""
    if delete:
        session.execute(sql.SQL("delete from {}").format(target.rows))
    session.execute(insert_rows_sql(load_table, target.name, columns))
    session.execute(drop_table_sql(load_table))


def insert_rows_sql(load_table: QualifiedName, target: QualifiedName, columns: Sequence[str]) -> sql.Composed:
    """Compose the insertion of the load table's rows, values of identity columns included."""
    return sql.SQL("insert into {target}{names} overriding system value select {columns} from {load}").format(
        target=target.identifier,
        names=column_list_sql(columns),
        load=load_table.identifier,
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
    )


def holds_rows(session: Session, table: Table) -> bool:
    """Tell whether a table has a row."""
    return bool(session.fetch_value(sql.SQL("select exists (select from {})").format(table.rows)))


def _index_name(load_table: QualifiedName, number: int) -> str:
    digest = hashlib.sha256(load_table.table_name.encode()).hexdigest()[:16]
    return f"load_{digest}_{number}"


def _constraint_sql(name: str, table: QualifiedName, definition: str) -> sql.Composed:
    return sql.SQL("alter table {} add constraint {} {}").format(
        table.identifier, sql.Identifier(name), sql.SQL(definition)
    )


def _index_sql(name: str, table: QualifiedName, definition: str, *, is_unique: bool) -> sql.Composed:
    return sql.SQL("create {}index {} on {}{}").format(
        sql.SQL("unique " if is_unique else ""), sql.Identifier(name), table.identifier, sql.SQL(definition)
    )


def _rename_indexes(session: Session, schema_name: str, indexes: Sequence[IndexPlan]) -> None:
    """Give the indexes their names; one whose name is taken by another table's keeps what it has."""
    for index in indexes:
        taken = {"schema_name": schema_name, "name": index.name}
        if not session.fetch_value(static_sql("relation_exists"), taken):
            session.execute(_rename_sql("index", QualifiedName(schema_name, index.load_name), index.name))


def _rename_sequences(session: Session, target: QualifiedName, *, old: Table | None, new: Table) -> None:
    """Give the identity columns' sequences the names the old ones had, or would have."""
    names = {column.name: column.sequence for column in old.columns} if old else {}
    for column in new.columns:
        if column.identity and column.sequence is not None:
            present = QualifiedName(target.schema_name, column.sequence.table_name)
            former = names.get(column.name)
            wanted = former.table_name if former else f"{target.table_name}_{column.name}_seq"[:_NAME_BYTES]
            taken = {"schema_name": target.schema_name, "name": wanted}
            if not session.fetch_value(static_sql("relation_exists"), taken):
                session.execute(_rename_sql("sequence", present, wanted))


def _rename_sql(kind: str, name: QualifiedName, new_name: str) -> sql.Composed:
    return sql.SQL("alter {} {} rename to {}").format(
        sql.SQL(kind), name.identifier, sql.Identifier(new_name)
    )


def _set_schema_sql(name: QualifiedName, schema_name: str) -> sql.Composed:
    return sql.SQL("alter table {} set schema {}").format(name.identifier, sql.Identifier(schema_name))


def _own_sequence_sql(column: Column, *, owner: QualifiedName | None) -> sql.Composed:
    assert column.sequence is not None
    owned_by = (
        sql.SQL("none") if owner is None else sql.Identifier(owner.schema_name, owner.table_name, column.name)
    )
    return sql.SQL("alter sequence {} owned by {}").format(column.sequence.identifier, owned_by)


def _read_comment(session: Session, table: Table | None) -> str | None:
    if table is None:
        return None
    comment = session.fetch_value(
        "select obj_description(%(oid)s::bigint::oid, 'pg_class')", {"oid": table.oid}
    )
    return None if comment is None else str(comment)


def _comment_sql(table: QualifiedName, comment: str) -> sql.Composed:
    return sql.SQL("comment on table {} is {}").format(table.identifier, sql.Literal(comment))

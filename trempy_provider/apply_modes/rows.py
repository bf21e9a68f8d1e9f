"""Statements for one change of one row: exact for every shape of table.

Rows of a table with a key are found by it.
Rows of a table without one are found by all their columns, and exactly one of equal rows is touched.
There, values are compared by the text form they have on the target, because some types have no equality and
others call different values equal (`1.0` and `1.00`).
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2 import sql

from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.apply_modes.statements import overriding_sql, written_sql
from trempy_provider.postgres.literals import literal_sql
from trempy_provider.replication.changes import Change
from trempy_provider.replication.messages import UNCHANGED, Tuple, Value


def insert_row_sql(projection: Projection, row: Tuple) -> sql.Composed:
    """Compose the insertion of a row."""
    if not projection.columns:
        return sql.SQL("insert into {} default values").format(projection.target)
    return sql.SQL("insert into {written} {overriding}values ({row})").format(
        written=written_sql(projection),
        overriding=overriding_sql(projection),
        row=sql.SQL(", ").join(literal_sql(value) for value in projection.values(row)),
    )


def update_row_sql(projection: Projection, change: Change, *, key: Tuple | None = None) -> sql.Composed:
    """Compose the update of the columns that were sent, of the row with the key it had, or with `key`."""
    assert change.new is not None
    return sql.SQL("update {rows} t set {assignments} where {match}").format(
        rows=projection.rows,
        assignments=_sent_sql(projection, change.new),
        match=match_row_sql(projection, change, key=key),
    )


def delete_row_sql(projection: Projection, change: Change) -> sql.Composed:
    """Compose the deletion of one row."""
    return sql.SQL("delete from {rows} t where {match}").format(
        rows=projection.rows, match=match_row_sql(projection, change)
    )


def match_row_sql(projection: Projection, change: Change, *, key: Tuple | None = None) -> sql.Composed:
    """Compose the condition that finds the row before a change in the target table t."""
    if projection.key:
        values = key or change.key_before(projection.key_positions)
        return _equal_sql(zip(projection.key, values, strict=True))
    assert change.old is not None
    values = projection.values(change.old.values)
    return first_sql(projection).format(
        rows=projection.rows, same=_identical_sql(zip(projection.columns, values, strict=True))
    )


def first_sql(projection: Projection) -> sql.SQL:
    """Compose the condition for one of equal rows; a ctid is a place within one partition."""
    if projection.is_partitioned:
        return sql.SQL(
            "(t.tableoid, t.ctid) = (select r.tableoid, r.ctid from {rows} r where {same} limit 1)"
        )
    return sql.SQL("t.ctid = (select r.ctid from {rows} r where {same} limit 1)")


def _sent_sql(projection: Projection, row: Tuple) -> sql.Composed:
    """Compose the assignments of the values sent; when none was, the row is still to be found."""
    pairs = zip(projection.columns, projection.values(row), strict=True)
    sent = [(column, value) for column, value in pairs if value is not UNCHANGED]
    if not sent:
        return sql.SQL("{name} = t.{name}").format(name=projection.columns[0].identifier)
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(column.identifier, literal_sql(value)) for column, value in sent
    )


def _equal_sql(pairs: Iterable[tuple[ProjectedColumn, Value]]) -> sql.Composed:
    return sql.SQL(" and ").join(column.equals_sql("t", _typed_sql(column, value)) for column, value in pairs)


def _identical_sql(pairs: Iterable[tuple[ProjectedColumn, Value]]) -> sql.Composed:
    conditions = [_same_value_sql(column, value) for column, value in pairs]
    return sql.SQL(" and ").join(conditions or [sql.SQL("true")])


def _same_value_sql(column: ProjectedColumn, value: Value) -> sql.Composed:
    """Compose the comparison; `is null` would be about the fields of a composite value."""
    if value is None:
        return sql.SQL("r.{} is not distinct from null").format(column.identifier)
    return sql.SQL(
        "(r.{name} is distinct from null"
        " and format('%s', r.{name}) = (select format('%s', {value})) collate \"C\")"
    ).format(name=column.identifier, value=_typed_sql(column, value))


def _typed_sql(column: ProjectedColumn, value: Value) -> sql.Composed:
    return sql.SQL("{}::{}").format(literal_sql(value), sql.SQL(column.type_name))

"""Statements for one change of one row: exact for every shape of table.

Rows of a table with a key are found by it.
Rows of a table without one are found by all their columns, and exactly one of equal rows is touched.
There, values of the same type on both sides are compared by their text form, because some types have no
equality and others call different values equal (`1.0` and `1.00`).
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2 import sql

from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.apply_modes.statements import names_sql, overriding_sql
from trempy_provider.postgres.literals import literal_sql
from trempy_provider.replication.changes import Change
from trempy_provider.replication.messages import UNCHANGED, Tuple, Value


def insert_row_sql(projection: Projection, row: Tuple) -> sql.Composed:
    """Compose the insertion of a row."""
    return sql.SQL("insert into {target} ({columns}) {overriding}values ({row})").format(
        target=projection.target,
        columns=names_sql(projection.columns),
        overriding=overriding_sql(projection),
        row=sql.SQL(", ").join(literal_sql(value) for value in projection.values(row)),
    )


def update_row_sql(projection: Projection, change: Change) -> sql.Composed:
    """Compose the update of the columns that were sent."""
    assert change.new is not None
    return sql.SQL("update {target} t set {assignments} where {match}").format(
        target=projection.target,
        assignments=_sent_sql(projection, change.new),
        match=match_row_sql(projection, change),
    )


def delete_row_sql(projection: Projection, change: Change) -> sql.Composed:
    """Compose the deletion of one row."""
    return sql.SQL("delete from {target} t where {match}").format(
        target=projection.target, match=match_row_sql(projection, change)
    )


def match_row_sql(projection: Projection, change: Change) -> sql.Composed:
    """Compose the condition that finds the row before a change in the target table t."""
    if projection.key:
        values = change.key_before(projection.key_positions)
        return _equal_sql(zip(projection.key, values, strict=True))
    assert change.old is not None
    values = projection.values(change.old.values)
    return sql.SQL("t.ctid = (select r.ctid from {target} r where {same} limit 1)").format(
        target=projection.target, same=_identical_sql(zip(projection.columns, values, strict=True))
    )


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
    return sql.SQL(" and ").join(
        sql.SQL("t.{} = {}").format(column.identifier, literal_sql(value)) for column, value in pairs
    )


def _identical_sql(pairs: Iterable[tuple[ProjectedColumn, Value]]) -> sql.Composed:
    return sql.SQL(" and ").join(_same_value_sql(column, value) for column, value in pairs)


def _same_value_sql(column: ProjectedColumn, value: Value) -> sql.Composed:
    if value is None:
        return sql.SQL("r.{} is null").format(column.identifier)
    if not column.has_same_type:
        return sql.SQL("r.{} = {}").format(column.identifier, literal_sql(value))
    return sql.SQL("(r.{name} is not null and format('%s', r.{name}) = {value} collate \"C\")").format(
        name=column.identifier, value=literal_sql(value)
    )

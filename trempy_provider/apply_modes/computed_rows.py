"""Statements for one change of one row whose values are computed, or whose rows are filtered.

The values stand in a SELECT of one row instead of a staging table, called s; the row before the change stands
beside it, called o.
So expressions are the same as for many rows.
"""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.apply_modes.conflict import on_conflict_sql
from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.apply_modes.rows import first_sql
from trempy_provider.apply_modes.staged_statements import entering_refusal
from trempy_provider.apply_modes.statements import (
    SENT,
    UNSENT,
    Statement,
    assignments_sql,
    column_of,
    failing_sql,
    insert_sql,
    match_sql,
    passing_sql,
    sent_conditions,
    where_sql,
    whole_mask,
)
from trempy_provider.postgres.literals import literal_sql
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, Tuple


def default_statements(projection: Projection, change: Change) -> list[Statement]:
    """Return the statements of the mode `default`, to try in turn until one touches the row."""
    row_count = None if projection.is_filtered else 1
    if change.operation is Operation.INSERT:
        return [Statement(_insert_sql(projection, change), row_count)]
    if change.operation is Operation.DELETE:
        return [Statement(_delete_sql(projection, change), row_count)]
    update = Statement(_update_sql(projection, change), 1)
    if not projection.is_filtered:
        return [update]
    leave = _leaving(projection, change)
    if UNSENT in _mask(projection, change):
        return [*leave, update, _entering(projection, change)]
    return [*leave, update, Statement(_insert_sql(projection, change), None)]


def upsert_statements(projection: Projection, change: Change) -> list[Statement]:
    """Return the statements of the mode `upsert`, to try in turn until one touches the row."""
    if change.operation is Operation.DELETE:
        return [Statement(_delete_sql(projection, change), None)]
    leave = _leaving(projection, change)
    if change.operation is Operation.INSERT:
        return [*leave, *_upserts(projection, change)]
    update = Statement(_update_sql(projection, change), 1)
    if UNSENT not in _mask(projection, change):
        return [*leave, update, *_upserts(projection, change)]
    return [*leave, update, *([_entering(projection, change)] if projection.is_filtered else [])]


def _upserts(projection: Projection, change: Change) -> list[Statement]:
    insert = _insert_sql(projection, change)
    if projection.has_key_index:
        return [Statement(insert + on_conflict_sql(projection), None)]
    return [Statement(_update_sql(projection, change, found_by="s"), 1), Statement(insert, None)]


def _insert_sql(projection: Projection, change: Change) -> sql.Composed:
    return insert_sql(
        projection, _row_sql(projection, change.completed), passing_sql(projection, whole_mask(projection))
    )


def _update_sql(projection: Projection, change: Change, *, found_by: str = "o") -> sql.Composed:
    mask = _mask(projection, change)
    conditions = [*passing_sql(projection, mask), _match_sql(projection, change, found_by)]
    return sql.SQL("update {rows} t set {assignments} from {new} s{old}{where}").format(
        rows=projection.rows,
        assignments=assignments_sql(projection, mask, with_key=True),
        new=_row_sql(projection, change.completed),
        old=_old_sql(projection, change) if found_by == "o" else sql.SQL(""),
        where=where_sql(conditions),
    )


def _leaving(projection: Projection, change: Change) -> list[Statement]:
    """Return the deletion of the row if it does not pass the filters any more."""
    passing = passing_sql(projection, _mask(projection, change))
    if not passing:
        return []
    query = sql.SQL("delete from {rows} t using {new} s{old}{where}").format(
        rows=projection.rows,
        new=_row_sql(projection, change.completed),
        old=_old_sql(projection, change),
        where=where_sql([failing_sql(passing), _match_sql(projection, change, "o")]),
    )
    return [Statement(query, 1)]


def _delete_sql(projection: Projection, change: Change) -> sql.Composed:
    if not projection.key:
        return sql.SQL("delete from {} t{}").format(
            projection.rows, where_sql([_match_sql(projection, change, "o")])
        )
    return sql.SQL("delete from {rows} t using {old} o{where}").format(
        rows=projection.rows,
        old=_row_sql(projection, _before(change)),
        where=where_sql([match_sql(projection, "o")]),
    )


def _entering(projection: Projection, change: Change) -> Statement:
    """Return the search for a row that would have to be inserted with values that were not sent.

    It is tried when the target has no such row; one that no sent value concerns has not come to pass.
    """
    sent = sent_conditions(projection, _mask(projection, change)) or [sql.SQL("false")]
    query = sql.SQL("select from {} s{}").format(_row_sql(projection, change.completed), where_sql(sent))
    return Statement(query, 0, refusal=entering_refusal(projection))


def _match_sql(projection: Projection, change: Change, row: str) -> sql.Composed:
    """Compose the condition that finds the row before the change in the target table t."""
    if projection.key:
        return match_sql(projection, row)
    same = sql.SQL(" and ").join(
        _same_sql(column) for column in projection.columns if not column.is_momentary
    )
    rows = sql.SQL("{old} o, {rows}").format(old=_row_sql(projection, _before(change)), rows=projection.rows)
    return first_sql(projection).format(rows=rows, same=same)


def _same_sql(column: ProjectedColumn) -> sql.Composed:
    """Compare a value of r with that made of o by the text form they have on the target."""
    return sql.SQL(
        "(r.{name} is not distinct from null) = ({value} is not distinct from null)"
        " and format('%s', r.{name}) = format('%s', {value}::{type}) collate \"C\""
    ).format(
        name=column.identifier,
        value=column.value_sql(column_of("o")),
        type=sql.SQL(column.type_name),
    )


def _old_sql(projection: Projection, change: Change) -> sql.Composable:
    """Compose the row before the change beside others; without a key it stands where it is compared."""
    if not projection.key:
        return sql.SQL("")
    return sql.SQL(", {} o").format(_row_sql(projection, _before(change)))


def _before(change: Change) -> Tuple:
    if change.old is not None:
        return change.old.values
    assert change.new is not None
    return change.new


def _row_sql(projection: Projection, row: Tuple) -> sql.Composed:
    """Compose a table of one row; a value that was not sent is null and must not be read."""
    values = zip(projection.staged, projection.staged_values(row), strict=True)
    fields = [
        sql.SQL("{value}::{type} as {name}").format(
            value=literal_sql(None if value is UNCHANGED else value),
            type=sql.SQL(column.literal_type_name),
            name=sql.Identifier(column.name),
        )
        for column, value in values
    ]
    return sql.SQL("(select {})").format(sql.SQL(", ").join(fields))


def _mask(projection: Projection, change: Change) -> str:
    values = projection.staged_values(change.completed)
    return "".join(UNSENT if value is UNCHANGED else SENT for value in values)

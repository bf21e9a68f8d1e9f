"""The mode `default`: every operation as it happened on the source.

An INSERT of a key that exists, or an UPDATE or DELETE of one that does not, is an error of its row.
Where rows are filtered, a missing row is none: it may not have passed.
Then an UPDATE removes the row that does not pass any more, and inserts the one that has come to pass.
But where the target's own foreign keys act, a row may have been deleted in cascade with the row it refers to,
before the source's own DELETE of it arrives.
"""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.apply_modes import computed_rows
from trempy_provider.apply_modes.projection import Projection
from trempy_provider.apply_modes.rows import delete_row_sql, insert_row_sql, update_row_sql
from trempy_provider.apply_modes.staged_statements import (
    entering,
    leaving,
    staged_came_and_went_sql,
    staged_delete_sql,
    staged_insert_sql,
    staged_update_sql,
)
from trempy_provider.apply_modes.statements import CAME_AND_WENT, Statement
from trempy_provider.postgres.staging import StagedCounts
from trempy_provider.replication.changes import Change, Operation


def group_statements(
    projection: Projection, *, staging: sql.Identifier, counts: StagedCounts
) -> list[Statement]:
    """Return the statements that apply staged net changes: deletes, then updates, then inserts."""
    statements = []
    deletes, inserts = counts.count("D"), counts.count("I")
    if counts.count(CAME_AND_WENT):
        statements.append(Statement(staged_came_and_went_sql(projection, staging), 0))
    if deletes:
        query = staged_delete_sql(projection, staging)
        statements.append(
            Statement(query, None) if projection.cascades_to_it else _counted(projection, query, deletes)
        )
    for mask, updates in counts.masks("U"):
        statements += leaving(projection, staging, mask)
        statements.append(_counted(projection, staged_update_sql(projection, staging, mask), updates))
        if projection.is_filtered:
            statements += entering(projection, staging, mask)
    if inserts:
        statements.append(_counted(projection, staged_insert_sql(projection, staging, "I"), inserts))
    return statements


def row_statements(projection: Projection, change: Change) -> list[Statement]:
    """Return the statements to try in turn until one touches the row."""
    if not projection.is_plain:
        return computed_rows.default_statements(projection, change)
    if change.operation is Operation.INSERT:
        assert change.new is not None
        return [Statement(insert_row_sql(projection, change.new), 1)]
    if change.operation is Operation.UPDATE:
        return [Statement(update_row_sql(projection, change), 1)]
    expected = None if projection.cascades_to_it else 1
    return [Statement(delete_row_sql(projection, change), expected)]


def _counted(projection: Projection, query: sql.Composed, row_count: int) -> Statement:
    """Return a statement that touches exactly so many rows, if all of them pass."""
    return Statement(query, None if projection.is_filtered else row_count)

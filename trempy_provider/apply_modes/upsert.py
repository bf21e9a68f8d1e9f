"""The mode `upsert`: a row ends as the source has it, whether it existed on the target or not.

An INSERT of a key that exists updates it, an UPDATE of one that does not inserts it, a DELETE of one that
does not is no error; where rows are filtered, one that does not pass is removed.
Where the target has no unique index on the columns that find a row, ON CONFLICT has nothing to rest on: rows
that are there are updated, then the missing ones are inserted.
A row without a key cannot be found again, so for tables without one this is the mode `default`.
"""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.apply_modes import computed_rows, default
from trempy_provider.apply_modes.conflict import on_conflict_sql
from trempy_provider.apply_modes.projection import Projection
from trempy_provider.apply_modes.rows import delete_row_sql, insert_row_sql, update_row_sql
from trempy_provider.apply_modes.staged_statements import (
    entering,
    leaving,
    staged_delete_sql,
    staged_insert_sql,
    staged_update_sql,
)
from trempy_provider.apply_modes.statements import CAME_AND_WENT, UNSENT, Statement, whole_mask
from trempy_provider.postgres.staging import StagedCounts
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, Tuple


def group_statements(
    projection: Projection, *, staging: sql.Identifier, counts: StagedCounts
) -> list[Statement]:
    """Return the statements that apply staged net changes: deletes, then updates, then upserts."""
    if not projection.key:
        return default.group_statements(projection, staging=staging, counts=counts)
    statements = []
    if counts.count("D") or counts.count(CAME_AND_WENT):
        deleted = f"D{CAME_AND_WENT}"
        statements.append(Statement(staged_delete_sql(projection, staging, deleted), None))
    if projection.is_filtered and (counts.count("I") or _whole_updates(counts)):
        statements += leaving(projection, staging, whole_mask(projection), operations="IU")
    for mask, updates in counts.masks("U"):
        if UNSENT in mask:
            statements += _masked_updates(projection, staging, mask, updates)
    if counts.count("I") or _whole_updates(counts):
        statements += _upserts(projection, staging)
    return statements


def row_statements(projection: Projection, change: Change) -> list[Statement]:
    """Return the statements to try in turn until one touches the row."""
    if not projection.key:
        return default.row_statements(projection, change)
    if not projection.is_plain:
        return computed_rows.upsert_statements(projection, change)
    if change.operation is Operation.DELETE:
        return [Statement(delete_row_sql(projection, change), None)]
    if change.operation is Operation.INSERT:
        return _row_upserts(projection, change, change.completed)
    update = Statement(update_row_sql(projection, change), 1)
    row = change.completed
    return [update] if UNCHANGED in row else [update, *_row_upserts(projection, change, row)]


def _whole_updates(counts: StagedCounts) -> bool:
    return any(UNSENT not in mask for mask, _ in counts.masks("U"))


def _masked_updates(
    projection: Projection, staging: sql.Identifier, mask: str, row_count: int
) -> list[Statement]:
    """Update rows that cannot be inserted, since not all of their values are known."""
    update = staged_update_sql(projection, staging, mask)
    if not projection.is_filtered:
        return [Statement(update, row_count)]
    leave, enter = leaving(projection, staging, mask), entering(projection, staging, mask)
    return [*leave, Statement(update, None), *enter]


def _upserts(projection: Projection, staging: sql.Identifier) -> list[Statement]:
    whole = whole_mask(projection)
    if projection.has_key_index:
        insert = staged_insert_sql(projection, staging, "IU", mask=whole)
        return [Statement(insert + on_conflict_sql(projection), None)]
    update = staged_update_sql(projection, staging, whole, operations="IU")
    insert = staged_insert_sql(projection, staging, "IU", mask=whole, only_missing=True)
    return [Statement(update, None), Statement(insert, None)]


def _row_upserts(projection: Projection, change: Change, row: Tuple) -> list[Statement]:
    insert = insert_row_sql(projection, row)
    if projection.has_key_index:
        return [Statement(insert + on_conflict_sql(projection), None)]
    key = change.key_after(projection.key_positions)
    return [Statement(update_row_sql(projection, change, key=key), 1), Statement(insert, None)]

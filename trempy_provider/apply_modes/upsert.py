"""The mode `upsert`: a row ends as the source has it, whether it existed on the target or not.

An INSERT of a key that exists updates it, an UPDATE of one that does not inserts it, a DELETE of one that
does not is no error.
A row without a key cannot be found again, so for tables without one this is the mode `default`.
"""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.apply_modes import default
from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.apply_modes.rows import delete_row_sql, insert_row_sql, update_row_sql
from trempy_provider.apply_modes.statements import (
    CAME_AND_WENT,
    Statement,
    names_sql,
    staged_delete_sql,
    staged_insert_sql,
    staged_update_sql,
)
from trempy_provider.postgres.staging import MASK_COLUMN, StagedCounts
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
    for mask, updates in counts.masks("U"):
        if "u" in mask:
            statements.append(Statement(staged_update_sql(projection, staging, mask), updates))
    if counts.count("I") or _whole_updates(counts):
        statements.append(Statement(_staged_upsert_sql(projection, staging), None))
    return statements


def row_statements(projection: Projection, change: Change) -> list[Statement]:
    """Return the statements to try in turn until one touches the row."""
    if not projection.key:
        return default.row_statements(projection, change)
    if change.operation is Operation.DELETE:
        return [Statement(delete_row_sql(projection, change), None)]
    assert change.new is not None
    if change.operation is Operation.INSERT:
        return [Statement(_upsert_row_sql(projection, change.new), None)]
    update = Statement(update_row_sql(projection, change), 1)
    row = change.completed
    return [update] if UNCHANGED in row else [update, Statement(_upsert_row_sql(projection, row), None)]


def _whole_updates(counts: StagedCounts) -> bool:
    return any("u" not in mask for mask, _ in counts.masks("U"))


def _staged_upsert_sql(projection: Projection, staging: sql.Identifier) -> sql.Composed:
    whole = "." * len(projection.staged)
    condition = sql.SQL(" and s.{} = {} ").format(sql.Identifier(MASK_COLUMN), sql.Literal(whole))
    return staged_insert_sql(projection, staging, "IU") + condition + _on_conflict_sql(projection)


def _upsert_row_sql(projection: Projection, row: Tuple) -> sql.Composed:
    return insert_row_sql(projection, row) + sql.SQL(" ") + _on_conflict_sql(projection)


def _on_conflict_sql(projection: Projection) -> sql.Composed:
    written = [
        column
        for column in projection.columns
        if column not in projection.key or not column.equal_is_identical
    ]
    if not written:
        return sql.SQL("on conflict ({}) do nothing").format(names_sql(projection.key))
    return sql.SQL("on conflict ({key}) do update set {assignments}").format(
        key=names_sql(projection.key), assignments=_excluded_sql(written)
    )


def _excluded_sql(columns: list[ProjectedColumn]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{name} = excluded.{name}").format(name=column.identifier) for column in columns
    )

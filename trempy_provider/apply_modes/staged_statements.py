"""Statements over a staging table: one serves all rows of an operation, or all with the same mask."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from trempy_provider.apply_modes.projection import Projection
from trempy_provider.apply_modes.statements import (
    CAME_AND_WENT,
    UNSENT,
    Statement,
    assignments_sql,
    failing_sql,
    insert_sql,
    mask_sql,
    match_sql,
    missing_sql,
    operation_sql,
    passing_sql,
    sent_conditions,
    where_sql,
    whole_mask,
)


def staged_insert_sql(
    projection: Projection,
    staging: sql.Identifier,
    operations: Sequence[str],
    *,
    mask: str | None = None,
    only_missing: bool = False,
) -> sql.Composed:
    """Compose the insertion of staged rows of some operations that pass the filters, in their order.

    `mask`: only rows with this mask, which must be that of whole rows.
    """
    conditions: list[sql.Composable] = [operation_sql(operations)]
    if mask is not None:
        conditions.append(mask_sql(mask))
    conditions += passing_sql(projection, whole_mask(projection))
    if only_missing:
        conditions.append(missing_sql(projection, "s"))
    return insert_sql(projection, staging, conditions)


def staged_update_sql(
    projection: Projection, staging: sql.Identifier, mask: str, *, operations: Sequence[str] = "U"
) -> sql.Composed:
    """Compose the update from staged rows with one mask that pass the filters; unchanged values are left."""
    conditions = [
        operation_sql(operations),
        mask_sql(mask),
        *passing_sql(projection, mask),
        match_sql(projection, "s"),
    ]
    return sql.SQL("update {rows} t set {assignments} from {staging} s{where}").format(
        rows=projection.rows,
        assignments=assignments_sql(projection, mask),
        staging=staging,
        where=where_sql(conditions),
    )


def staged_delete_sql(
    projection: Projection, staging: sql.Identifier, operations: Sequence[str] = "D"
) -> sql.Composed:
    """Compose the deletion of the rows whose keys are staged as deleted."""
    return _delete_sql(projection, staging, [operation_sql(operations)])


def leaving(
    projection: Projection, staging: sql.Identifier, mask: str, *, operations: Sequence[str] = "U"
) -> list[Statement]:
    """Return the deletion of the rows with one mask that do not pass the filters any more, if they may."""
    passing = passing_sql(projection, mask)
    if not passing:
        return []
    conditions = [operation_sql(operations), mask_sql(mask), failing_sql(passing)]
    return [Statement(_delete_sql(projection, staging, conditions), None)]


def entering(projection: Projection, staging: sql.Identifier, mask: str) -> list[Statement]:
    """Return what inserts the rows updated with one mask that have come to pass the filters.

    For rows not all of whose values were sent, it is a search that must find none.
    """
    if UNSENT not in mask:
        insert = staged_insert_sql(projection, staging, "U", mask=mask, only_missing=True)
        return [Statement(insert, None)]
    sent = sent_conditions(projection, mask)
    if not sent:
        return []
    conditions = [operation_sql("U"), mask_sql(mask), *sent, missing_sql(projection, "s")]
    query = sql.SQL("select from {} s{}").format(staging, where_sql(conditions))
    return [Statement(query, 0, refusal=entering_refusal(projection))]


def entering_refusal(projection: Projection) -> str:
    """Say why a row cannot be inserted that may have come to pass the filters."""
    return (
        "row(s) may have come to pass the filters, with values that the source did not send: "
        f"{projection.source_name} needs REPLICA IDENTITY FULL"
    )


def staged_came_and_went_sql(projection: Projection, staging: sql.Identifier) -> sql.Composed:
    """Compose the search for rows that were inserted and deleted again: there must be none."""
    return sql.SQL("select from {rows} t join {staging} s on {match} where {staged}").format(
        rows=projection.rows,
        staging=staging,
        staged=operation_sql(CAME_AND_WENT),
        match=match_sql(projection, "s"),
    )


def _delete_sql(
    projection: Projection, staging: sql.Identifier, conditions: Sequence[sql.Composable]
) -> sql.Composed:
    return sql.SQL("delete from {rows} t using {staging} s{where}").format(
        rows=projection.rows,
        staging=staging,
        where=where_sql([*conditions, match_sql(projection, "s")]),
    )

"""Statements that bring changes into a target table, as values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.postgres.expression_sql import ColumnWriter
from trempy_provider.postgres.staging import MASK_COLUMN, OPERATION_COLUMN
from trempy_provider.replication.changes import Operation
from trempy_provider.replication.net_changes import NetChange

_LETTERS = {Operation.INSERT: "I", Operation.UPDATE: "U", Operation.DELETE: "D"}
CAME_AND_WENT = "G"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and how many rows it has to touch; None: any number."""

    query: sql.Composed
    expected_rows: int | None


def staged_letter(net: NetChange) -> str:
    """Return the letter under which a net change is staged: I, U, D, or G for a row that came and went."""
    if net.operation is Operation.DELETE and not net.existed:
        return CAME_AND_WENT
    return _LETTERS[net.operation]


def names_sql(columns: Iterable[ProjectedColumn]) -> sql.Composed:
    """Compose the list of the columns' names."""
    return sql.SQL(", ").join(column.identifier for column in columns)


def column_of(row: str) -> ColumnWriter:
    """Return the writer of columns of the row called `row`: `s."name"`."""
    return lambda name: sql.SQL(row + ".") + sql.Identifier(name)


def values_sql(columns: Iterable[ProjectedColumn], row: str) -> sql.Composed:
    """Compose the list of the columns' values, made from the staged row called `row`."""
    return sql.SQL(", ").join(column.value_sql(column_of(row)) for column in columns)


def assignments_sql(columns: Iterable[ProjectedColumn], row: str) -> sql.Composed:
    """Compose `name = value` for each column, the value made from the staged row called `row`."""
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(column.identifier, column.value_sql(column_of(row))) for column in columns
    )


def match_sql(projection: Projection, row: str) -> sql.Composed:
    """Compose the condition that a target row t has the key of the staged row called `row`."""
    return sql.SQL(" and ").join(
        column.equals_sql("t", column.value_sql(column_of(row))) for column in projection.key
    )


def sent_columns(projection: Projection, mask: str) -> list[ProjectedColumn]:
    """Return the columns, without the key's, all of whose values were sent according to a mask."""
    if len(mask) != len(projection.staged):
        raise ValueError(f"a mask of {len(mask)} letters for {len(projection.staged)} staged columns")
    return [
        column
        for column in projection.columns
        if column not in projection.key and all(mask[i] != "u" for i in column.staged_indexes)
    ]


def overriding_sql(projection: Projection) -> sql.SQL:
    """Compose the clause that lets INSERT write an identity column that is GENERATED ALWAYS."""
    return sql.SQL("overriding system value ") if projection.overrides_identity else sql.SQL("")


def staged_insert_sql(
    projection: Projection, staging: sql.Identifier, operations: Sequence[str]
) -> sql.Composed:
    """Compose the insertion of staged rows of some operations, in the order of their staging."""
    return sql.SQL(
        "insert into {target} ({columns}) {overriding}select {staged} from {staging} s where {operation}"
    ).format(
        target=projection.target,
        columns=names_sql(projection.columns),
        overriding=overriding_sql(projection),
        staged=values_sql(projection.columns, "s"),
        staging=staging,
        operation=_operation_sql(operations),
    )


def staged_update_sql(projection: Projection, staging: sql.Identifier, mask: str) -> sql.Composed:
    """Compose the update from staged rows with one mask; its unchanged columns are left alone."""
    written = sent_columns(projection, mask)
    return sql.SQL(
        "update {rows} t set {assignments} from {staging} s "
        "where s.{operation} = 'U' and s.{mask_column} = {mask} and {match}"
    ).format(
        rows=projection.rows,
        assignments=assignments_sql(written or projection.key, "s"),
        staging=staging,
        operation=sql.Identifier(OPERATION_COLUMN),
        mask_column=sql.Identifier(MASK_COLUMN),
        mask=sql.Literal(mask),
        match=match_sql(projection, "s"),
    )


def staged_delete_sql(
    projection: Projection, staging: sql.Identifier, operations: Sequence[str] = "D"
) -> sql.Composed:
    """Compose the deletion of the rows whose keys are staged as deleted."""
    return sql.SQL("delete from {rows} t using {staging} s where {staged} and {match}").format(
        rows=projection.rows,
        staging=staging,
        staged=_operation_sql(operations),
        match=match_sql(projection, "s"),
    )


def staged_came_and_went_sql(projection: Projection, staging: sql.Identifier) -> sql.Composed:
    """Compose the search for rows that were inserted and deleted again: there must be none."""
    return sql.SQL("select from {rows} t join {staging} s on {match} where {staged}").format(
        rows=projection.rows,
        staging=staging,
        staged=_operation_sql(CAME_AND_WENT),
        match=match_sql(projection, "s"),
    )


def _operation_sql(letters: Sequence[str]) -> sql.Composed:
    return sql.SQL("s.{operation} in ({letters})").format(
        operation=sql.Identifier(OPERATION_COLUMN),
        letters=sql.SQL(", ").join(sql.Literal(letter) for letter in letters),
    )

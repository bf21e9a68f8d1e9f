"""Statements that bring changes into a target table, as values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.postgres.staging import MASK_COLUMN, OPERATION_COLUMN
from trempy_provider.replication.changes import Operation

STAGED_LETTERS = {Operation.INSERT: "I", Operation.UPDATE: "U", Operation.DELETE: "D"}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and how many rows it has to touch; None: any number."""

    query: sql.Composed
    expected_rows: int | None


def names_sql(columns: Iterable[ProjectedColumn], prefix: str = "") -> sql.Composed:
    """Compose a list of column names, each behind `prefix`."""
    return sql.SQL(", ").join(sql.SQL(prefix) + column.identifier for column in columns)


def assignments_sql(columns: Iterable[ProjectedColumn], source: str) -> sql.Composed:
    """Compose `name = <source>.name` for each column."""
    return sql.SQL(", ").join(
        sql.SQL("{name} = {source}.{name}").format(name=column.identifier, source=sql.SQL(source))
        for column in columns
    )


def match_sql(projection: Projection) -> sql.Composed:
    """Compose the condition that a target row t has the key of a staged row s."""
    return sql.SQL(" and ").join(
        sql.SQL("t.{name} = s.{name}").format(name=column.identifier) for column in projection.key
    )


def overriding_sql(projection: Projection) -> sql.SQL:
    """Compose the clause that lets INSERT write an identity column that is GENERATED ALWAYS."""
    return sql.SQL("overriding system value ") if projection.overrides_identity else sql.SQL("")


def staged_insert_sql(
    projection: Projection, staging: sql.Identifier, operations: Sequence[str]
) -> sql.Composed:
    """Compose the insertion of staged rows of some operations, in the order of their staging."""
    return sql.SQL(
        "insert into {target} ({columns}) {overriding}"
        "select {staged} from {staging} s where s.{operation} in ({letters})"
    ).format(
        target=projection.target,
        columns=names_sql(projection.columns),
        overriding=overriding_sql(projection),
        staged=names_sql(projection.columns, "s."),
        staging=staging,
        operation=sql.Identifier(OPERATION_COLUMN),
        letters=sql.SQL(", ").join(sql.Literal(letter) for letter in operations),
    )


def staged_update_sql(projection: Projection, staging: sql.Identifier, mask: str) -> sql.Composed:
    """Compose the update from staged rows with one mask; its unchanged columns are left alone."""
    key = set(projection.key)
    written = [
        column
        for column, letter in zip(projection.columns, mask, strict=True)
        if letter != "u" and column not in key
    ]
    return sql.SQL(
        "update {target} t set {assignments} from {staging} s "
        "where s.{operation} = 'U' and s.{mask_column} = {mask} and {match}"
    ).format(
        target=projection.target,
        assignments=assignments_sql(written or projection.key, "s"),
        staging=staging,
        operation=sql.Identifier(OPERATION_COLUMN),
        mask_column=sql.Identifier(MASK_COLUMN),
        mask=sql.Literal(mask),
        match=match_sql(projection),
    )


def staged_delete_sql(projection: Projection, staging: sql.Identifier) -> sql.Composed:
    """Compose the deletion of the rows whose keys are staged as deleted."""
    return sql.SQL("delete from {target} t using {staging} s where s.{operation} = 'D' and {match}").format(
        target=projection.target,
        staging=staging,
        operation=sql.Identifier(OPERATION_COLUMN),
        match=match_sql(projection),
    )

"""Statements that bring changes into a target table, as values.

A statement reads rows of the source's shape, called `s`: a staging table, or the values of one row.
It finds the target's rows, called `t`, by the key, and writes what the projection makes of `s`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.postgres.expression_sql import ColumnWriter, expression_sql
from trempy_provider.postgres.staging import MASK_COLUMN, OPERATION_COLUMN
from trempy_provider.postgres.translation import TargetStatementError
from trempy_provider.replication.changes import Operation
from trempy_provider.replication.net_changes import NetChange

_LETTERS = {Operation.INSERT: "I", Operation.UPDATE: "U", Operation.DELETE: "D"}
CAME_AND_WENT = "G"
SENT, UNSENT = ".", "u"
_NO_DATA = "02000"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and how many rows it has to touch; None: any number.

    With a `refusal`, any row that it finds is an error of that text.
    """

    query: sql.Composed
    expected_rows: int | None
    refusal: str | None = None


def staged_letter(net: NetChange) -> str:
    """Return the letter under which a net change is staged: I, U, D, or G for a row that came and went."""
    if net.operation is Operation.DELETE and not net.existed:
        return CAME_AND_WENT
    return _LETTERS[net.operation]


def names_sql(columns: Iterable[ProjectedColumn]) -> sql.Composed:
    """Compose the list of the columns' names."""
    return sql.SQL(", ").join(column.identifier for column in columns)


def written_sql(projection: Projection) -> sql.Composed:
    """Compose the target with the columns that an INSERT gives; none for a table without columns."""
    if not projection.columns:
        return sql.Composed([projection.target])
    return sql.SQL("{} ({})").format(projection.target, names_sql(projection.columns))


def column_of(row: str) -> ColumnWriter:
    """Return the writer of columns of the row called `row`: `s."name"`."""
    return lambda name: sql.SQL(row + ".") + sql.Identifier(name)


def values_sql(columns: Iterable[ProjectedColumn], row: str) -> sql.Composed:
    """Compose the list of the columns' values, made from the staged row called `row`."""
    return sql.SQL(", ").join(column.value_sql(column_of(row)) for column in columns)


def match_sql(projection: Projection, row: str) -> sql.Composed:
    """Compose the condition that a target row t has the key of the staged row called `row`."""
    return sql.SQL(" and ").join(
        column.equals_sql("t", column.value_sql(column_of(row))) for column in projection.key
    )


def missing_sql(projection: Projection, row: str) -> sql.Composed:
    """Compose the condition that no target row has the key of the staged row called `row`."""
    return sql.SQL("not exists (select from {rows} t where {match})").format(
        rows=projection.rows, match=match_sql(projection, row)
    )


def passing_sql(projection: Projection, mask: str) -> list[sql.Composable]:
    """Compose the conditions that a row passes the filters after an update with this mask.

    What was not sent has not changed, and the target's row has it.
    When no filter reads anything sent, a row passes as before: what is there stays, what is not stays away.
    """
    if not sent_conditions(projection, mask):
        return []
    unsent = unsent_names(projection, mask)
    return [
        expression_sql(condition, _writer(projection, unsent, reader="a filter"))
        for condition in projection.conditions
    ]


def sent_conditions(projection: Projection, mask: str) -> list[sql.Composable]:
    """Compose those conditions on a staged row s that read what was sent."""
    unsent = unsent_names(projection, mask)
    return [
        expression_sql(condition, column_of("s"))
        for condition in projection.conditions
        if unsent.isdisjoint(condition.columns)
    ]


def failing_sql(conditions: Sequence[sql.Composable]) -> sql.Composed:
    """Compose the condition that not all of some conditions hold."""
    return sql.SQL("({}) is not true").format(sql.SQL(" and ").join(conditions))


def whole_mask(projection: Projection) -> str:
    """Return the mask of rows all of whose values were sent."""
    return SENT * len(projection.staged)


def assignments_sql(projection: Projection, mask: str, *, with_key: bool = False) -> sql.Composed:
    """Compose the assignments of what was sent of a staged row s; the key's, too, where it may change.

    A value made of several columns takes those not sent from the target's row, if they are there as they
    stand; else raise TargetStatementError.
    When nothing is to be assigned, the key is, to itself.
    """
    unsent = unsent_names(projection, mask)
    written = [
        column
        for column in projection.columns
        if (with_key or column not in projection.key) and _is_written(column, mask)
    ]
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(column.identifier, _assigned_sql(projection, column, unsent))
        for column in written or projection.key or projection.columns[:1]
    )


def insert_sql(
    projection: Projection, source: sql.Composable, conditions: Sequence[sql.Composable]
) -> sql.Composed:
    """Compose the insertion of rows from a source called s, in its order."""
    return sql.SQL("insert into {written} {overriding}select {values} from {source} s{where}").format(
        written=written_sql(projection),
        overriding=overriding_sql(projection),
        values=values_sql(projection.columns, "s"),
        source=source,
        where=where_sql(conditions),
    )


def overriding_sql(projection: Projection) -> sql.SQL:
    """Compose the clause that lets INSERT write an identity column that is GENERATED ALWAYS."""
    return sql.SQL("overriding system value ") if projection.overrides_identity else sql.SQL("")


def where_sql(conditions: Sequence[sql.Composable]) -> sql.Composable:
    """Compose the WHERE clause of conditions that must all hold, if there are any."""
    return sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL("")


def unsent_error(projection: Projection, reader: str, name: str) -> TargetStatementError:
    """Return the error of a row whose value cannot be made of what was sent."""
    return TargetStatementError(
        f"{reader} reads {name}, which the source did not send: it is unchanged and stored out of line; "
        f"{projection.source_name} needs REPLICA IDENTITY FULL (SQLSTATE {_NO_DATA})",
        sqlstate=_NO_DATA,
        hint=f"On the source: alter table {projection.source_name} replica identity full;",
    )


def unsent_names(projection: Projection, mask: str) -> set[str]:
    """Return the staged columns whose values were not sent according to a mask."""
    if len(mask) != len(projection.staged):
        raise ValueError(f"a mask of {len(mask)} letters for {len(projection.staged)} staged columns")
    return {column.name for column, letter in zip(projection.staged, mask, strict=True) if letter == UNSENT}


def _is_written(column: ProjectedColumn, mask: str) -> bool:
    """Tell whether a column gets a value: not when nothing of what it is made of was sent."""
    indexes = column.staged_indexes
    return not indexes or any(mask[i] != UNSENT for i in indexes)


def _assigned_sql(projection: Projection, column: ProjectedColumn, unsent: set[str]) -> sql.Composable:
    return column.value_sql(_writer(projection, unsent, reader=f"column {column.name}"))


def _writer(projection: Projection, unsent: set[str], *, reader: str) -> ColumnWriter:
    """Return the writer of columns of s that takes what was not sent from the target's row t."""

    def write(name: str) -> sql.Composable:
        if name not in unsent:
            return column_of("s")(name)
        if name not in projection.kept:
            raise unsent_error(projection, reader, name)
        return column_of("t")(projection.kept[name])

    return write


def operation_sql(letters: Sequence[str]) -> sql.Composed:
    """Compose the condition that a staged row s has one of some operations."""
    return sql.SQL("s.{operation} in ({letters})").format(
        operation=sql.Identifier(OPERATION_COLUMN),
        letters=sql.SQL(", ").join(sql.Literal(letter) for letter in letters),
    )


def mask_sql(mask: str) -> sql.Composed:
    """Compose the condition that a staged row s has a mask."""
    return sql.SQL("s.{} = {}").format(sql.Identifier(MASK_COLUMN), sql.Literal(mask))

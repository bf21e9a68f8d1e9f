"""Which parts a table is copied in.

A part is a relation, or a range of its pages: `ctid >= '(first,0)' and ctid < '(end,0)'`, which PostgreSQL
reads with a TID range scan.
The last range of a relation has no end, so every row the snapshot sees is in exactly one part, however the
relation grows meanwhile.
Only the heap access method promises that a ctid is a place; others are not divided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from trempy_provider.errors import SourceError
from trempy_provider.postgres.expression_sql import bare_column, expression_sql
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_plan import TablePlan
from trempy_provider.postgres.tables import QualifiedName

Place = tuple[int, int]  # a page and a line pointer on it: a ctid


@dataclass(frozen=True, slots=True)
class Leaf:
    """A relation that holds rows of a table: the table itself, or a leaf partition."""

    oid: int
    name: QualifiedName
    is_foreign: bool = False
    is_heap: bool = True
    page_count: int = 0
    size_bytes: int = 0
    estimated_rows: int | None = None  # None: never analysed


@dataclass(frozen=True, slots=True)
class Part:
    """What one COPY reads: the pages from `first_page` up to, without, `end_page`; None is no bound."""

    leaf: Leaf
    first_page: int | None = None
    end_page: int | None = None
    size_bytes: int = 0


def read_leaves(source: Session, oid: int) -> tuple[Leaf, ...]:
    """Return the relations that hold a table's rows; call it in the transaction of the snapshot.

    Raise SourceError when the snapshot has no such table.
    """
    rows = source.fetch_all(static_sql("load_leaves"), {"oid": oid})
    if not rows:
        raise SourceError(f"the table with OID {oid} was dropped on the source", hint="Run `trempy refresh`.")
    return tuple(_leaf(*row) for is_partitioned, *row in rows if not is_partitioned)


def _leaf(oid: int, schema_name: str, table_name: str, *rest: Any) -> Leaf:
    return Leaf(oid, QualifiedName(schema_name, table_name), *rest)


def plan_parts(leaves: Sequence[Leaf], *, split_bytes: int) -> tuple[Part, ...]:
    """Divide relations larger than `split_bytes` into ranges of about that size."""
    return tuple(part for leaf in leaves for part in _parts_of(leaf, split_bytes))


def _parts_of(leaf: Leaf, split_bytes: int) -> Iterator[Part]:
    part_count = -(-leaf.size_bytes // split_bytes)
    if not leaf.is_heap or part_count < 2 or leaf.page_count < part_count:
        yield Part(leaf, size_bytes=leaf.size_bytes)
        return
    bounds = [leaf.page_count * number // part_count for number in range(part_count)]
    for first, end in zip(bounds, [*bounds[1:], None], strict=True):
        yield Part(leaf, first or None, end, leaf.size_bytes // part_count)


def part_rows_sql(part: Part, plan: TablePlan) -> sql.Composed:
    """Compose the query of a part's rows as they are on the target."""
    first = None if part.first_page is None else (part.first_page, 0)
    end = None if part.end_page is None else (part.end_page, 0)
    return rows_sql(part.leaf, plan, place_bounds_sql(first, end))


def rows_sql(leaf: Leaf, plan: TablePlan, bounds: Sequence[sql.Composable]) -> sql.Composed:
    """Compose the query of those rows of a relation, as they are on the target, that are within bounds."""
    query = sql.SQL("select {columns} from {only}{relation}").format(
        columns=sql.SQL(", ").join(expression_sql(column.value, bare_column) for column in plan.columns),
        only=sql.SQL("" if leaf.is_foreign else "only "),
        relation=leaf.name.identifier,
    )
    conditions = [*bounds, *(expression_sql(condition, bare_column) for _, condition in plan.conditions)]
    return query + sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else query


def place_bounds_sql(first: Place | None, end: Place | None) -> list[sql.Composable]:
    """Compose the conditions for the places from `first` up to, without, `end`; None is no bound."""
    bounds = ((">=", first), ("<", end))
    return [
        sql.SQL("ctid {} {}::tid").format(sql.SQL(operator), sql.Literal(f"({place[0]},{place[1]})"))
        for operator, place in bounds
        if place is not None
    ]

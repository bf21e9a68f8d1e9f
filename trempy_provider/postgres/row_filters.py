"""Which filters the source can apply itself, as row filters of the publication.

Apply filters all rows in any case; the publication's filters only keep rows at home.
PostgreSQL compares the row before an UPDATE and the row after it, and sends an INSERT for a row that comes to
pass and a DELETE for one that does not any more, as apply would treat them.
So a filter is pushed down where both sides give it the same result for every row, and where PostgreSQL
allows it: it refuses every UPDATE and DELETE of a table whose replica identity lacks a column that a row
filter reads.
See "Row Filters" in PostgreSQL's manual (31.3) and check_simple_rowfilter_expr in pg_publication.c.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from psycopg2 import sql

from trempy_provider.config.choices import OperationName
from trempy_provider.config.expressions import Expression, Identifier, Literal, join
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.value_types import Kind
from trempy_provider.postgres.catalog import operations_of
from trempy_provider.postgres.expression_sql import bare_column, expression_sql
from trempy_provider.postgres.table_plan import plan_table, value_type
from trempy_provider.postgres.tables import Column, Table, quote_name

_MOVING = (OperationName.INSERT, OperationName.UPDATE, OperationName.DELETE)
# inet, interval and uuid, beside the types that have a kind of their own.
_OTHER_BASE_OIDS = frozenset({869, 1186, 2950})
_TIME_KINDS = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
_MOMENTARY = re.compile(r"\b(now|today|tomorrow|yesterday)\b", re.IGNORECASE)
_BYTEWISE = {("pg_catalog", "C"), ("pg_catalog", "POSIX"), ("pg_catalog", "default")}


@dataclass(frozen=True, slots=True)
class RowFilter:
    """The row filter of a published table; equal ones have the same `digest`, whatever their text."""

    digest: str
    condition: sql.Composable = field(compare=False)


@dataclass(frozen=True, slots=True)
class KeptFilter:
    """A filter that apply alone evaluates, and why."""

    path: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class PushDown:
    """The filters of a table: those the publication can have, and the others."""

    pushed: tuple[tuple[str, Expression], ...] = ()
    kept: tuple[KeptFilter, ...] = ()

    @property
    def row_filter(self) -> RowFilter | None:
        """Return the row filter that has the effect of the filters pushed down, None without one."""
        if not self.pushed:
            return None
        condition = join(" and ", (expression for _, expression in self.pushed))
        return RowFilter(digest_of(repr(condition)), expression_sql(condition, bare_column))


def digest_of(text: str) -> str:
    """Return what a text is recognized by."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def push_down(task: ReplicationTask, table: Table, published: Iterable[OperationName]) -> PushDown:
    """Tell which filters of a table a publication of these operations can have; none unless asked for."""
    if not task.cdc.push_down_filters:
        return PushDown()
    operations = frozenset(published)
    pushed, kept = [], []
    for path, condition in plan_table(task, table, knows_keys=False).conditions:
        column = table.column(condition.columns[0])
        obstacle = (
            _operations_obstacle(task, table, operations)
            or _type_obstacle(column)
            or _value_obstacle(column, condition)
            or _identity_obstacle(table, column, operations)
        )
        if obstacle is None:
            pushed.append((path, condition))
        else:
            kept.append(KeptFilter(path, *obstacle))
    return PushDown(tuple(pushed), tuple(kept))


def _operations_obstacle(
    task: ReplicationTask, table: Table, published: frozenset[OperationName]
) -> tuple[str, str] | None:
    """Ask for all three operations where an UPDATE may be sent as an INSERT or a DELETE."""
    if OperationName.UPDATE not in published or operations_of(task, table).issuperset(_MOVING):
        return None
    return (
        "the table does not take part in INSERT, UPDATE and DELETE, which row filters turn into each other",
        "Give it all three operations, or publish no UPDATE of any table of the task.",
    )


def _type_obstacle(column: Column) -> tuple[str, str] | None:
    kind = value_type(column).kind
    is_built_in = kind is not Kind.OTHER or column.base_type_oid in _OTHER_BASE_OIDS
    name = quote_name(column.name)
    if column.is_domain or not is_built_in:
        return (
            f"its column {name} is {column.type_name}, which row filters do not take",
            "Filter by a column of a plain built-in type.",
        )
    if kind is Kind.TEXT and column.collation is not None and column.collation not in _BYTEWISE:
        return (
            f"its column {name} has a collation of its own",
            "Filter by a column with the database's collation.",
        )
    return None


def _value_obstacle(column: Column, condition: Expression) -> tuple[str, str] | None:
    if any(isinstance(part, Identifier) for part in condition.parts):
        return (
            "the order of text follows a collation whose version may differ between the two servers",
            "Filter text by equality, or by how it begins or ends.",
        )
    operands = (part.text for part in condition.parts if isinstance(part, Literal))
    if value_type(column).kind in _TIME_KINDS and any(map(_MOMENTARY.search, operands)):
        return (
            "its value means another moment each time it is read, and a publication keeps the first",
            "Write a fixed date.",
        )
    return None


def _identity_obstacle(
    table: Table, column: Column, published: frozenset[OperationName]
) -> tuple[str, str] | None:
    if published.isdisjoint({OperationName.UPDATE, OperationName.DELETE}) or _is_sent(table, column.name):
        return None
    name = quote_name(column.name)
    if table.is_partition_root:
        return (
            f"its column {name} is not in the primary key, the replica identity of partitions made later",
            f"Let {name} enter the primary key of {table.name}.",
        )
    return (
        f"its column {name} is not in the replica identity",
        f"alter table {table.name} replica identity full; or let {name} enter the identity's key.",
    )


def _is_sent(table: Table, name: str) -> bool:
    """Tell whether each UPDATE and DELETE sends a column's old value if it has changed.

    A partition that is made later has the default identity, whatever its root has.
    """
    if not table.is_partition_root:
        return table.identity_columns is None or name in table.identity_columns
    return name in table.primary_key and all(
        leaf.replica_identity == "f" or name in leaf.identity_columns for leaf in table.partitions
    )

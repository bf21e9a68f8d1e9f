"""Digests of rows, to tell whether two tables hold the same: computed by the servers, no row travels.

A digest counts the rows and adds up two 64-bit hashes of each row's text, so that the order of rows does not
matter and duplicates do; equal digests of different rows are as likely as equal 128-bit random numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from psycopg2 import sql

from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_plan import TablePlan


@dataclass(frozen=True, slots=True)
class Digest:
    """What rows add up to."""

    row_count: int = 0
    first_sum: Decimal = Decimal(0)
    second_sum: Decimal = Decimal(0)

    def __add__(self, other: Digest) -> Digest:
        return Digest(
            self.row_count + other.row_count,
            self.first_sum + other.first_sum,
            self.second_sum + other.second_sum,
        )


def digest_rows(session: Session, queries: Iterable[sql.Composed]) -> Digest:
    """Return the digest of all rows of some queries."""
    total = Digest()
    for query in queries:
        row = session.fetch_one(_digest_sql(query))
        assert row is not None
        total += Digest(*row)
    return total


def target_rows_sql(plan: TablePlan) -> sql.Composed:
    """Compose the query of a target table's rows, of the columns that a task writes."""
    return sql.SQL("select {columns} from {table}").format(
        columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in plan.columns),
        table=plan.target.identifier,
    )


def _digest_sql(query: sql.Composed) -> sql.Composed:
    return sql.SQL(
        "select count(*), coalesce(sum(hashtextextended(line, 0)), 0),"
        " coalesce(sum(hashtextextended(line, 1)), 0)"
        " from (select one::text as line from ({query}) one) lines"
    ).format(query=query)

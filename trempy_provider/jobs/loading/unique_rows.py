"""Rows that a key of the load table refuses: one of those with the same key stays, the others are recorded.

The source has no such rows, unless the settings have made another key, or other values of one.
"""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.jobs.loading.failed_rows import FailedRows
from trempy_provider.postgres.load_design import LoadDesign
from trempy_provider.postgres.load_tables import IndexPlan
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.translation import TargetStatementError

_NOT_NULL, _UNIQUE = "23502", "23505"


def make_index(design: LoadDesign, index: IndexPlan, *, target: Session, failed: FailedRows | None) -> None:
    """Make an index in the open transaction, without the rows that it refuses.

    Without `failed`, or for an index over expressions, raise the error instead.
    """
    while True:
        try:
            with target.savepoint("trempy_index"):
                target.execute(index.create)
        except TargetStatementError as error:
            if failed is None or not index.columns or error.sqlstate not in (_NOT_NULL, _UNIQUE):
                raise
            query = refused_rows_sql(design, index, has_null=error.sqlstate == _NOT_NULL)
            refused = target.fetch_all(query)
            if not refused:
                raise
            names = _naming_columns(design, index)
            for key in refused:
                failed.record(error, key=dict(zip(names, key, strict=True)))
        else:
            return


def refused_rows_sql(design: LoadDesign, index: IndexPlan, *, has_null: bool) -> sql.Composed:
    """Compose the deletion of rows that an index refuses; it returns what names them."""
    columns = [sql.Identifier(name) for name in index.columns]
    nulls = sql.SQL(" or ").join(sql.SQL("l.{} is null").format(column) for column in columns)
    duplicates = sql.SQL(
        "l.ctid in (select d.ctid from (select ctid, row_number() over (partition by {columns} "
        "order by ctid) n from {load_table}) d where d.n > 1){present}"
    ).format(
        columns=sql.SQL(", ").join(columns),
        load_table=design.load_table.identifier,
        present=sql.SQL("" if index.nulls_not_distinct else " and not ({})").format(nulls),
    )
    return sql.SQL("delete from {load_table} l where {refused} returning {key}").format(
        load_table=design.load_table.identifier,
        refused=nulls if has_null else duplicates,
        key=sql.SQL(", ").join(
            sql.SQL("format('%s', l.{})").format(sql.Identifier(name))
            for name in _naming_columns(design, index)
        ),
    )


def _naming_columns(design: LoadDesign, index: IndexPlan) -> tuple[str, ...]:
    return design.plan.identity or index.columns

"""What an INSERT does to the row that has its key already, in the mode `upsert`."""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.apply_modes.statements import names_sql


def on_conflict_sql(projection: Projection) -> sql.Composed:
    """Compose the clause that lets an INSERT update the row; it begins with a space."""
    written = [
        column
        for column in projection.columns
        if column not in projection.key or not column.equal_is_identical
    ]
    if not written:
        return sql.SQL(" on conflict ({}) do nothing").format(names_sql(projection.key))
    return sql.SQL(" on conflict ({key}) do update set {assignments}").format(
        key=names_sql(projection.key), assignments=_excluded_sql(written)
    )


def _excluded_sql(columns: list[ProjectedColumn]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{name} = excluded.{name}").format(name=column.identifier) for column in columns
    )

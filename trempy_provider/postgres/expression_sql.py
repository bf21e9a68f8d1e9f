"""Expressions of filters and transformations as composed SQL."""

from __future__ import annotations

from collections.abc import Callable

from psycopg2 import sql

from trempy_provider.config.expressions import (
    ColumnReference,
    Expression,
    Identifier,
    Literal,
    Part,
    SqlText,
)

ColumnWriter = Callable[[str], sql.Composable]


def bare_column(name: str) -> sql.Composable:
    """Write a source column by its name alone."""
    return sql.Identifier(name)


def expression_sql(expression: Expression, write_column: ColumnWriter) -> sql.Composable:
    """Compose an expression; `write_column` says how a column of the source row is written."""
    if len(expression.parts) == 1:
        return _part_sql(expression.parts[0], write_column)
    return sql.Composed([_part_sql(part, write_column) for part in expression.parts])


def _part_sql(part: Part, write_column: ColumnWriter) -> sql.Composable:
    match part:
        case SqlText(text):
            return sql.SQL(text)
        case Identifier(names):
            return sql.Identifier(*names)
        case Literal(text):
            return sql.Literal(text)
        case ColumnReference(name):
            return write_column(name)

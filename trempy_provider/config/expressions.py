"""SQL expressions over the columns of a source row, as values.

An expression is a row of parts: trusted SQL text, names, literals, and columns of the source row.
How a column is written is left to whoever renders the expression: as `s."name"` beside a staging table, as a
bare name in the query of a full load.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from string import Formatter


@dataclass(frozen=True, slots=True)
class SqlText:
    """Text that stands in a statement as it is: written in this package, never by a user."""

    text: str


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name, each of its parts quoted."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A text literal; a cast beside it gives it its type."""

    text: str


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """A column of the source row, by the name it has on the source."""

    name: str


Part = SqlText | Identifier | Literal | ColumnReference


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression; equal parts make equal expressions."""

    parts: tuple[Part, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the source columns it reads, each once, in the order of their first appearance."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, ColumnReference)))


def source_column(name: str) -> Expression:
    """Return the expression that is a column of the source row as it stands."""
    return Expression((ColumnReference(name),))


def literal(text: str) -> Expression:
    """Return a literal without a type."""
    return Expression((Literal(text),))


def compose(template: str, **values: Expression | Part) -> Expression:
    """Return SQL text with holes filled: `compose("upper({value})", value=source_column("name"))`."""
    parts: list[Part] = []
    for text, field, _, _ in Formatter().parse(template):
        if text:
            parts.append(SqlText(text))
        if field is not None:
            value = values[field]
            parts += value.parts if isinstance(value, Expression) else (value,)
    return Expression(tuple(parts))


def join(separator: str, expressions: Iterable[Expression]) -> Expression:
    """Return the expressions one after the other with SQL text between them."""
    parts: list[Part] = []
    for expression in expressions:
        if parts:
            parts.append(SqlText(separator))
        parts += expression.parts
    return Expression(tuple(parts))

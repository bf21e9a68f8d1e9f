"""Column values in statements: text as the source wrote it, quoted but never parsed.

They are told from all other literals, so that a statement can be shown without them.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from psycopg2 import sql

from trempy_provider.postgres.translation import TargetStatementError
from trempy_provider.replication.messages import UNCHANGED, BinaryValue, Value

_NOT_IN_REPERTOIRE = "22021"


class _Quoted:
    """A value's text as an untyped literal; the target's column gives it its type."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def __conform__(self, _protocol: object) -> _Quoted:
        return self

    def prepare(self, connection: Any) -> None:
        """Nothing depends on the connection: the sessions' encoding is UTF-8."""

    def getquoted(self) -> bytes:
        """Return the literal; `standard_conforming_strings` is pinned, so a backslash is itself."""
        return b"'" + self._text.replace(b"'", b"''") + b"'"


class RowValue(sql.Literal):  # type: ignore[type-arg]  # generic in the stubs only
    """A value of a row."""


class RowNull(sql.SQL):
    """A NULL of a row."""


def literal_sql(value: Value) -> sql.Composable:
    """Compose a column value as a literal.

    Raise TargetStatementError, an error of the row, for bytes that are not UTF-8: a source whose encoding is
    SQL_ASCII may hold them.
    """
    if value is None:
        return RowNull("null")
    assert value is not UNCHANGED
    assert not isinstance(value, BinaryValue)
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TargetStatementError(
            "a value is not UTF-8 (SQLSTATE 22021)", sqlstate=_NOT_IN_REPERTOIRE
        ) from error
    return RowValue(_Quoted(value))


def statement_shape(query: sql.Composable) -> str:
    """Return a statement's text with $1, $2, … in place of the row's values."""
    numbers = count(1)
    return "".join([_shape(part, numbers) for part in _parts(query)])


def _parts(query: sql.Composable) -> list[sql.Composable]:
    if isinstance(query, sql.Composed):
        return [part for inner in query.seq for part in _parts(inner)]
    return [query]


def _shape(part: sql.Composable, numbers: count[int]) -> str:
    if isinstance(part, RowValue | RowNull):
        return f"${next(numbers)}"
    if isinstance(part, sql.SQL):
        return part.string
    if isinstance(part, sql.Identifier):
        return ".".join(['"' + name.replace('"', '""') + '"' for name in part.strings])
    assert isinstance(part, sql.Literal)
    return _setting_text(part.wrapped)


def _setting_text(value: object) -> str:
    """Return a literal that comes from the settings or from ourselves."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "null" if value is None else str(value)

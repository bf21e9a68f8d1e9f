"""Column values in statements: text as the source wrote it, quoted but never parsed."""

from __future__ import annotations

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


def literal_sql(value: Value) -> sql.Composable:
    """Compose a column value as a literal.

    Raise TargetStatementError, an error of the row, for bytes that are not UTF-8: a source whose encoding is
    SQL_ASCII may hold them.
    """
    if value is None:
        return sql.SQL("null")
    assert value is not UNCHANGED
    assert not isinstance(value, BinaryValue)
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TargetStatementError("a value is not UTF-8", sqlstate=_NOT_IN_REPERTOIRE) from error
    return sql.Literal(_Quoted(value))

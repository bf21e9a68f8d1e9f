"""Translate the driver's errors into ours, by SQLSTATE.

See "PostgreSQL Error Codes" (appendix A of the manual).
"""

from __future__ import annotations

import re

import psycopg2

from trempy_provider.errors import (
    NoFreeSlotError,
    RetryPolicy,
    SlotInUseError,
    SourceError,
    SourcePermissionError,
    SourceUnavailableError,
    TargetError,
    TargetPermissionError,
    TargetUnavailableError,
    TrempyError,
)

_UNAVAILABLE = frozenset({"57P01", "57P02", "57P03", "57P05", "53300"})
_PASSING = frozenset({"40001", "40P01", "55P03", "57014", "53200"})
_DATA_EXCEPTION = "22"
_QUOTED_VALUE = re.compile(r':? "(?:[^"]|"")*"')


class SourceStatementError(SourceError):
    """A statement failed on the source."""

    def __init__(self, message: str, *, sqlstate: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class TargetStatementError(TargetError):
    """A statement failed on the target."""

    def __init__(self, message: str, *, sqlstate: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


def translate(error: psycopg2.Error, *, role: str, where: str) -> TrempyError:
    """Return our error for the driver's; `role` is "source" or "target"."""
    on_source = role == "source"
    sqlstate = error.pgcode or ""
    message = f"{role} {where}: {describe(error)}"
    if _is_lost(error, sqlstate):
        return SourceUnavailableError(message) if on_source else TargetUnavailableError(message)
    if sqlstate == "42501" or sqlstate.startswith("28"):
        return SourcePermissionError(message) if on_source else TargetPermissionError(message)
    if on_source and sqlstate == "55006":
        return SlotInUseError(message)
    if on_source and sqlstate == "53400":
        return NoFreeSlotError(message)
    statement_error = SourceStatementError if on_source else TargetStatementError
    translated = statement_error(f"{message} (SQLSTATE {sqlstate})", sqlstate=sqlstate)
    if sqlstate in _PASSING:
        translated.policy = RetryPolicy.BY_ITSELF
    return translated


def describe(error: psycopg2.Error) -> str:
    """Return the server's primary message without the values that a data exception quotes."""
    primary = error.diag.message_primary or str(error).strip() or type(error).__name__
    if (error.pgcode or "").startswith(_DATA_EXCEPTION):
        return _QUOTED_VALUE.sub("", primary)
    return primary


def _is_lost(error: psycopg2.Error, sqlstate: str) -> bool:
    if sqlstate:
        return sqlstate in _UNAVAILABLE or sqlstate.startswith("08")
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)

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
_PASSING = frozenset({"40001", "40P01", "55P03", "57014", "53000", "53100", "53200"})
_DATA_EXCEPTION = "22"
# With the quotation marks of every language that the server's messages are translated to.
_QUOTED_VALUE = re.compile(
    r':?\s*(?:"(?:[^"]|"")*"|«.*»|».*«|„.*[“”"]|“.*”|”.*”|‘.*’|‹.*›|「.*」|\'.*\')|: 0x\w\w.*', re.DOTALL
)
_RAISED = "exec_stmt_raise"  # pl_exec.c: RAISE in PL/pgSQL
_WITHHELD = "a function raised an exception; its text may hold values of the row"


class SourceStatementError(SourceError):
    """A statement failed on the source."""

    def __init__(self, message: str, *, sqlstate: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class TargetStatementError(TargetError):
    """A statement failed on the target.

    `server_message` is what the server said, word for word: it may hold values of a row, and is for the
    table of row errors only.
    `is_raised` tells that a function of the target's owner raised the error.
    """

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str,
        hint: str | None = None,
        server_message: str | None = None,
        is_raised: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate
        self.server_message = server_message or message
        self.is_raised = is_raised


def translate(error: psycopg2.Error, *, role: str, where: str) -> TrempyError:
    """Return our error for the driver's; `role` is "source", "target" or "metadata".

    The metadata is part of the target, wherever it is kept; the message says which of the two it is.
    """
    on_source = role == "source"
    sqlstate = error.pgcode or ""
    message = f"{role} {where}: {describe(error)}"
    if _is_lost(error, sqlstate):
        return SourceUnavailableError(message) if on_source else TargetUnavailableError(message)
    if sqlstate == "42501" or sqlstate.startswith("28"):
        return SourcePermissionError(message) if on_source else _not_permitted(message, role)
    if on_source and sqlstate == "55006":
        return SlotInUseError(message)
    if on_source and sqlstate == "53400":
        return NoFreeSlotError(message)
    translated = _statement_error(error, f"{message} (SQLSTATE {sqlstate})", sqlstate, on_source=on_source)
    if sqlstate in _PASSING:
        translated.policy = RetryPolicy.BY_ITSELF
    return translated


def describe(error: psycopg2.Error) -> str:
    """Return the server's primary message without what may be a value of a row.

    A data exception quotes the value it is about; an exception that a function raises may say anything.
    """
    if _is_raised(error):
        return _WITHHELD
    primary = _primary(error)
    if (error.pgcode or "").startswith(_DATA_EXCEPTION):
        return _QUOTED_VALUE.sub("", primary)
    return primary


def _statement_error(
    error: psycopg2.Error, message: str, sqlstate: str, *, on_source: bool
) -> SourceStatementError | TargetStatementError:
    if on_source:
        return SourceStatementError(message, sqlstate=sqlstate)
    return TargetStatementError(
        message, sqlstate=sqlstate, server_message=_primary(error), is_raised=_is_raised(error)
    )


def _not_permitted(message: str, role: str) -> TargetPermissionError:
    hint = f"Grant what is named; the README lists the exact grants of the {role} role."
    return TargetPermissionError(message, hint=hint)


def _primary(error: psycopg2.Error) -> str:
    return error.diag.message_primary or str(error).strip() or type(error).__name__


def _is_raised(error: psycopg2.Error) -> bool:
    return error.diag.source_function == _RAISED


def _is_lost(error: psycopg2.Error, sqlstate: str) -> bool:
    if sqlstate:
        return sqlstate in _UNAVAILABLE or sqlstate.startswith("08")
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)

"""Errors as the command line tells them: details first, then one line that says what and what to do."""

from __future__ import annotations

import sys
import traceback

from trempy_provider.errors import (
    BrokerUnavailableError,
    ConfigurationError,
    PreflightError,
    SourceUnavailableError,
    TargetUnavailableError,
    TrempyError,
)

DONE, FAILED, WRONG_SETTINGS = 0, 1, 2
_UNAVAILABLE = (SourceUnavailableError, TargetUnavailableError, BrokerUnavailableError)
_UNAVAILABLE_HINT = "Check host, port and network, login and database, then run the command again."
_DEFECT_HINT = "This is a defect: run the command again with --debug and report what it shows."


class DefectError(TrempyError):
    """Something nobody has foreseen."""

    hint = _DEFECT_HINT


def exit_code_of(error: TrempyError) -> int:
    """Return 2 where settings, connections or arguments are wrong, else 1."""
    is_usage = isinstance(error, ConfigurationError) and not isinstance(error, PreflightError)
    return WRONG_SETTINGS if is_usage else FAILED


def error_line(error: TrempyError) -> str:
    """Return the last line: what, what to do, and the name that the runbooks have it under."""
    first, *details = _lines(error)
    if len(details) == 1:
        first = f"{first}: {details[0]}"
    elif details:
        first = f"{first}, listed above; the first: {details[0]}"
    return f"error: {first} — {hint_of(error)} [{type(error).__name__}]"


def hint_of(error: TrempyError) -> str:
    """Say what to do, now that nothing is tried again by itself."""
    if isinstance(error, _UNAVAILABLE):
        return _UNAVAILABLE_HINT
    return " ".join(error.hint.split())


def print_error(error: TrempyError, *, debug: bool) -> None:
    """Print the error on stderr; with `debug` its traceback first."""
    if debug:
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    lines = [] if len(_lines(error)) <= 2 else str(error).splitlines()
    print(*lines, error_line(error), sep="\n", file=sys.stderr, flush=True)


def foreseen(error: Exception) -> TrempyError:
    """Return our errors as they are, and any other one as a defect."""
    if isinstance(error, TrempyError):
        return error
    defect = DefectError(f"unexpected {type(error).__name__}: {error}")
    defect.__cause__ = error
    return defect


def _lines(error: TrempyError) -> list[str]:
    return [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]

"""What the pre-flight checks find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trempy_provider.errors import RetryPolicy, TrempyError


class Severity(str, Enum):
    """Whether a task can run with a finding; a note only tells what will be done."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where, what was seen, how to mend it."""

    severity: Severity
    where: str
    what: str
    remedy: str
    mends_by_itself: bool = False  # such as a server that does not answer now

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what} → {self.remedy}"


def error(where: str, what: str, remedy: str) -> Finding:
    """Return a finding that keeps the task from running."""
    return Finding(Severity.ERROR, where, what, remedy)


def failure_finding(where: str, failure: TrempyError) -> Finding:
    """Return the finding for a check that could not be made."""
    by_itself = failure.policy is RetryPolicy.BY_ITSELF
    return Finding(Severity.ERROR, where, str(failure), failure.hint, mends_by_itself=by_itself)


def note(where: str, what: str) -> Finding:
    """Return a finding that tells what will be done."""
    return Finding(Severity.NOTE, where, what, "Nothing is to be done.")


def warning(where: str, what: str, remedy: str) -> Finding:
    """Return a finding that a person should know of."""
    return Finding(Severity.WARNING, where, what, remedy)

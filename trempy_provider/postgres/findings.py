"""What the pre-flight checks find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """Whether a task can run with a finding."""

    ERROR = "error"
    WARNING = "warning"

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where, what was seen, how to mend it."""

    severity: Severity
    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what} → {self.remedy}"


def error(where: str, what: str, remedy: str) -> Finding:
    """Return a finding that keeps the task from running."""
    return Finding(Severity.ERROR, where, what, remedy)


def warning(where: str, what: str, remedy: str) -> Finding:
    """Return a finding that a person should know of."""
    return Finding(Severity.WARNING, where, what, remedy)

"""How far a full load is, and who is told: a log, a terminal, anything with an `update` method."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TextIO

from trempy_provider.postgres.tables import QualifiedName

logger = logging.getLogger(__name__)
LOG_INTERVAL_SECONDS = 15.0
_BAR_WIDTH = 24
_UNITS = ("B", "kB", "MB", "GB", "TB")
_UP, _CLEAR_LINE = "\x1b[1A", "\x1b[2K"


class Phase(str, Enum):
    """What is being done with a table."""

    WAITING = "waiting"
    COPYING = "copying"
    INDEXING = "indexing"
    REPLAYING = "replaying"
    PLACING = "placing"
    READY = "ready"
    ERROR = "error"

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class TableProgress:
    """How far one table is at one moment."""

    table: QualifiedName
    phase: Phase = Phase.WAITING
    rows: int = 0
    bytes: int = 0  # as COPY sends them
    estimated_rows: int | None = None
    estimated_bytes: int = 0  # on the source's disk
    elapsed_seconds: float = 0.0
    error: str | None = None

    @property
    def is_finished(self) -> bool:
        """Tell whether nothing more happens."""
        return self.phase in (Phase.READY, Phase.ERROR)

    @property
    def fraction(self) -> float:
        """Return how much of the table is copied, 0 to 1; less than 1 until all of it is."""
        if self.phase is Phase.WAITING:
            return 0.0
        if self.phase is not Phase.COPYING:
            return 1.0
        by_rows = self.rows / self.estimated_rows if self.estimated_rows else 0.0
        by_bytes = self.bytes / self.estimated_bytes if self.estimated_bytes else 0.0
        return min(by_rows or by_bytes, 0.99)

    @property
    def percent(self) -> float:
        """Return how much of the table is copied, 0 to 100."""
        return 100 * self.fraction

    @property
    def eta_seconds(self) -> float | None:
        """Return the seconds the copying will still take at its present rate; None while it has none."""
        if self.phase is not Phase.COPYING or not self.fraction:
            return None
        return self.elapsed_seconds * (1 - self.fraction) / self.fraction

    @property
    def summary(self) -> str:
        """Say it in a line."""
        words = [f"{self.table}: {self.phase}", f"{self.rows:,} rows", size_text(self.bytes)]
        if self.phase is Phase.COPYING:
            words.append(f"{self.percent:.0f} %")
        if self.eta_seconds is not None:
            words.append(f"{duration_text(self.eta_seconds)} left")
        return ", ".join(words) + (f": {self.error}" if self.error else "")


class ProgressListener(Protocol):
    """Who wants to know; called about twice a second from the thread that runs the job."""

    def update(self, tables: Sequence[TableProgress]) -> None:
        """Take the progress of all tables of the load."""


class SilentProgress:
    """Tell nobody."""

    def update(self, tables: Sequence[TableProgress]) -> None:
        """Do nothing."""


class LogProgress:
    """Log each table's changes of phase that matter, and at intervals what is being copied."""

    def __init__(self, *, interval_seconds: float = LOG_INTERVAL_SECONDS) -> None:
        self._interval_seconds = interval_seconds
        self._phases: dict[QualifiedName, Phase] = {}
        self._logged_at = time.monotonic()

    def update(self, tables: Sequence[TableProgress]) -> None:
        """Log what is new."""
        due = time.monotonic() - self._logged_at >= self._interval_seconds
        for progress in tables:
            former = self._phases.get(progress.table, Phase.WAITING)
            self._phases[progress.table] = progress.phase
            is_under_way = progress.phase is not Phase.WAITING and not progress.is_finished
            has_news = progress.phase is not former and (former is Phase.WAITING or progress.is_finished)
            if has_news or (due and is_under_way):
                self._log(progress)
        if due:
            self._logged_at = time.monotonic()

    def _log(self, progress: TableProgress) -> None:
        level = logging.ERROR if progress.phase is Phase.ERROR else logging.INFO
        logger.log(level, "%s", progress.summary)


class TerminalProgress:
    """Draw a bar per table being loaded and a line for all.

    Where there is no terminal, only finished tables are written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._drawn_lines = 0
        self._finished: set[QualifiedName] = set()

    def update(self, tables: Sequence[TableProgress]) -> None:
        """Draw anew; finished tables scroll away above the bars."""
        done = [entry for entry in tables if entry.is_finished and entry.table not in self._finished]
        self._finished.update(entry.table for entry in done)
        active = [entry for entry in tables if not entry.is_finished and entry.phase is not Phase.WAITING]
        lines = self._fitted([*map(_bar_line, active), _total_line(tables)]) if self._is_terminal else []
        finished_lines = [entry.summary for entry in done]
        erase = (_UP + _CLEAR_LINE) * self._drawn_lines
        self._stream.write(erase + "".join(f"{line}\n" for line in [*finished_lines, *lines]))
        self._stream.flush()
        self._drawn_lines = len(lines)

    def _fitted(self, lines: Sequence[str]) -> list[str]:
        """Cut what the terminal would wrap or scroll away: it could not be erased."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except OSError:  # no size is known
            return list(lines)
        if not columns or not rows:
            return list(lines)
        return [line[: columns - 1] for line in lines[-max(rows - 1, 1) :]]


def size_text(size_bytes: float) -> str:
    """Write a size with a decimal unit: `1.5 MB`."""
    for unit in _UNITS[:-1]:
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} {_UNITS[-1]}"


def duration_text(seconds: float) -> str:
    """Write a duration: `0:42`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _bar_line(progress: TableProgress) -> str:
    filled = round(progress.fraction * _BAR_WIDTH)
    bar = "#" * filled + "." * (_BAR_WIDTH - filled)
    left = "" if progress.eta_seconds is None else f" {duration_text(progress.eta_seconds)} left"
    counts = f"{progress.rows:,} rows, {size_text(progress.bytes)}"
    return f"[{bar}] {progress.percent:3.0f} % {progress.phase} {progress.table}: {counts}{left}"


def _total_line(tables: Sequence[TableProgress]) -> str:
    finished = sum(entry.is_finished for entry in tables)
    rows, size_bytes = sum(entry.rows for entry in tables), sum(entry.bytes for entry in tables)
    return f"{finished} of {len(tables)} tables, {rows:,} rows, {size_text(size_bytes)}"

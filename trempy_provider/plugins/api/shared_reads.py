"""Reads that many viewers share, each for a moment, and none of them held up by another.

A read runs in a thread of our own, once at a time.
Whoever asks waits for it a little; what has not answered by then is told as it was before, with the problem.
So a server that hangs costs its own tasks' viewers a moment once, and the other tasks nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from trempy_provider.errors import TrempyError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Read:
    """What to read: `scope` says of what, so that neither a read of less nor its value is taken for it."""

    scope: frozenset[str]
    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read last, if anything, and why it is not of now."""

    value: Any = None
    problem: str | None = None


@dataclass(slots=True)
class _Cell:
    value: Any = None
    value_scope: frozenset[str] = frozenset()
    problem: str | None = None
    read_scope: frozenset[str] = frozenset()  # that of the last read, whether it failed or not
    ended_at: float = float("-inf")
    began_at: float = float("-inf")
    running: Future[None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class SharedReads:
    """Keeps what was read for `fresh_seconds`, a failure for `failed_seconds`."""

    def __init__(
        self,
        *,
        workers: int = 16,
        fresh_seconds: float = 2.5,
        failed_seconds: float = 10.0,
        wait_seconds: float = 3.0,
    ) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="trempy-page")
        self._fresh_seconds = fresh_seconds
        self._failed_seconds = failed_seconds
        self._wait_seconds = wait_seconds
        self._cells: dict[Hashable, _Cell] = {}
        self._lock = threading.Lock()

    def read(self, reads: Mapping[Hashable, Read]) -> dict[Hashable, Answer]:
        """Return an answer for each key, after `wait_seconds` at the latest."""
        cells = {key: self._cell(key) for key in reads}
        ends_at = time.monotonic() + self._wait_seconds
        for key, cell in cells.items():
            self._begin_if_due(cell, reads[key])
        self._wait_for(cells.values(), ends_at)
        too_narrow = {key: cell for key, cell in cells.items() if not _has_read(cell, reads[key])}
        for key, cell in too_narrow.items():
            self._begin_if_due(cell, reads[key])
        self._wait_for(too_narrow.values(), ends_at)
        return {key: self._answer(cell, reads[key]) for key, cell in cells.items()}

    def forget(self, key: Hashable) -> None:
        """Let the next one who asks wait for a new read."""
        with self._lock:
            self._cells.pop(key, None)

    def _cell(self, key: Hashable) -> _Cell:
        with self._lock:
            return self._cells.setdefault(key, _Cell())

    def _wait_for(self, cells: Iterable[_Cell], ends_at: float) -> None:
        """Wait for what runs, but not for what has hung before."""
        now = time.monotonic()
        awaited = [
            running
            for cell in cells
            if (running := cell.running) is not None and now - cell.began_at < self._wait_seconds
        ]
        wait(awaited, timeout=max(ends_at - now, 0))

    def _begin_if_due(self, cell: _Cell, read: Read) -> None:
        with cell.lock:
            age = time.monotonic() - cell.ended_at
            is_kept = age < (self._fresh_seconds if cell.problem is None else self._failed_seconds)
            if cell.running is not None or (is_kept and read.scope <= cell.read_scope):
                return
            cell.began_at = time.monotonic()
            cell.running = self._pool.submit(self._run, cell, read)

    def _run(self, cell: _Cell, read: Read) -> None:
        value, problem = None, None
        try:
            value = read.call()
        except TrempyError as error:
            problem = str(error)
        except Exception:
            logger.exception("a read for the page Replication failed")
            problem = "an unexpected error, which the log of Airflow's API server has"
        with cell.lock:
            if value is not None:
                cell.value, cell.value_scope = value, read.scope
            cell.problem, cell.read_scope = problem, read.scope
            cell.ended_at = time.monotonic()
            cell.running = None

    def _answer(self, cell: _Cell, read: Read) -> Answer:
        with cell.lock:
            value = cell.value if read.scope <= cell.value_scope else None
            seconds = time.monotonic() - cell.began_at
            if cell.running is None and read.scope <= cell.read_scope:
                return Answer(value, cell.problem)
            if value is not None and cell.problem is None and seconds < self._wait_seconds:
                return Answer(value)
            return Answer(value, cell.problem or f"no answer within {max(seconds, self._wait_seconds):.0f} s")


def _has_read(cell: _Cell, read: Read) -> bool:
    """Tell whether the last read was of as much as is asked for; one that runs may be."""
    with cell.lock:
        return cell.running is not None or read.scope <= cell.read_scope

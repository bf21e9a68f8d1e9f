"""What is left to do in one round of a full load, shared by its streams.

Parts are handed out in order.
A table whose rows cannot be placed because a foreign key misses rows of another table is tried again
after any other table has been placed; it fails when no other is left.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from trempy_provider.errors import TrempyError
from trempy_provider.jobs.loading.table_load import TableLoad
from trempy_provider.postgres.load_plan import Part


@dataclass(frozen=True, slots=True)
class Work:
    """Copy a part of a table, or only finish the table when `part` is None."""

    load: TableLoad
    part: Part | None


@dataclass(frozen=True, slots=True)
class _Postponed:
    load: TableLoad
    error: TrempyError
    placed_count: int


class LoadQueue:
    """The parts to copy, and the tables to finish later."""

    def __init__(self, work: Iterable[Work]) -> None:
        self._work = deque(work)
        self._postponed: list[_Postponed] = []
        self._changed = threading.Condition()
        self._busy_count = 0
        self._placed_count = 0
        self._closed = False

    def take(self) -> Work | None:
        """Return the next thing to do, waiting while one may still turn up; None when nothing is left.

        The caller says `done` afterwards.
        """
        with self._changed:
            while not self._closed:
                work = self._next()
                if work is not None:
                    self._busy_count += 1
                    return work
                if not self._busy_count:
                    self._fail_postponed()
                    self._changed.notify_all()
                    return None
                self._changed.wait(0.5)
        return None

    def done(self, *, placed: bool) -> None:
        """Say that what was taken is done; `placed` when a table became ready by it."""
        with self._changed:
            self._busy_count -= 1
            self._placed_count += placed
            self._changed.notify_all()

    def postpone(self, load: TableLoad, error: TrempyError) -> None:
        """Finish a table after another one has been placed, or fail it with the error."""
        with self._changed:
            self._postponed.append(_Postponed(load, error, self._placed_count))

    def close(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self) -> Work | None:
        while self._work:
            work = self._work.popleft()
            if not work.load.is_given_up:
                return work
        for postponed in self._postponed:
            if postponed.placed_count < self._placed_count:
                self._postponed.remove(postponed)
                return Work(postponed.load, None)
        return None

    def _fail_postponed(self) -> None:
        for postponed in self._postponed:
            postponed.load.fail(postponed.error)
        self._postponed.clear()

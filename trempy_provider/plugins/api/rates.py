"""How quickly counters grow, from what was read of them during the last minute."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from datetime import datetime

WINDOW_SECONDS = 60.0
SHORTEST_SECONDS = 1.0
ONLY_GROWING = ("changes", "bytes")
Sample = tuple[datetime, Mapping[str, int | None]]


class Rates:
    """Remembers counters of tasks, for a minute."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[Sample]] = {}
        self._lock = threading.Lock()

    def note(self, task_name: str, at: datetime, counters: Mapping[str, int | None]) -> dict[str, float]:
        """Take what was read at a time, and return the growth a second of what is known twice.

        A counter that begins anew has no rate until it is known twice again.
        """
        with self._lock:
            samples = self._samples.setdefault(task_name, deque())
            if samples and any(_begins_anew(samples[-1][1], counters, name) for name in ONLY_GROWING):
                samples.clear()
            if not samples or at > samples[-1][0]:
                samples.append((at, counters))
            while len(samples) > 2 and (at - samples[1][0]).total_seconds() > WINDOW_SECONDS:
                samples.popleft()
            (began_at, first), (ended_at, last) = samples[0], samples[-1]
            seconds = (ended_at - began_at).total_seconds()
            if seconds < SHORTEST_SECONDS:
                return {}
            growth = {name: _difference(first.get(name), value) for name, value in last.items()}
            return {name: rows / seconds for name, rows in growth.items() if rows is not None}


def _begins_anew(before: Mapping[str, int | None], after: Mapping[str, int | None], name: str) -> bool:
    difference = _difference(before.get(name), after.get(name))
    return difference is not None and difference < 0


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before

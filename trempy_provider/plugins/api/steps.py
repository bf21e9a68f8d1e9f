"""From statistics to the points of charts: steps of equal length, with what was counted in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from trempy_provider.postgres.statistics import MINUTE, StatisticsStep

POINTS = 60
COUNTS = ("insert_count", "update_count", "delete_count", "error_count", "batch_count")


@dataclass(frozen=True, slots=True)
class Range:
    """A time until now: its length, that of its steps and of the periods of rows read, in seconds."""

    span_seconds: int
    step_seconds: int
    period_seconds: int


def points_of(
    steps: Sequence[StatisticsStep], chosen: Range, *, now: datetime, is_followed: bool = False
) -> list[dict[str, Any]]:
    """Return a point for each step: what was counted in it, and how far the task was.

    What was counted since the last step that has a sample is in the next one that has; in between is nothing.
    Before the first sample of all, nothing was counted.
    A point is idle when the sample before it says that the task waits; after the last sample of all, only of
    a task that `is_followed` now.
    """
    by_time = {step.at: step for step in steps}
    length = timedelta(seconds=chosen.step_seconds)
    last = datetime.fromtimestamp(now.timestamp() // chosen.step_seconds * chosen.step_seconds, timezone.utc)
    count = chosen.span_seconds // chosen.step_seconds
    times = [last - length * (count - 1 - index) for index in range(count)]
    before = max((step for step in steps if step.at < times[0]), key=lambda step: step.at, default=None)
    known_until = now if is_followed else max(by_time, default=now)
    points = []
    for at in times:
        step = by_time.get(at)
        is_idle = step is None and at < known_until and _waits(before, at)
        points.append({**_point(at, step, before, step_seconds=chosen.step_seconds), "idle": is_idle})
        before = step or before
    return points


def sparklines_of(
    samples: Sequence[tuple[datetime, float | None, int]], *, now: datetime
) -> dict[str, list[float | None]]:
    """Return the last hour of a task, a value a minute, the oldest first; None where there is no sample."""
    last = now.replace(second=0, microsecond=0)
    lags: list[float | None] = [None] * POINTS
    rates: list[float | None] = [None] * POINTS
    before: tuple[datetime, int] | None = None
    for at, lag_seconds, change_count in samples:
        index = POINTS - 1 - int((last - at).total_seconds() // MINUTE)
        if 0 <= index < POINTS:
            lags[index] = lag_seconds
            if before is not None:
                rates[index] = _growth(before[1], change_count) / (at - before[0]).total_seconds()
        before = (at, change_count)
    return {"lag_seconds": lags, "rows_per_second": rates}


def _point(
    at: datetime, step: StatisticsStep | None, before: StatisticsStep | None, *, step_seconds: int
) -> dict[str, Any]:
    counts = dict.fromkeys(COUNTS, 0)
    rows_per_second = 0.0
    if step is not None:
        counts = {
            name: _growth(0 if before is None else getattr(before, name), getattr(step, name))
            for name in COUNTS
        }
        rows = counts["insert_count"] + counts["update_count"] + counts["delete_count"]
        seconds = step_seconds if before is None else (step.at - before.at).total_seconds()
        rows_per_second = rows / max(seconds, step_seconds)
    return {
        "at": at.isoformat(),
        "lag_seconds": None if step is None else step.lag_seconds,
        "lag_bytes": None if step is None else step.lag_bytes,
        "rows_per_second": rows_per_second,
        "inserts": counts["insert_count"],
        "updates": counts["update_count"],
        "deletes": counts["delete_count"],
        "errors": counts["error_count"],
        "batches": counts["batch_count"],
        "queue_depth": None if step is None else step.queue_depth,
        "wal_retained_bytes": None if step is None else step.retained_bytes,
    }


def _waits(step: StatisticsStep | None, at: datetime) -> bool:
    """Tell whether the task still waits at a time, by the last step before it that has a sample."""
    return step is not None and step.idle_until is not None and at < step.idle_until


def _growth(before: int, after: int) -> int:
    """Return what was counted in between; a task that was set up anew counts from zero."""
    return after - before if after >= before else after

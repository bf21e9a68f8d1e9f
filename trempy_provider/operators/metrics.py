"""A task's figures among Airflow's own metrics, wherever `[metrics]` sends those.

Names are `trempy.<task>.<figure>`, for StatsD without tags; `replication_task` is a tag too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from airflow.sdk.observability import stats

INTERVAL_SECONDS = 10.0


class Report(Protocol):
    """What a running job keeps up to date."""

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""


def count(task_name: str, name: str, number: int) -> None:
    """Add to a counter."""
    if number:
        stats.incr(f"trempy.{task_name}.{name}", number, tags={"replication_task": task_name})


def gauge(task_name: str, name: str, value: float | None) -> None:
    """Set a gauge; None is not known and leaves it as it was."""
    if value is not None:
        stats.gauge(f"trempy.{task_name}.{name}", value, tags={"replication_task": task_name})


@contextmanager
def measuring(task_name: str, job: str, report: Report) -> Iterator[None]:
    """Tell every few seconds, and at the end, what has been added to a report while the block fills it."""
    told: dict[str, Any] = {}
    ended = threading.Event()

    def tell() -> None:
        _tell(task_name, job, report.as_dict(), told)

    def keep_telling() -> None:
        while not ended.wait(INTERVAL_SECONDS):
            tell()

    thread = threading.Thread(target=keep_telling, name="trempy-metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        tell()


def _tell(task_name: str, job: str, facts: Mapping[str, Any], told: dict[str, Any]) -> None:
    for name, value in facts.items():
        if name.endswith(("_count", "_bytes")) and isinstance(value, int):
            count(task_name, f"{job}.{name}", value - told.get(name, 0))
            told[name] = value
    if facts.get("batch_count") != told.get("batches_of_lag"):
        gauge(task_name, "lag_seconds", facts.get("lag_seconds"))
        told["batches_of_lag"] = facts.get("batch_count")

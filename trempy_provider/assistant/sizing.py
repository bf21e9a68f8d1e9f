"""Parallel streams, batch sizes and load times, from sizes in the catalogue and what was measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trempy_provider.assistant.catalogue import TableFacts
from trempy_provider.assistant.history import History, TaskHistory
from trempy_provider.config.options import CdcOptions, FullLoadOptions
from trempy_provider.jobs.progress import duration_text, size_text

_STREAMS_MAX = 8
_STREAM_BYTES = 128 * 1024 * 1024  # what one stream copies in about a second on a fast network
_MEASURED_BYTES = 32 * 1024 * 1024  # a smaller load tells nothing of throughput
_BATCH_ROWS_MIN, _BATCH_ROWS_MAX = 1_000, 500_000
_CHANGE_BYTES = 100  # of a change in a message, beside its values
_SLOW_LAG_SECONDS = 60.0
_MANY_ERRORS = 0.01


@dataclass(frozen=True, slots=True)
class Chosen:
    """A number and why."""

    value: int
    reason: str


def choose_streams(tables: Sequence[TableFacts], history: History) -> Chosen:
    """Return the number of concurrent COPY streams."""
    total = sum(table.size_bytes for table in tables)
    fastest = _fastest(history)
    if fastest is not None and total >= _MEASURED_BYTES:
        task, speed = fastest
        assert task.settings is not None
        streams = task.settings.full_load.parallel_streams
        seconds = duration_text(total / speed)
        return Chosen(
            streams,
            f"task {task.task_name} loaded {size_text(speed)} per second with {streams} streams, the fastest "
            f"here; {size_text(total)} take about {seconds} at that speed",
        )
    split_bytes = FullLoadOptions().split_bytes
    parts = sum(max(1, -(-table.size_bytes // split_bytes)) for table in tables)
    wanted = max(1, -(-total // _STREAM_BYTES))
    streams = int(min(_STREAMS_MAX, parts, wanted))
    return Chosen(streams, f"{len(tables)} table(s) of {size_text(total)} in {parts} part(s)")


def load_seconds(tables: Sequence[TableFacts], history: History) -> float | None:
    """Return about how long a full load takes, by what was measured here; None when nothing was."""
    fastest = _fastest(history)
    return None if fastest is None else sum(table.size_bytes for table in tables) / fastest[1]


def choose_batch_rows(tables: Sequence[TableFacts], similar: Sequence[TaskHistory]) -> Chosen | None:
    """Return how many changes make a batch, None where the default is right."""
    measured = next((task for task in similar if task.batch_count and task.settings), None)
    if measured is not None:
        return _by_measurement(measured)
    return _by_width(tables)


def _by_measurement(task: TaskHistory) -> Chosen | None:
    assert task.settings is not None
    assert task.changes_per_batch is not None
    rows = task.settings.cdc.batch_max_rows
    if task.error_fraction > _MANY_ERRORS:
        fewer = max(_BATCH_ROWS_MIN, rows // 2)
        why = (
            f"{task.error_fraction:.1%} of the changes of task {task.task_name} failed, and a batch with an "
            "error is applied again row by row"
        )
        return Chosen(fewer, why)
    is_full = task.changes_per_batch > 0.8 * rows
    if is_full and (task.lag_seconds or 0) > _SLOW_LAG_SECONDS:
        more = min(_BATCH_ROWS_MAX, rows * 2)
        why = (
            f"the batches of task {task.task_name} are full ({task.changes_per_batch:,.0f} changes) and it "
            f"was {task.lag_seconds:,.0f} s behind"
        )
        return Chosen(more, why)
    if rows != CdcOptions().batch_max_rows:
        return Chosen(rows, f"as in task {task.task_name}, which keeps up")
    return None


def _by_width(tables: Sequence[TableFacts]) -> Chosen | None:
    """Return as many wide rows as `batch_max_bytes` holds, so that both limits agree."""
    widths = [(table.average_row_bytes, max(table.estimated_rows or 0, 1)) for table in tables]
    if not widths or any(width is None for width, _ in widths):
        return None
    weight = sum(rows for _, rows in widths)
    width = sum((w or 0) * rows for w, rows in widths) / weight
    fitting = int(CdcOptions().batch_max_bytes / (width + _CHANGE_BYTES))
    rows = max(_BATCH_ROWS_MIN, min(_BATCH_ROWS_MAX, round(fitting, -3)))
    default = CdcOptions().batch_max_rows
    if rows > default // 2:
        return None
    return Chosen(rows, f"rows are {width:,.0f} bytes wide on average, so that {fitting:,} fill a batch")


def _fastest(history: History) -> tuple[TaskHistory, float] | None:
    """Return the task with the fastest full load of a size that tells something, and its bytes per second."""
    measured = [
        (task, speed)
        for task in history.tasks
        if task.settings is not None and sum(load.bytes for load in task.loads) >= _MEASURED_BYTES
        if (speed := task.load_bytes_per_second) is not None
    ]
    return max(measured, key=lambda pair: pair[1], default=None)

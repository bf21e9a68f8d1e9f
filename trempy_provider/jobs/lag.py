"""How far a task is behind, and what to call its state; from what was read of it, by whoever read it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from trempy_provider.jobs.task_status import CaptureStatus, CheckpointStatus, Lag, TaskState
from trempy_provider.replication.lsn import Lsn

# Capture notes at least this often how far an idle source is.
SEEN_RECENTLY_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time it is where commit times are from (the source), and where capture notes what it has seen."""

    now: datetime
    metadata_now: datetime


def measure_lag(
    capture: CaptureStatus | None,
    checkpoint: CheckpointStatus | None,
    *,
    clocks: Clocks | None,
    source_lsn: Lsn | None,
    is_capturing: bool,
    set_up_at: datetime | None,
) -> Lag | None:
    """Return the lag, None without capture or checkpoint; its seconds are None without clocks."""
    if capture is None or checkpoint is None:
        return None
    apply_bytes = max(capture.published_lsn - checkpoint.end_lsn, 0)
    capture_bytes = None if source_lsn is None else max(source_lsn - capture.seen_lsn, 0)
    seconds = None
    if clocks is not None:
        seconds = _lag_seconds(
            capture,
            apply_bytes=apply_bytes,
            capture_bytes=capture_bytes,
            clocks=clocks,
            is_capturing=is_capturing,
            applied_until=checkpoint.committed_at or set_up_at,
        )
    return Lag(
        capture_bytes=capture_bytes,
        apply_bytes=apply_bytes,
        total_bytes=None if capture_bytes is None else capture_bytes + apply_bytes,
        seconds=seconds,
    )


def judge_state(*, stop_reason: str | None, running_jobs: Collection[str], slot_is_active: bool) -> TaskState:
    """Find the word for a task that is set up; a job that runs again has left its stop behind."""
    stopped_job, is_named, _ = (stop_reason or "").partition(": ")
    if stop_reason is not None and not (is_named and stopped_job in running_jobs):
        return TaskState.STOPPED
    if "full_load" in running_jobs:
        return TaskState.LOADING
    return TaskState.RUNNING if running_jobs or slot_is_active else TaskState.IDLE


def _lag_seconds(
    capture: CaptureStatus,
    *,
    apply_bytes: int,
    capture_bytes: int | None,
    clocks: Clocks,
    is_capturing: bool,
    applied_until: datetime | None,
) -> float | None:
    """Return 0 when caught up, else the age of what is applied.

    With an idle source that is the time at which capture saw the WAL without a change of this task.
    """
    if apply_bytes == 0 and capture_bytes == 0:
        return 0.0
    unseen_seconds = (clocks.metadata_now - capture.seen_at).total_seconds()
    if apply_bytes == 0 and capture.idle:
        is_recent = is_capturing and unseen_seconds < SEEN_RECENTLY_SECONDS
        return 0.0 if is_recent else max(unseen_seconds, 0.0)
    return None if applied_until is None else max((clocks.now - applied_until).total_seconds(), 0.0)

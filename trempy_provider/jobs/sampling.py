"""Sampling: note about once a minute how far a task is, beside a lease of capture.

A thread of its own asks source, target and broker, through connections of its own that last a moment, so that
capture and apply do nothing for it.
That a sample fails is no error of the task.

A lease that ends in silence defers, and nobody looks until it is resumed.
Its last sample therefore tells until when it waits at most; where there is a backlog for apply, it does not.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trempy_provider.broker.base import Broker
from trempy_provider.config.options import StatisticsOptions
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import TrempyError
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.overview import TaskOverview, read_database, read_source, task_overview
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.statistics import (
    DAY,
    HOUR,
    MINUTE,
    TaskSample,
    has_statistics,
    prune_statistics,
    record_sample,
)

logger = logging.getLogger(__name__)

JOB = "statistics"
LAST_SAMPLE_SECONDS = 2.0
FIRST_SAMPLE_SECONDS = 1.5
_PRUNE_EVERY = 60


@dataclass(slots=True)
class Rest:
    """What is left of a lease that has ended in silence: so many seconds; None when it has not."""

    seconds: float | None = None


@contextmanager
def sampling(
    task: ReplicationTask, *, source: Endpoint, target: Endpoint, broker: Broker, stop: StopSignal
) -> Iterator[Rest]:
    """Sample while the block runs, soon after its beginning and once more at its end, unless it is short.

    Whoever asks it to stop is not kept waiting for a last sample.
    What the block says of the rest of the lease is noted with the last sample.
    """
    interval_seconds = task.task.statistics_settings.interval_seconds
    rest = Rest()
    if interval_seconds is None:
        yield rest
        return
    sampler = _Sampler(
        task, source=source, target=target, broker=broker, interval_seconds=interval_seconds, rest=rest
    )
    sampler.start()
    try:
        yield rest
    finally:
        sampler.stop(at_once=stop.is_set())


def sample(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    broker: Broker,
    idle_seconds: float | None = None,
) -> TaskSample:
    """Look how far a task is, and note it; raise what the servers raise.

    With `idle_seconds`, nobody looks again for so long unless there is something to do; that is noted of a
    task without a backlog.
    """
    overview = read_overview(task, source=source, target=target, broker=broker)
    capture, lag, slot = overview.capture, overview.lag, overview.slot
    is_level = lag is not None and lag.apply_bytes == 0
    taken = TaskSample(
        lag_seconds=None if lag is None else lag.seconds,
        lag_bytes=None if lag is None else lag.total_bytes,
        queue_depth=None if overview.queue is None else overview.queue.ready,
        retained_bytes=None if slot is None else slot.retained_bytes,
        batch_count=0 if capture is None else capture.batch_count,
        published_bytes=0 if capture is None else capture.published_bytes,
        idle_seconds=idle_seconds if is_level else None,
    )
    interval_seconds = task.task.statistics_settings.interval_seconds or MINUTE
    with target.connect(JOB) as session:
        if has_statistics(session):
            record_sample(session, task.task_name, taken, since_seconds=2.0 * interval_seconds)
    return taken


def read_overview(
    task: ReplicationTask, *, source: Endpoint, target: Endpoint, broker: Broker
) -> TaskOverview:
    """Ask source, metadata, target and broker of one task how far it is."""
    names = [task.task_name]
    with source.connect(JOB) as session:
        from_source = read_source(session, [task.slot_name])
    with target.connect(JOB) as session:
        from_target = read_database(session, names)
    from_metadata = from_target
    if target.metadata is not target:
        with target.metadata.connect(JOB) as session:
            from_metadata = read_database(session, names)
    queue = broker.depths_of(names).get(task.task_name)
    return task_overview(task, source=from_source, metadata=from_metadata, target=from_target, queue=queue)


class _Sampler:
    """Takes samples in a thread until it is asked to stop."""

    def __init__(
        self,
        task: ReplicationTask,
        *,
        source: Endpoint,
        target: Endpoint,
        broker: Broker,
        interval_seconds: float,
        rest: Rest,
    ) -> None:
        self._task = task
        self._source = source
        self._target = target
        self._broker = broker
        self._interval_seconds = interval_seconds
        self._rest = rest
        self._stop = threading.Event()
        self._is_cut_short = False
        self._thread = threading.Thread(target=self._run, name=f"trempy-{JOB}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, at_once: bool) -> None:
        """Let the last sample be taken; a server that does not answer is not waited for."""
        self._is_cut_short = at_once
        self._stop.set()
        self._thread.join(0 if at_once else LAST_SAMPLE_SECONDS)

    def _run(self) -> None:
        """Sample until asked to stop; a lease that ends at once neither has a sample nor waits for one."""
        if self._stop.wait(FIRST_SAMPLE_SECONDS):
            return
        count = 0
        while not self._stop.is_set():
            self._sample(prunes=count % _PRUNE_EVERY == 0)
            count += 1
            self._stop.wait(self._interval_seconds)
        if not self._is_cut_short:
            self._sample(prunes=False, idle_seconds=self._rest.seconds)

    def _sample(self, *, prunes: bool, idle_seconds: float | None = None) -> None:
        try:
            sample(
                self._task,
                source=self._source,
                target=self._target,
                broker=self._broker,
                idle_seconds=idle_seconds,
            )
            if prunes:
                self._prune()
        except TrempyError as error:
            logger.debug("task %s: no sample for its statistics: %s", self._task.task_name, error)
        except Exception:
            logger.exception("task %s: no sample for its statistics", self._task.task_name)

    def _prune(self) -> None:
        with self._target.connect(JOB) as session:
            if has_statistics(session):
                kept = kept_seconds(self._task.task.statistics_settings)
                prune_statistics(session, self._task.task_name, kept)


def kept_seconds(options: StatisticsOptions) -> dict[int, float]:
    """Return how long the rows of each period are kept, by its length in seconds."""
    return {
        MINUTE: options.minute_retention_hours * float(HOUR),
        HOUR: options.hour_retention_days * float(DAY),
        DAY: options.day_retention_days * float(DAY),
    }

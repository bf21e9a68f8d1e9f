"""A lease of apply that works in lanes: read messages, hand them to the processes, level the checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from trempy_provider.broker.base import Broker, Delivery
from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.applying.batch_log import BatchLog
from trempy_provider.jobs.applying.lanes import Lanes
from trempy_provider.jobs.applying.report import ApplyReport
from trempy_provider.jobs.applying.starving import Starving
from trempy_provider.jobs.applying.whole_letters import remove_applied_letters
from trempy_provider.jobs.backoff import Backoff
from trempy_provider.jobs.lease import EndReason, Lease, StopSignal
from trempy_provider.postgres.lanes import level_checkpoint
from trempy_provider.postgres.session import Endpoint, Session

_GET_SECONDS = 0.5
_GET_SECONDS_WHILE_BUSY = 0.02
_LEVEL_INTERVAL_SECONDS = 0.05


class LanesApply:
    """A lease of apply in lanes, over one session of the target."""

    def __init__(
        self,
        task: ReplicationTask,
        session: Session,
        *,
        target: Endpoint,
        broker: Broker,
        report: ApplyReport,
        lease: Lease,
        stop: StopSignal,
        backoff: Backoff,
    ) -> None:
        self._task = task
        self._session = session
        self._target = target
        self._broker = broker
        self._report = report
        self._lease = lease
        self._stop = stop
        self._backoff = backoff

    def run(
        self, count: int, *, starving: Starving, end_reason: Callable[[float], EndReason | None]
    ) -> EndReason:
        """Apply in so many lanes until `end_reason` of the seconds without messages is one."""
        name = self._task.task_name
        remove_applied_letters(self._session, name, self._broker)
        prefetch_count = self._task.cdc.prefetch_count + count  # one lane is ahead of another
        log = BatchLog(self._session, name, report=self._report)
        with closing(self._broker.open_consumer(prefetch_count=prefetch_count)) as consumer:
            lanes = Lanes(
                self._task,
                target=self._target,
                broker=self._broker,
                consumer=consumer,
                report=self._report,
                lease=self._lease,
                stop=self._stop,
                count=count,
            )
            with closing(lanes):
                reason = self._consume(lanes, consumer.get, log, starving, end_reason)
        level_checkpoint(self._session, name)
        remove_applied_letters(self._session, name, self._broker)
        log.write()
        return reason

    def _consume(
        self,
        lanes: Lanes,
        get: Callable[..., Delivery | None],
        log: BatchLog,
        starving: Starving,
        end_reason: Callable[[float], EndReason | None],
    ) -> EndReason:
        active_at = leveled_at = time.monotonic()
        noted_count = leveled_count = 0
        while True:
            lanes.raise_error()
            now = time.monotonic()
            if lanes.done_count > leveled_count and now - leveled_at >= _LEVEL_INTERVAL_SECONDS:
                leveled_count, leveled_at = lanes.done_count, now
                level_checkpoint(self._session, self._task.task_name)
            reason = end_reason(0.0 if lanes.in_flight_count else now - active_at)
            if reason is not None:
                lanes.finish()
                return reason
            log.write_if_due()
            is_busy = lanes.in_flight_count or lanes.done_count > leveled_count
            at_most = _GET_SECONDS_WHILE_BUSY if is_busy else _GET_SECONDS
            delivery = get(timeout_seconds=self._lease.remaining_seconds(at_most=at_most))
            if delivery is not None:
                lanes.give(delivery)
            if lanes.done_count > noted_count:
                log.note(seconds=time.monotonic() - active_at)
                noted_count, active_at = lanes.done_count, time.monotonic()
                starving.fed()
                self._backoff.succeeded()
            elif delivery is None and not lanes.in_flight_count:
                starving.hungry()
                self._backoff.going_on()

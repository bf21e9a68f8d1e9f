"""Apply: read batches in order, write them to the target with the checkpoint, acknowledge.

Data and checkpoint commit in one transaction of the target, which holds the checkpoint's row lock; the
message is acknowledged after that commit (`applying/batches.py`).

A message that cannot be applied gets three attempts, then it is a dead letter (`applying/deliveries.py`,
`applying/giving_up.py`).
When a batch does not follow the one before it, dead letters that come between are taken back in order; if the
gap remains, apply refuses to go on.

With `apply_lanes`, processes share the tables, each with a checkpoint of its own (`applying/lanes.py`); here
the messages are read that all of them get.
"""

from __future__ import annotations

import time
from contextlib import closing

from trempy_provider.apply_modes.error_limit import raise_at_error_limit
from trempy_provider.broker.base import Broker, Consumer, Delivery
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import RetryPolicy, TrempyError
from trempy_provider.jobs.applying.batch_log import BatchLog
from trempy_provider.jobs.applying.batches import ReadBatch
from trempy_provider.jobs.applying.deliveries import DeliveryApplier
from trempy_provider.jobs.applying.in_lanes import LanesApply
from trempy_provider.jobs.applying.read_ahead import ReadAhead
from trempy_provider.jobs.applying.report import ApplyReport
from trempy_provider.jobs.applying.starving import Starving
from trempy_provider.jobs.backoff import Backoff
from trempy_provider.jobs.cancelling import cancelling
from trempy_provider.jobs.heap import give_back_large_blocks
from trempy_provider.jobs.lease import EndReason, Lease, StopSignal
from trempy_provider.jobs.pause import PauseWatch
from trempy_provider.jobs.prune import prune_task
from trempy_provider.postgres.checkpoints import is_caught_up, read_checkpoint
from trempy_provider.postgres.lanes import arrange_lanes
from trempy_provider.postgres.metadata_places import metadata_session, verify_places
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.table_states import read_waiting_tables

__all__ = ["ApplyReport", "apply"]

_GET_SECONDS = 0.5


def apply(
    task: ReplicationTask,
    *,
    target: Endpoint,
    broker: Broker,
    lease: Lease,
    stop: StopSignal,
    report: ApplyReport | None = None,
) -> ApplyReport:
    """Apply batches until the lease ends or a stop is asked for.

    A `report` that is given is kept up to date meanwhile, for whoever watches it from another thread.

    Lost connections are waited out with backoff.
    Raise ApplyError when a row fails and the policy says stop, GapError when batches are missing,
    ErrorLimitError when too many rows have failed, and what a message fails of, after it has gone to the
    dead-letter queue.
    """
    give_back_large_blocks()
    report = report or ApplyReport()
    backoff = Backoff(lease=lease, stop=stop)
    running = _Apply(
        task, target=target, broker=broker, report=report, lease=lease, stop=stop, backoff=backoff
    )
    started_at = time.monotonic()
    while not report.end_reason:
        try:
            with (
                target.connect("apply") as session,
                metadata_session(target, session, "apply") as metadata,
                cancelling(session, stop),
            ):
                report.end_reason = running.run(session, metadata).value
        except TrempyError as error:
            if stop.is_set() and error.policy is RetryPolicy.BY_ITSELF:
                report.end_reason = EndReason.STOPPED.value
                break
            backoff.wait(error)
    report.seconds = time.monotonic() - started_at
    return report


class _Apply:
    """A lease of apply, over as many connections as it takes."""

    def __init__(
        self,
        task: ReplicationTask,
        *,
        target: Endpoint,
        broker: Broker,
        report: ApplyReport,
        lease: Lease,
        stop: StopSignal,
        backoff: Backoff,
    ) -> None:
        self._task = task
        self._target = target
        self._broker = broker
        self._report = report
        self._lease = lease
        self._stop = stop
        self._backoff = backoff

    def run(self, session: Session, metadata: Session) -> EndReason:
        """Apply through one session of the target, until the lease ends or a connection breaks."""
        verify_places(session, metadata, self._task.task_name)
        lane_count = arrange_lanes(session, self._task.task_name, wanted_count=self._task.cdc.apply_lanes)
        self._report.end_lsn = read_checkpoint(session, self._task.task_name).end_lsn
        if lane_count > 1:
            reason = self._run_in_lanes(session, metadata, lane_count)
        else:
            reason = self._run_alone(session, metadata)
        self._report.waiting_tables = read_waiting_tables(session, self._task.task_name)
        return reason

    def _run_in_lanes(self, session: Session, metadata: Session, count: int) -> EndReason:
        pause = PauseWatch(metadata, self._task.task_name)

        def end_reason(idle_for_seconds: float) -> EndReason | None:
            reason = self._end_reason(session, metadata, idle_for_seconds=idle_for_seconds)
            return EndReason.PAUSED if reason is None and pause.is_asked() else reason

        prune_task(session, self._task)
        running = LanesApply(
            self._task,
            session,
            target=self._target,
            broker=self._broker,
            report=self._report,
            lease=self._lease,
            stop=self._stop,
            backoff=self._backoff,
        )
        starving = Starving(session, metadata, self._task, broker=self._broker)
        return running.run(count, starving=starving, end_reason=end_reason)

    def _run_alone(self, session: Session, metadata: Session) -> EndReason:
        deliveries = DeliveryApplier(
            session,
            self._task,
            broker=self._broker,
            report=self._report,
            backoff=self._backoff,
            stop=self._stop,
        )
        deliveries.take_back_dead_letters()
        prune_task(session, self._task)
        with (
            closing(self._broker.open_consumer(prefetch_count=self._task.cdc.prefetch_count)) as consumer,
            closing(ReadAhead(consumer, deliveries.batches.read)) as ahead,
        ):
            log = BatchLog(session, self._task.task_name, report=self._report)
            reason = self._consume(session, metadata, consumer, ahead, deliveries, log=log)
            log.write()
        return reason

    def _consume(
        self,
        session: Session,
        metadata: Session,
        consumer: Consumer,
        ahead: ReadAhead,
        deliveries: DeliveryApplier,
        *,
        log: BatchLog,
    ) -> EndReason:
        starving = Starving(session, metadata, self._task, broker=self._broker)
        pause = PauseWatch(metadata, self._task.task_name)
        active_at = time.monotonic()
        while True:
            reason = self._end_reason(session, metadata, idle_for_seconds=time.monotonic() - active_at)
            if reason is None and pause.is_asked():
                reason = EndReason.PAUSED
            if reason is not None:
                return reason
            log.write_if_due()
            taken = ahead.get(timeout_seconds=self._lease.remaining_seconds(at_most=_GET_SECONDS))
            if taken is None:
                starving.hungry()
                self._backoff.going_on()
                continue
            began_at = time.monotonic()
            self._take(*taken, session=session, consumer=consumer, deliveries=deliveries)
            log.note(seconds=time.monotonic() - began_at)
            starving.fed()
            self._backoff.succeeded()
            active_at = time.monotonic()

    def _end_reason(
        self, session: Session, metadata: Session, *, idle_for_seconds: float
    ) -> EndReason | None:
        if self._stop.is_set():
            return EndReason.STOPPED
        name, awaited_lsn, position = self._task.task_name, self._lease.caught_up_lsn, None
        if awaited_lsn is not None and is_caught_up(session, metadata, name, lsn=awaited_lsn):
            position = awaited_lsn
        return self._lease.reached(position, idle_for_seconds=idle_for_seconds)

    def _take(
        self,
        delivery: Delivery,
        read: ReadBatch | None,
        *,
        session: Session,
        consumer: Consumer,
        deliveries: DeliveryApplier,
    ) -> None:
        """Apply a delivery and acknowledge it; raise the error at which the task stops."""
        error_count = self._report.error_count
        error = deliveries.apply(delivery, read)
        consumer.ack(delivery)
        if error is not None:
            raise error
        if self._report.error_count > error_count:
            raise_at_error_limit(session, self._task)

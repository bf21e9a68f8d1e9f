"""Apply: read batches in order, write them to the target with the checkpoint, acknowledge.

Data and checkpoint commit in one transaction of the target, which holds the checkpoint's row lock; the
message is acknowledged after that commit.
A transaction at or below the checkpoint is skipped, so delivery at least once has its effect exactly once.

A batch says where the batch before it ended.
When that is past the checkpoint, batches are missing: those that the broker has dead-lettered are taken
back in order; if the gap remains, apply refuses to go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from trempy_provider.apply_modes.applier import Applier, CommitPoint
from trempy_provider.apply_modes.error_limit import raise_at_error_limit
from trempy_provider.broker.base import Broker, Consumer, Delivery
from trempy_provider.config.choices import DeadLetterPolicy
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import GapError, RetryPolicy, TrempyError, WireFormatError
from trempy_provider.jobs.backoff import Backoff
from trempy_provider.jobs.cancelling import cancelling
from trempy_provider.jobs.lease import EndReason, Lease, StopSignal
from trempy_provider.postgres.checkpoints import (
    Checkpoint,
    advance_checkpoint,
    is_caught_up,
    lock_checkpoint,
    read_checkpoint,
)
from trempy_provider.postgres.held_chunks import (
    delete_chunks,
    follow_capture_session,
    hold_chunk,
    read_transaction,
)
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch, ChunkEnd
from trempy_provider.replication.lsn import NO_LSN, Lsn

logger = logging.getLogger(__name__)

ATTEMPT_LIMIT = 3
_GET_SECONDS = 0.5
_ATTEMPT_PAUSE_SECONDS = 0.3
_DEAD_LETTERS_AT_ONCE = 100


@dataclass(slots=True)
class ApplyReport:
    """What a lease of apply did."""

    end_reason: str = ""
    batch_count: int = 0
    transaction_count: int = 0
    change_count: int = 0
    error_count: int = 0
    skipped_batch_count: int = 0
    dead_letter_count: int = 0
    end_lsn: Lsn = NO_LSN
    lag_seconds: float | None = None
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values; `lag_seconds` is that of the last batch, by commit time."""
        return {
            "end_reason": self.end_reason,
            "batch_count": self.batch_count,
            "transaction_count": self.transaction_count,
            "change_count": self.change_count,
            "error_count": self.error_count,
            "skipped_batch_count": self.skipped_batch_count,
            "dead_letter_count": self.dead_letter_count,
            "end_lsn": str(self.end_lsn),
            "lag_seconds": None if self.lag_seconds is None else round(self.lag_seconds, 3),
            "seconds": round(self.seconds, 3),
        }


def apply(
    task: ReplicationTask, *, target: Endpoint, broker: Broker, lease: Lease, stop: StopSignal
) -> ApplyReport:
    """Apply batches until the lease ends or a stop is asked for.

    Lost connections are waited out with backoff.
    Raise ApplyError when a row fails and the policy says stop, GapError when batches are missing,
    DeadLetterError-like causes as they are, after the batch has gone to the dead-letter queue.
    """
    report = ApplyReport()
    backoff = Backoff(lease=lease, stop=stop)
    started_at = time.monotonic()
    while not report.end_reason:
        try:
            with (
                _Apply(task, target=target, broker=broker, report=report) as running,
                cancelling(running.session, stop),
            ):
                report.end_reason = running.run(lease, stop, backoff).value
        except TrempyError as error:
            if stop.is_set() and error.policy is RetryPolicy.BY_ITSELF:
                report.end_reason = EndReason.STOPPED.value
                break
            backoff.wait(error)
    report.seconds = time.monotonic() - started_at
    return report


class _Apply:
    """One connection of apply: a consumer and a session with the target."""

    def __init__(
        self, task: ReplicationTask, *, target: Endpoint, broker: Broker, report: ApplyReport
    ) -> None:
        self._task = task
        self._broker = broker
        self._report = report
        self._session: Session = target.connect("apply")
        self._consumer: Consumer | None = None
        try:
            self._report.end_lsn = read_checkpoint(self._session, task.task_name).end_lsn
            self._applier = Applier(self._session, task)
            self._take_back_dead_letters()
            self._consumer = broker.open_consumer(prefetch_count=task.cdc.prefetch_count)
        except BaseException:
            self.close()
            raise
        self._active_at = time.monotonic()

    def __enter__(self) -> _Apply:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
        self._session.close()

    @property
    def session(self) -> Session:
        """The session with the target."""
        return self._session

    def run(self, lease: Lease, stop: StopSignal, backoff: Backoff) -> EndReason:
        assert self._consumer is not None
        while True:
            reason = EndReason.STOPPED if stop.is_set() else self._end_reason(lease)
            if reason is not None:
                return reason
            delivery = self._consumer.get(timeout_seconds=lease.remaining_seconds(at_most=_GET_SECONDS))
            if delivery is not None:
                self._take(delivery)
                self._active_at = time.monotonic()
            backoff.succeeded()

    def _end_reason(self, lease: Lease) -> EndReason | None:
        position = None
        if lease.caught_up_lsn is not None and is_caught_up(
            self._session, self._task.task_name, lsn=lease.caught_up_lsn
        ):
            position = lease.caught_up_lsn
        return lease.reached(position, idle_for_seconds=time.monotonic() - self._active_at)

    def _take(self, delivery: Delivery) -> None:
        """Apply a delivery and acknowledge it; what fails too often becomes a dead letter."""
        assert self._consumer is not None
        error_count = self._report.error_count
        try:
            self._apply_in_order(delivery.body)
        except TrempyError as error:
            if error.policy is RetryPolicy.BY_ITSELF:
                raise
            self._fail(delivery, error)
            return
        self._consumer.ack(delivery)
        if self._report.error_count > error_count:
            raise_at_error_limit(self._session, self._task)

    def _apply_in_order(self, body: bytes) -> None:
        try:
            self._apply_body(body)
        except GapError:
            self._take_back_dead_letters()
            self._apply_body(body)

    def _apply_body(self, body: bytes) -> None:
        batch = wire.decode(body)
        try:
            with self._session.transaction():
                self._apply_batch(batch, body)
        except BaseException:
            if not self._session.closed:
                self._applier.forget()
            raise

    def _apply_batch(self, batch: Batch, body: bytes) -> None:
        checkpoint = lock_checkpoint(self._session, self._task.task_name)
        if _is_superseded(batch, checkpoint) or _is_applied(batch, checkpoint):
            self._skip_batch(batch)
            return
        if batch.previous_lsn > checkpoint.end_lsn:
            raise GapError(
                f"task {self._task.task_name} is applied up to {checkpoint.end_lsn}, but the next batch "
                f"follows {batch.previous_lsn}: batches between them are missing"
            )
        if batch.session_number > checkpoint.capture_session:
            follow_capture_session(self._session, self._task.task_name, batch.session_number)
        if not batch.is_complete:
            self._hold(batch, body)
            return
        self._applier.begin(states_version=checkpoint.states_version)
        last = self._apply_transactions(batch, checkpoint)
        self._advance(batch, last)

    def _skip_batch(self, batch: Batch) -> None:
        self._report.skipped_batch_count += 1
        if batch.chunk is not None:
            delete_chunks(self._session, batch)

    def _hold(self, batch: Batch, body: bytes) -> None:
        """Keep a chunk until its transaction commits; forget all of them when it is rolled back."""
        assert batch.chunk is not None
        if batch.chunk.end is ChunkEnd.ROLLBACK:
            delete_chunks(self._session, batch)
        else:
            hold_chunk(self._session, batch, body=body)

    def _apply_transactions(self, batch: Batch, checkpoint: Checkpoint) -> CommitPoint | None:
        """Apply what the checkpoint does not cover yet and return where the last transaction committed."""
        last = None
        for part in self._parts(batch):
            last = self._applier.apply_batch(part, after=checkpoint.end_lsn) or last
        self._applier.finish()
        return last

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        if batch.chunk is None:
            yield batch
        else:
            yield from read_transaction(self._session, batch)

    def _advance(self, batch: Batch, last: CommitPoint | None) -> None:
        if last is None:
            return
        change_count = sum(self._applier.counts.changes.values())
        advance_checkpoint(
            self._session,
            self._task.task_name,
            end_lsn=batch.end_lsn,
            commit_lsn=last.commit_lsn,
            committed_at=last.committed_at,
            transaction_count=batch.transaction_count,
            change_count=change_count,
        )
        if batch.chunk is not None:
            delete_chunks(self._session, batch)
        self._count(batch, last.committed_at, change_count)

    def _count(self, batch: Batch, committed_at: datetime, change_count: int) -> None:
        report = self._report
        report.batch_count += 1
        report.transaction_count += batch.transaction_count
        report.change_count += change_count
        report.error_count += sum(self._applier.counts.errors.values())
        report.end_lsn = batch.end_lsn
        report.lag_seconds = max((datetime.now(timezone.utc) - committed_at).total_seconds(), 0.0)

    def _fail(self, delivery: Delivery, error: TrempyError) -> None:
        """Give the delivery another attempt; after the last one follow the dead-letter policy."""
        assert self._consumer is not None
        logger.warning("batch %s, attempt %s: %s", delivery.message_id, delivery.attempt, error)
        if delivery.attempt < ATTEMPT_LIMIT:
            time.sleep(_ATTEMPT_PAUSE_SECONDS)
            self._consumer.reject(delivery, requeue=True)
            return
        goes_on = self._task.cdc.on_dead_letter is DeadLetterPolicy.CONTINUE
        skips = goes_on and not isinstance(error, GapError)
        self._record_dead_letter(delivery, error, skips=skips)
        self._consumer.reject(delivery, requeue=False)
        self._report.dead_letter_count += 1
        if not skips:
            raise error

    def _record_dead_letter(self, delivery: Delivery, error: TrempyError, *, skips: bool) -> None:
        headers = delivery.headers
        parameters = {
            "task_name": self._task.task_name,
            "message_id": delivery.message_id,
            "first_lsn": headers.get("first_lsn"),
            "last_lsn": headers.get("last_lsn"),
            "reason": str(error),
            "is_passed_over": skips,
        }
        with self._session.transaction():
            self._session.execute(static_sql("record_dead_letter"), parameters)
            if skips:
                self._skip(delivery)

    def _skip(self, delivery: Delivery) -> None:
        """Move the checkpoint past a batch that is given up."""
        checkpoint = lock_checkpoint(self._session, self._task.task_name)
        end_lsn = Lsn.parse(str(delivery.headers["last_lsn"]))
        if end_lsn > checkpoint.end_lsn:
            advance_checkpoint(
                self._session,
                self._task.task_name,
                end_lsn=end_lsn,
                commit_lsn=checkpoint.commit_lsn or end_lsn,
                committed_at=checkpoint.committed_at or datetime.now(timezone.utc),
                transaction_count=0,
                change_count=0,
            )

    def _take_back_dead_letters(self) -> None:
        """Apply dead letters that come next in order, and remove those that are applied.

        A dead letter is a batch that failed for a cause that has been mended since, or one that a killed
        process returned too often.
        """
        letters = self._broker.peek_dead_letters(limit=_DEAD_LETTERS_AT_ONCE)
        for letter in sorted(letters, key=_end_of):
            if self._applies(letter):
                self._broker.remove_dead_letter(letter.message_id)
                logger.info("task %s: dead letter %s is applied", self._task.task_name, letter.message_id)

    def _applies(self, letter: Delivery) -> bool:
        """Apply a dead letter if it comes next; leave one that was passed over, or that cannot be read."""
        parameters = {"task_name": self._task.task_name, "message_id": letter.message_id}
        if self._session.fetch_value(static_sql("is_passed_over"), parameters):
            return False
        try:
            self._apply_body(letter.body)
        except (GapError, WireFormatError) as error:
            logger.warning("dead letter %s is left where it is: %s", letter.message_id, error)
            return False
        return True


def _is_superseded(batch: Batch, checkpoint: Checkpoint) -> bool:
    """Tell whether a later start of capture, whose batches are applied already, sends this one's content.

    It started where the slot was confirmed, and everything before that had been applied by its first batch.
    """
    return batch.session_number < checkpoint.capture_session


def _is_applied(batch: Batch, checkpoint: Checkpoint) -> bool:
    """Tell whether the checkpoint covers a batch; a chunk is covered when its transaction is known to be."""
    if batch.is_complete:
        return batch.end_lsn <= checkpoint.end_lsn
    return NO_LSN < batch.first_lsn < checkpoint.end_lsn


def _end_of(letter: Delivery) -> Lsn:
    return Lsn.parse(str(letter.headers.get("last_lsn", "0/0")))

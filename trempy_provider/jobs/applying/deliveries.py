"""Apply what the broker delivers: up to three attempts each, dead letters taken back in order.

What passes by itself is waited out and is no attempt.
The second and third attempt go transaction by transaction, as do all of a task that merges none; what fails
in all of them is given up.

A lane of apply does the same with its part of each message.
A dead letter that the broker has made of a whole one, each lane takes back for itself; it is removed when all
have (`whole_letters.py`).
"""

from __future__ import annotations

import logging

from trempy_provider.apply_modes.row_errors import skip_hint
from trempy_provider.broker.base import Broker, Delivery
from trempy_provider.config.choices import DeadLetterPolicy
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import (
    ConfigurationError,
    GapError,
    MetadataError,
    RetryPolicy,
    TrempyError,
)
from trempy_provider.jobs.applying.batches import BatchApplier, ReadBatch, TransactionPoint
from trempy_provider.jobs.applying.giving_up import GivingUp
from trempy_provider.jobs.applying.letters import lane_of, letter_of, named_for_lane
from trempy_provider.jobs.applying.report import ApplyReport
from trempy_provider.jobs.backoff import Backoff
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.postgres.checkpoints import lock_checkpoint
from trempy_provider.postgres.dead_letters import (
    DeadLetterState,
    read_dead_letter,
    settle_dead_letter,
)
from trempy_provider.postgres.lanes import letters_lock
from trempy_provider.postgres.session import Session
from trempy_provider.replication.lsn import NO_LSN

logger = logging.getLogger(__name__)

ATTEMPT_LIMIT = 3
_ATTEMPT_PAUSE_SECONDS = 0.3
_GAP_PAUSES_SECONDS = (0.0, 0.5, 1.5)  # a dead letter that somebody looks at is missing for a moment
# These are no fault of the message: it stays in the queue.
_NOT_THE_MESSAGE = (GapError, MetadataError, ConfigurationError)


class DeliveryApplier:
    """Apply deliveries through one session of the target."""

    def __init__(
        self,
        session: Session,
        task: ReplicationTask,
        *,
        broker: Broker,
        report: ApplyReport,
        backoff: Backoff,
        stop: StopSignal,
    ) -> None:
        self._session = session
        self._task = task
        self._broker = broker
        self._report = report
        self._backoff = backoff
        self._stop = stop
        self.batches = BatchApplier(session, task, report=report)
        self._giving_up = GivingUp(session, task, broker=broker, batches=self.batches)

    def apply(self, delivery: Delivery, read: ReadBatch | None = None) -> TrempyError | None:
        """Apply a delivery, of which `read` may be known already; return the error at which the task stops.

        The message is a dead letter then.
        When this returns, the message is settled and is to be acknowledged.
        Raise what is not the message's fault.
        """
        for pause_seconds in _GAP_PAUSES_SECONDS:
            try:
                return self._settle(delivery, read)
            except GapError:
                self._stop.wait(pause_seconds)
                self.take_back_dead_letters()
        return self._settle(delivery, read)

    def take_back_dead_letters(self) -> None:
        """Apply dead letters that come next in order, and remove those that are settled.

        Such a one is a message that failed for a cause that has been mended since, or one that killed
        processes have returned too often.
        Raise the error at which the task still stops.
        """
        with letters_lock(self._session, self._task.task_name):
            found = {
                (letter_of(letter).last_lsn or NO_LSN, letter.message_id)
                for letter in self._broker.read_dead_letters()
                if lane_of(letter) in (None, self._session.lane)
            }
            for _, message_id in sorted(found):
                self.take_back(message_id)

    def take_back(self, message_id: str) -> None:
        """Apply a dead letter if it comes next, and remove it if it is settled."""
        state = self._state_of(message_id)
        if state is DeadLetterState.WAITING and not self._applies(message_id):
            return
        if state is not DeadLetterState.PASSED_OVER:
            self._broker.remove_dead_letter(message_id)

    def _applies(self, message_id: str) -> bool:
        """Apply a dead letter if it comes next; return whether it is settled by that."""
        letter = self._broker.find_dead_letter(message_id)
        if letter is None:
            return False
        is_of_all_lanes = self._session.lane is not None and lane_of(letter) is None
        letter = named_for_lane(letter, self._session.lane)
        is_readable = letter_of(letter).batch is not None
        if not is_readable and self._task.cdc.on_dead_letter is DeadLetterPolicy.STOP:
            logger.warning("dead letter %s cannot be read and is left where it is", message_id)
            return False
        try:
            error = self._settle(letter, None, is_dead_letter=not is_of_all_lanes)
        except GapError as gap:
            logger.warning("dead letter %s is left where it is: %s", message_id, gap)
            return False
        if error is not None:
            raise error
        if is_of_all_lanes or self._state_of(message_id) is DeadLetterState.PASSED_OVER:
            return False
        with self._session.transaction():
            lock_checkpoint(self._session, self._task.task_name)
            settle_dead_letter(self._session, self._task.task_name, message_id, state=DeadLetterState.APPLIED)
        logger.info("task %s: dead letter %s is applied", self._task.task_name, message_id)
        return True

    def _state_of(self, message_id: str) -> DeadLetterState:
        """Return the recorded state; a letter that the broker itself made of a message waits."""
        record = read_dead_letter(self._session, self._task.task_name, message_id)
        return DeadLetterState.WAITING if record is None else record.state

    def _settle(
        self, delivery: Delivery, read: ReadBatch | None, *, is_dead_letter: bool = False
    ) -> TrempyError | None:
        failure_count, singly = 0, not self._task.cdc.merge_transactions
        while (failure := self._attempt(delivery, read, singly=singly)) is not None:
            failure_count, singly = failure_count + 1, True
            if failure_count < ATTEMPT_LIMIT:
                self._stop.wait(_ATTEMPT_PAUSE_SECONDS)
                continue
            failing = self.batches.current
            _name_transaction(failure, failing)
            self._report.dead_letter_count += 1
            if not self._giving_up.give_up(
                delivery, failure, attempt_count=failure_count, is_dead_letter=is_dead_letter
            ):
                return failure
            if failing is None:  # nothing more can be read of it
                break
            failure_count = 0
        return None

    def _attempt(self, delivery: Delivery, read: ReadBatch | None, *, singly: bool) -> TrempyError | None:
        """Apply a delivery, or return what it fails of; what passes by itself is waited out."""
        while True:
            try:
                self.batches.apply(delivery.body, read, singly=singly)
            except _NOT_THE_MESSAGE:
                raise
            except TrempyError as error:
                if error.policy is RetryPolicy.AFTER_FIX:
                    return error
                self._wait_out(error)
            else:
                return None

    def _wait_out(self, error: TrempyError) -> None:
        """Wait before the same is tried again; raise the error when there is no sense or no time for it."""
        if self._session.closed:
            raise error
        self._backoff.wait(error)
        if self._stop.is_set():
            raise error


def _name_transaction(error: TrempyError, failing: TransactionPoint | None) -> None:
    """Let an error say which transaction it is about, and how to skip it."""
    if failing is None:
        return
    if str(failing.commit_lsn) not in str(error):
        which = f"transaction {failing.transaction_id} (commit LSN {failing.commit_lsn})"
        error.args = (f"{which}: {error}",)
    if skip_hint(failing.commit_lsn) not in error.hint:
        error.hint = f"{error.hint} {skip_hint(failing.commit_lsn)}"

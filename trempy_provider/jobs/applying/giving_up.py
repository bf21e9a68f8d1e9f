"""Give up a message that cannot be applied: it becomes a dead letter, and its reason is recorded.

By default the task stops, and goes on from the dead letter at its next start.
With `on_dead_letter: continue` it passes over the failing transaction, and that one only; but not where what
is wrong is wrong for every transaction: a right, a missing table or column, messages of another version.

First the letter is in the dead-letter queue, then the record is written together with the checkpoint past it,
and only then the message is acknowledged: killed in between, the same is done again, and a letter that is
there twice counts once.
"""

from __future__ import annotations

import logging
from datetime import datetime, timezone

from trempy_provider.apply_modes.later_changes import keep_identities
from trempy_provider.apply_modes.row_errors import is_row_error
from trempy_provider.broker.base import Broker, Delivery, OutgoingMessage
from trempy_provider.config.choices import DeadLetterPolicy
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ApplyError, ProtocolError, TrempyError, WireVersionError
from trempy_provider.jobs.applying.batches import BatchApplier, TransactionPoint
from trempy_provider.jobs.applying.letters import Letter, letter_of, letter_of_lane, letter_of_transaction
from trempy_provider.postgres.checkpoints import Checkpoint, advance_checkpoint, lock_checkpoint
from trempy_provider.postgres.dead_letters import (
    DeadLetterState,
    Failure,
    keep_chunk,
    record_dead_letter,
)
from trempy_provider.postgres.held_chunks import delete_chunks, read_transaction
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.translation import TargetStatementError
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.transactions import read_transactions

logger = logging.getLogger(__name__)

_REASON_LENGTH = 2000


class GivingUp:
    """Turn messages into dead letters, within one session of apply."""

    def __init__(
        self, session: Session, task: ReplicationTask, *, broker: Broker, batches: BatchApplier
    ) -> None:
        self._session = session
        self._task = task
        self._broker = broker
        self._batches = batches

    def give_up(
        self, delivery: Delivery, error: TrempyError, *, attempt_count: int, is_dead_letter: bool
    ) -> bool:
        """Make a dead letter of a delivery, or of its failing transaction; return whether to go on after it.

        `is_dead_letter`: the delivery is in the dead-letter queue already.
        """
        failing = self._batches.current
        goes_on = self._task.cdc.on_dead_letter is DeadLetterPolicy.CONTINUE and _may_be_passed_over(error)
        letter = letter_of(delivery)
        if self._batches.lane.part is not None:
            letter = letter_of_lane(letter, self._batches.lane.part)
        if goes_on and failing is not None:
            letter = letter_of_transaction(letter, failing.commit_lsn)
        failure = _failure(letter, failing, error, attempt_count=attempt_count)
        if not is_dead_letter or letter.message_id != delivery.message_id:
            self._broker.add_dead_letter(_message(letter, failure))
        self._record(letter, failing, failure, goes_on=goes_on)
        _log(self._task.task_name, failure, failing, goes_on=goes_on)
        return goes_on

    def _record(
        self, letter: Letter, failing: TransactionPoint | None, failure: Failure, *, goes_on: bool
    ) -> None:
        state = DeadLetterState.PASSED_OVER if goes_on else DeadLetterState.WAITING
        try:
            with self._session.transaction():
                checkpoint = lock_checkpoint(self._session, self._task.task_name)
                letter_id = record_dead_letter(self._session, self._task.task_name, failure, state=state)
                if goes_on and failing is not None and letter.batch is not None:
                    self._keep(letter.batch, letter_id, checkpoint)
                if goes_on:
                    self._pass_over(letter, failing, checkpoint)
        finally:
            self._batches.forget()

    def _keep(self, batch: Batch, letter_id: int, checkpoint: Checkpoint) -> None:
        """Keep what a replay has to know: which rows the letter is about, and all chunks of a large one."""
        applier, _ = self._batches.begin(checkpoint)
        for part in [batch] if batch.chunk is None else read_transaction(self._session, batch):
            if part.chunk is not None:
                keep_chunk(self._session, letter_id, part)
            keep_identities(self._session, letter_id, applier, read_transactions(part))
        if batch.chunk is not None:
            delete_chunks(self._session, batch)

    def _pass_over(self, letter: Letter, failing: TransactionPoint | None, checkpoint: Checkpoint) -> None:
        """Move the checkpoint past the letter, unless batches before it are missing or nothing says where."""
        if letter.last_lsn is None or letter.previous_lsn is None:
            return
        if letter.last_lsn <= checkpoint.end_lsn or letter.previous_lsn > checkpoint.end_lsn:
            return
        committed_at = checkpoint.committed_at if failing is None else failing.committed_at
        advance_checkpoint(
            self._session,
            self._task.task_name,
            end_lsn=letter.last_lsn,
            commit_lsn=letter.last_lsn if failing is None else failing.commit_lsn,
            committed_at=committed_at or datetime.now(timezone.utc),
            transaction_count=0,
            change_count=0,
        )


def _may_be_passed_over(error: TrempyError) -> bool:
    """Tell whether an error is that of one message, so that the next one may well succeed."""
    if isinstance(error, TargetStatementError):
        return is_row_error(error)  # one that shows at the commit: of a deferred constraint
    return isinstance(error, ApplyError | ProtocolError) and not isinstance(error, WireVersionError)


def _failure(
    letter: Letter, failing: TransactionPoint | None, error: TrempyError, *, attempt_count: int
) -> Failure:
    return Failure(
        message_id=letter.message_id,
        first_lsn=letter.first_lsn,
        last_lsn=letter.last_lsn,
        transaction_id=letter.transaction_id if failing is None else failing.transaction_id,
        attempt_count=attempt_count,
        reason=str(error),
    )


def _message(letter: Letter, failure: Failure) -> OutgoingMessage:
    """Return the letter with the reason in its headers, all of which have to fit into one frame."""
    headers = {
        **letter.headers,
        "reason": failure.reason[:_REASON_LENGTH],
        "attempt_count": failure.attempt_count,
        "failed_transaction_id": failure.transaction_id or 0,
        "failed_at": datetime.now(timezone.utc).isoformat(),
    }
    return OutgoingMessage(letter.body, letter.message_id, headers, wire.content_type_of(letter.body))


def _log(task_name: str, failure: Failure, failing: TransactionPoint | None, *, goes_on: bool) -> None:
    logger.error(
        "task %s: message %s is in the dead-letter queue after %s attempts, and the task %s; "
        "transaction_id=%s commit_lsn=%s: %s",
        task_name,
        failure.message_id,
        failure.attempt_count,
        "goes on without it" if goes_on else "stops",
        failure.transaction_id,
        failure.first_lsn if failing is None else failing.commit_lsn,
        failure.reason,
        extra={
            "replication_task": task_name,
            "message_id": failure.message_id,
            "transaction_id": failure.transaction_id,
            "commit_lsn": str(failure.first_lsn if failing is None else failing.commit_lsn),
        },
    )

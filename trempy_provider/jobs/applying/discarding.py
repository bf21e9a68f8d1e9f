"""Discard a dead letter: the task does without it for good.

A letter that was passed over is only forgotten.
Past one that the task has stopped at, the checkpoint is moved, so that apply goes on after it; but never past
anything else: when batches before it are missing, too, only a reload helps.
"""

from __future__ import annotations

from datetime import datetime, timezone

from trempy_provider.broker.base import Delivery
from trempy_provider.errors import DeadLetterError
from trempy_provider.jobs.applying.letters import Letter, letter_of, named_for_lane
from trempy_provider.postgres.checkpoints import Checkpoint, advance_checkpoint, lock_checkpoint
from trempy_provider.postgres.dead_letters import (
    DeadLetterState,
    Failure,
    read_dead_letter,
    record_dead_letter,
    settle_dead_letter,
)
from trempy_provider.postgres.held_chunks import delete_chunks
from trempy_provider.postgres.session import Session


def discard_letter(session: Session, task_name: str, message_id: str, *, delivery: Delivery | None) -> bool:
    """Settle a letter as discarded; return False when somebody else has settled it.

    `delivery` is None when the message is not in the queue any more.
    A session of a lane settles the lane's part of it.
    """
    if delivery is not None:
        delivery = named_for_lane(delivery, session.lane)
        message_id = delivery.message_id
    with session.transaction():
        checkpoint = lock_checkpoint(session, task_name)
        record = read_dead_letter(session, task_name, message_id)
        if record is not None and not record.state.is_open:
            return False
        letter = None if delivery is None else letter_of(delivery)
        if letter is not None and (record is None or record.state is DeadLetterState.WAITING):
            _move_past(session, task_name, letter, checkpoint)
        if letter is not None and record is None:
            record_dead_letter(session, task_name, _failure(letter), state=DeadLetterState.WAITING)
        settle_dead_letter(session, task_name, message_id, state=DeadLetterState.DISCARDED)
    return True


def _move_past(session: Session, task_name: str, letter: Letter, checkpoint: Checkpoint) -> None:
    if letter.last_lsn is None or letter.last_lsn <= checkpoint.end_lsn:
        return
    if letter.previous_lsn is None or letter.previous_lsn > checkpoint.end_lsn:
        raise DeadLetterError(
            f"task {task_name} is applied up to {checkpoint.end_lsn}, and batches before dead letter "
            f"{letter.message_id} are missing",
            hint="Discard or replay the letters before it, or run `trempy reload`.",
        )
    advance_checkpoint(
        session,
        task_name,
        end_lsn=letter.last_lsn,
        commit_lsn=letter.last_lsn,
        committed_at=checkpoint.committed_at or datetime.now(timezone.utc),
        transaction_count=0,
        change_count=0,
    )
    if letter.batch is not None and letter.batch.chunk is not None:
        delete_chunks(session, letter.batch)


def _failure(letter: Letter) -> Failure:
    return Failure(
        message_id=letter.message_id,
        first_lsn=letter.first_lsn,
        last_lsn=letter.last_lsn,
        transaction_id=letter.transaction_id,
        attempt_count=0,
        reason="discarded",
    )

"""The records of dead letters: why each one is one, what became of it, and what its replay has to know.

The message itself is in the broker's dead-letter queue.
Whoever writes here holds the checkpoint's lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from trempy_provider.postgres.metadata import schema_required
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.lsn import Lsn


class DeadLetterState(str, Enum):
    """What became of a dead letter.

    WAITING: the task has stopped at it and goes on from it.
    PASSED_OVER: the task has gone on without it.
    """

    WAITING = "waiting"
    PASSED_OVER = "passed_over"
    APPLIED = "applied"
    REPLAYED = "replayed"
    DISCARDED = "discarded"

    __str__ = str.__str__

    @property
    def is_open(self) -> bool:
        """Tell whether somebody has to decide about it."""
        return self in (DeadLetterState.WAITING, DeadLetterState.PASSED_OVER)


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that could not be applied; its LSNs are those of its first and last transaction, if known."""

    message_id: str
    first_lsn: Lsn | None
    last_lsn: Lsn | None
    transaction_id: int | None
    attempt_count: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The record of a dead letter."""

    dead_letter_id: int
    state: DeadLetterState
    failure: Failure
    occurred_at: datetime
    settled_at: datetime | None


def read_dead_letters(session: Session, task_name: str) -> tuple[DeadLetter, ...]:
    """Return all records of a task in the order of commits."""
    return _read(session, task_name, message_id=None)


def read_dead_letter(session: Session, task_name: str, message_id: str) -> DeadLetter | None:
    """Return the record of a message, None when it has none: the broker itself has dead-lettered it."""
    return next(iter(_read(session, task_name, message_id=message_id)), None)


def record_dead_letter(session: Session, task_name: str, failure: Failure, *, state: DeadLetterState) -> int:
    """Record a message that could not be applied, in the open transaction, and return the record's id."""
    parameters = {
        "task_name": task_name,
        "message_id": failure.message_id,
        "state": str(state),
        "first_lsn": _text(failure.first_lsn),
        "last_lsn": _text(failure.last_lsn),
        "transaction_id": failure.transaction_id,
        "attempt_count": failure.attempt_count,
        "reason": failure.reason,
    }
    dead_letter_id = int(session.fetch_value(static_sql("record_dead_letter"), parameters))
    _count_passed_over(session, task_name)
    return dead_letter_id


def settle_dead_letter(session: Session, task_name: str, message_id: str, *, state: DeadLetterState) -> None:
    """Note what became of a dead letter, in the open transaction."""
    session.execute(
        static_sql("settle_dead_letter"),
        {"task_name": task_name, "message_id": message_id, "state": str(state)},
    )
    _count_passed_over(session, task_name)


def keep_chunk(session: Session, dead_letter_id: int, batch: Batch) -> None:
    """Keep a chunk of a large transaction that is passed over."""
    assert batch.chunk is not None
    session.execute(
        static_sql("keep_letter_chunk"),
        {"dead_letter_id": dead_letter_id, "chunk_index": batch.chunk.index, "body": wire.encode(batch)},
    )


def read_letter(session: Session, dead_letter_id: int, last: Batch) -> Iterator[Batch]:
    """Yield the batches of a dead letter that was passed over: `last`, or all chunks of its transaction."""
    if last.chunk is None:
        yield last
        return
    for index in range(last.chunk.index + 1):
        parameters = {"dead_letter_id": dead_letter_id, "chunk_index": index}
        yield wire.decode(bytes(session.fetch_value(static_sql("read_letter_chunk"), parameters)))


def _read(session: Session, task_name: str, *, message_id: str | None) -> tuple[DeadLetter, ...]:
    with schema_required():
        rows = session.fetch_all(
            static_sql("read_dead_letters"), {"task_name": task_name, "message_id": message_id}
        )
    return tuple(
        DeadLetter(
            dead_letter_id,
            DeadLetterState(state),
            Failure(message_id, _lsn(first_lsn), _lsn(last_lsn), transaction_id, attempt_count or 0, reason),
            occurred_at,
            settled_at,
        )
        for dead_letter_id, message_id, state, first_lsn, last_lsn, transaction_id, attempt_count, reason,
        occurred_at, settled_at in rows
    )  # fmt: skip


def _count_passed_over(session: Session, task_name: str) -> None:
    parameters = {"task_name": task_name, "lane": session.lane}
    if session.lane is None:
        session.execute(static_sql("count_passed_over"), parameters)
    session.execute(static_sql("count_passed_over_in_lanes"), parameters)


def _text(lsn: Lsn | None) -> str | None:
    return None if lsn is None else str(lsn)


def _lsn(text: str | None) -> Lsn | None:
    return None if text is None else Lsn.parse(text)

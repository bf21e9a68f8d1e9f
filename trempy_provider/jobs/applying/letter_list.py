"""The dead letters about which somebody has to decide: records and messages side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trempy_provider.broker.base import Broker, Delivery
from trempy_provider.jobs.applying.letters import letter_of
from trempy_provider.postgres.dead_letters import DeadLetterState, read_dead_letters
from trempy_provider.postgres.session import Session
from trempy_provider.replication.lsn import NO_LSN, Lsn

_GIVEN_UP_BY_BROKER = "its readers have ended again and again before they could say why"


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """A dead letter; `is_in_queue` tells whether its message is still there."""

    message_id: str
    state: DeadLetterState
    transaction_id: int | None
    first_lsn: Lsn | None
    last_lsn: Lsn | None
    attempt_count: int | None
    reason: str
    occurred_at: datetime | None
    is_in_queue: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "message_id": self.message_id,
            "state": str(self.state),
            "transaction_id": self.transaction_id,
            "first_lsn": None if self.first_lsn is None else str(self.first_lsn),
            "last_lsn": None if self.last_lsn is None else str(self.last_lsn),
            "attempt_count": self.attempt_count,
            "reason": self.reason,
            "occurred_at": None if self.occurred_at is None else self.occurred_at.isoformat(),
            "is_in_queue": self.is_in_queue,
        }


def list_letters(session: Session, task_name: str, broker: Broker) -> tuple[ListedLetter, ...]:
    """Return the letters that wait or were passed over, in the order of commits."""
    queued = {letter.message_id: _listed(letter) for letter in broker.read_dead_letters()}
    records = read_dead_letters(session, task_name)
    recorded = {record.failure.message_id for record in records}
    listed = [letter for name, letter in queued.items() if name not in recorded]
    for record in (record for record in records if record.state.is_open):
        failure = record.failure
        listed.append(
            ListedLetter(
                message_id=failure.message_id,
                state=record.state,
                transaction_id=failure.transaction_id,
                first_lsn=failure.first_lsn,
                last_lsn=failure.last_lsn,
                attempt_count=failure.attempt_count,
                reason=failure.reason,
                occurred_at=record.occurred_at,
                is_in_queue=failure.message_id in queued,
            )
        )
    return tuple(sorted(listed, key=lambda letter: (letter.last_lsn or NO_LSN, letter.message_id)))


def _listed(delivery: Delivery) -> ListedLetter:
    """List a message that has no record: the broker itself has dead-lettered it, or somebody else has."""
    letter = letter_of(delivery)
    return ListedLetter(
        message_id=letter.message_id,
        state=DeadLetterState.WAITING,
        transaction_id=letter.transaction_id,
        first_lsn=letter.first_lsn,
        last_lsn=letter.last_lsn,
        attempt_count=None,
        reason=_reason(delivery.headers),
        occurred_at=None,
        is_in_queue=True,
    )


def _reason(headers: Mapping[str, object]) -> str:
    told = headers.get("reason")
    return told if isinstance(told, str) else _GIVEN_UP_BY_BROKER

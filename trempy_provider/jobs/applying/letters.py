"""A message as what it may become: a dead letter, whole or the one transaction of it that fails.

A lane of apply makes one of its part of a message, under a name of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from trempy_provider.broker.base import Delivery
from trempy_provider.errors import ProtocolError
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.lane_part import LanePart, part_of
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.transactions import batch_of_transaction, read_transactions

_LANE = "lane"  # the header with a lane's number


@dataclass(frozen=True, slots=True)
class Letter:
    """A message with what its content or, if that cannot be read, its headers say of it.

    `batch` is None when the content cannot be read; then nothing or anything may be in the headers.
    """

    body: bytes = field(repr=False)
    message_id: str
    headers: dict[str, str | int]
    batch: Batch | None
    previous_lsn: Lsn | None
    first_lsn: Lsn | None
    last_lsn: Lsn | None
    transaction_id: int | None


def letter_of(delivery: Delivery) -> Letter:
    """Return a message as it is; the broker's own headers are left out."""
    headers = {
        name: value
        for name, value in delivery.headers.items()
        if isinstance(value, str | int) and not name.startswith("x-")
    }
    try:
        batch = wire.decode(delivery.body)
    except ProtocolError:
        return Letter(
            delivery.body,
            delivery.message_id,
            headers,
            None,
            _lsn(headers.get("previous_lsn")),
            _lsn(headers.get("first_lsn")),
            _lsn(headers.get("last_lsn")),
            _transaction_id(headers.get("transaction_id")),
        )
    return Letter(
        delivery.body,
        delivery.message_id,
        headers,
        batch,
        batch.previous_lsn,
        batch.first_lsn,
        batch.end_lsn,
        batch.transaction_id,
    )


def lane_of(delivery: Delivery) -> int | None:
    """Return the lane whose part of a message this is, None for a whole one."""
    lane = delivery.headers.get(_LANE)
    return lane if isinstance(lane, int) else None


def named_for_lane(delivery: Delivery, lane: int | None) -> Delivery:
    """Return a message as a lane has it; one that is a lane's already stays as it is."""
    if lane is None or lane_of(delivery) is not None:
        return delivery
    headers = {**delivery.headers, _LANE: lane}
    return replace(delivery, message_id=f"{delivery.message_id}-lane{lane}", headers=headers)


def letter_of_lane(letter: Letter, part: LanePart) -> Letter:
    """Return the letter of a lane's part of a message, as far as that can be read."""
    if letter.batch is None:
        return letter
    batch = part_of(letter.batch, part)
    headers = letter.headers | {"change_count": batch.change_count}
    return replace(letter, body=wire.encode_as(letter.body, batch), batch=batch, headers=headers)


def letter_of_transaction(letter: Letter, commit_lsn: Lsn) -> Letter:
    """Return the letter of one transaction of a batch: a message of its own if there are others."""
    whole = letter.batch
    if whole is None or whole.chunk is not None or whole.transaction_count == 1:
        return letter
    (transaction,) = [t for t in read_transactions(whole) if t.commit_lsn == commit_lsn]
    batch = batch_of_transaction(whole, transaction)
    headers = letter.headers | {
        "transaction_id": batch.transaction_id,
        "first_lsn": str(batch.first_lsn),
        "last_lsn": str(batch.end_lsn),
        "transaction_count": 1,
        "change_count": batch.change_count,
    }
    return Letter(
        wire.encode_as(letter.body, batch),
        f"{letter.message_id}-{batch.transaction_id}",
        headers,
        batch,
        batch.previous_lsn,
        batch.first_lsn,
        batch.end_lsn,
        batch.transaction_id,
    )


def _lsn(header: str | int | None) -> Lsn | None:
    try:
        return Lsn.parse(str(header))
    except ProtocolError:
        return None


def _transaction_id(header: str | int | None) -> int | None:
    return header if isinstance(header, int) else None

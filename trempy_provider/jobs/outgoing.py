"""A batch as a message for the broker."""

from __future__ import annotations

from trempy_provider.broker.base import OutgoingMessage
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch


def message_of(batch: Batch) -> OutgoingMessage:
    """Return the message of a batch; its token is the batch's end."""
    return OutgoingMessage(
        body=wire.encode(batch),
        message_id=batch.message_id,
        headers=_headers(batch),
        content_type=wire.CONTENT_TYPE,
        token=batch.end_lsn,
    )


def _headers(batch: Batch) -> dict[str, str | int]:
    return {
        "task_name": batch.task_name,
        "transaction_id": batch.transaction_id,
        "previous_lsn": str(batch.previous_lsn),
        "first_lsn": str(batch.first_lsn),
        "last_lsn": str(batch.end_lsn),
        "transaction_count": batch.transaction_count,
        "change_count": batch.change_count,
        "format_version": wire.FORMAT_VERSION,
    }

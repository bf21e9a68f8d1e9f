"""A batch as a message for the broker."""

from __future__ import annotations

from trempy_provider.broker.base import OutgoingMessage
from trempy_provider.config.choices import MessageFormat
from trempy_provider.replication import wire, wire_json
from trempy_provider.replication.batches import Batch


def message_of(batch: Batch, message_format: MessageFormat) -> OutgoingMessage:
    """Return the message of a batch; its token is the batch's end."""
    is_json = message_format is MessageFormat.JSON
    body = wire_json.encode(batch) if is_json else wire.encode(batch)
    version = wire_json.FORMAT_VERSION if is_json else wire.FORMAT_VERSION
    return OutgoingMessage(
        body=body,
        message_id=batch.message_id,
        headers={
            "task_name": batch.task_name,
            "transaction_id": batch.transaction_id,
            "previous_lsn": str(batch.previous_lsn),
            "first_lsn": str(batch.first_lsn),
            "last_lsn": str(batch.end_lsn),
            "transaction_count": batch.transaction_count,
            "change_count": batch.change_count,
            "message_format": message_format.value,
            "format_version": version,
        },
        content_type=wire.content_type_of(body),
        token=batch.end_lsn,
    )

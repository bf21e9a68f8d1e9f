"""What an event tells of a message: everything in a form that JSON and Airflow's database can hold."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from trempy_provider.broker.reader import ReceivedMessage


def payload_of(message: ReceivedMessage, *, queue_name: str) -> dict[str, Any]:
    """Return the event's payload; a body that is no text (UTF-8 without NUL) is written in base64."""
    body, encoding = _text_of(message.body)
    return {
        "queue_name": queue_name,
        "body": body,
        "body_encoding": encoding,
        "content_type": message.content_type,
        "message_id": message.message_id,
        "correlation_id": message.correlation_id,
        "sent_at": None if message.sent_at is None else message.sent_at.isoformat(),
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "headers": _readable(message.headers),
        "attempt": message.attempt,
        "redelivered": message.redelivered,
    }


def _text_of(body: bytes) -> tuple[str, str]:
    if b"\0" not in body:
        try:
            return body.decode(), "utf-8"
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), "base64"


def _readable(value: Any) -> Any:
    """Return a header's value, which AMQP lets be a table, a list, bytes, a decimal or a time."""
    match value:
        case None | bool():
            readable: Any = value
        case int():
            readable = int(value)  # pika's 64-bit numbers are of a class that the triggerer cannot send
        case float() if math.isfinite(value):
            readable = value
        case bytes():
            readable = _text_of(value)[0]
        case Mapping():
            readable = {str(name): _readable(each) for name, each in value.items()}
        case list() | tuple():
            readable = [_readable(each) for each in value]
        case _:
            readable = str(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return readable

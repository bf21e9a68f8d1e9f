"""Read any queue, not only a replication task's: each message is held until it is settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from pika import BasicProperties

from trempy_provider.broker.connection import Action, ChannelThread, PikaChannel, PikaFrame
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.errors import BrokerError, TopologyError


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedMessage:
    """A message of any publisher; `attempt` counts from 1, on quorum queues only."""

    body: bytes = field(repr=False)
    tag: int
    exchange: str
    routing_key: str
    content_type: str | None
    message_id: str | None
    correlation_id: str | None
    sent_at: datetime | None
    headers: Mapping[str, Any] = field(repr=False)
    attempt: int
    redelivered: bool


class QueueReader:
    """The messages of one queue, at most `prefetch_count` of them unacknowledged.

    `notify` is called in another thread when `take` has something to return or to raise.
    A connection that breaks, is closed or killed returns what was not acknowledged to the queue.
    """

    def __init__(
        self,
        parameters: RabbitMqParameters,
        *,
        queue_name: str,
        prefetch_count: int,
        client_name: str,
        notify: Callable[[], None],
    ) -> None:
        self._queue_name = queue_name
        self._prefetch_count = prefetch_count
        self._arrived: list[ReceivedMessage] = []
        self._held: dict[int, ReceivedMessage] = {}
        self._channel = ChannelThread(
            parameters,
            client_name=client_name,
            doing=f"read queue {queue_name!r} at {parameters.description}",
            notify=notify,
        )
        self._channel.open(self._prepare)

    def take(self) -> list[ReceivedMessage]:
        """Return the messages that have arrived, without waiting; raise what has ended the connection."""
        with self._channel.changed:
            self._channel.raise_failure()
            arrived, self._arrived = self._arrived, []
            self._held |= {message.tag: message for message in arrived}
            return arrived

    def ack(self, message: ReceivedMessage) -> None:
        """Remove the message from the queue."""
        self._settle(message, lambda channel: channel.basic_ack(message.tag))

    def reject(self, message: ReceivedMessage) -> None:
        """Give the message to the queue's dead-letter exchange; a queue without one drops it."""
        self._settle(message, lambda channel: channel.basic_reject(message.tag, requeue=False))

    def hand_back(self, message: ReceivedMessage) -> None:
        """Return the message to the queue; quorum queues count that as an attempt."""
        self._settle(message, lambda channel: channel.basic_reject(message.tag, requeue=True))

    def close(self) -> None:
        """Close the connection, after what was settled."""
        self._channel.close()

    def _settle(self, message: ReceivedMessage, action: Action) -> None:
        with self._channel.changed:
            self._channel.raise_failure()
            if self._held.get(message.tag) is not message:
                raise BrokerError(
                    f"delivery {message.tag} of queue {self._queue_name!r} is not held any more"
                )
            del self._held[message.tag]
            self._channel.submit(action)

    def _prepare(self, channel: PikaChannel) -> None:
        channel.add_on_cancel_callback(self._channel.guarded(self._on_cancel))
        channel.basic_qos(prefetch_count=self._prefetch_count)
        channel.basic_consume(
            self._queue_name,
            self._channel.guarded(self._on_message),
            callback=lambda _frame: self._channel.ready(),
        )

    def _on_message(
        self, _channel: PikaChannel, method: PikaFrame, properties: BasicProperties, body: bytes
    ) -> None:
        with self._channel.changed:
            self._arrived.append(_received(method, properties, body))
        self._channel.notify()

    def _on_cancel(self, _frame: PikaFrame) -> None:
        raise TopologyError(f"queue {self._queue_name!r} was deleted while it was read")


def _received(method: PikaFrame, properties: BasicProperties, body: bytes) -> ReceivedMessage:
    headers: dict[str, Any] = properties.headers or {}
    return ReceivedMessage(
        body=body,
        tag=method.delivery_tag,
        exchange=method.exchange,
        routing_key=method.routing_key,
        content_type=properties.content_type,
        message_id=properties.message_id,
        correlation_id=properties.correlation_id,
        sent_at=_moment(properties.timestamp),
        headers=headers,
        attempt=int(headers.get("x-delivery-count", 0)) + 1,
        redelivered=bool(method.redelivered),
    )


def _moment(seconds: int | None) -> datetime | None:
    """Return a publisher's timestamp, None where it is no time that Python has."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None

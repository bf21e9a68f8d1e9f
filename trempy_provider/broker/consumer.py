"""Read one queue with manual acknowledgement and bounded prefetch."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

from pika import BasicProperties

from trempy_provider.broker.base import Delivery
from trempy_provider.broker.connection import ChannelThread, PikaChannel, PikaFrame
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.topology import Route
from trempy_provider.errors import BrokerError, ConfigurationError, TopologyError

MAXIMUM_PREFETCH_COUNT = 65535


class RabbitMqConsumer:
    """The reading end of a route; see `base.Consumer`."""

    def __init__(
        self, parameters: RabbitMqParameters, *, route: Route, client_name: str, prefetch_count: int
    ) -> None:
        if not 1 <= prefetch_count <= MAXIMUM_PREFETCH_COUNT:
            raise ConfigurationError(
                f"prefetch_count is {prefetch_count}; expected 1 to {MAXIMUM_PREFETCH_COUNT}"
            )
        self._queue = route.queue
        self._prefetch_count = prefetch_count
        self._waiting: deque[Delivery] = deque()
        self._handed_out: list[Delivery] = []
        doing = f"read queue {route.queue!r} at {parameters.description}"
        self._channel = ChannelThread(parameters, client_name=client_name, doing=doing)
        self._channel.open(self._prepare)

    def get(self, *, timeout_seconds: float) -> Delivery | None:
        """Return the next delivery, or None when none came in time."""
        with self._channel.changed:
            if not self._channel.wait_until(lambda: bool(self._waiting), timeout_seconds=timeout_seconds):
                return None
            delivery = self._waiting.popleft()
            self._handed_out.append(delivery)
            return delivery

    def ack(self, delivery: Delivery) -> None:
        """Remove the message from the queue; call it after the target's commit only."""
        with self._channel.changed:
            del self._handed_out[self._position(delivery)]
            self._channel.submit(lambda channel: channel.basic_ack(delivery.tag))

    def close(self) -> None:
        """Close the connection; deliveries that were not acknowledged go back to the queue."""
        self._channel.close()

    def _position(self, delivery: Delivery) -> int:
        """Find a delivery by identity: the tag of another consumer's delivery means another message here."""
        self._channel.raise_failure()
        for position, held in enumerate(self._handed_out):
            if held is delivery:
                return position
        raise BrokerError(f"delivery {delivery.tag} is not one this consumer of {self._queue!r} still holds")

    def _prepare(self, channel: PikaChannel) -> None:
        channel.add_on_cancel_callback(self._channel.guarded(self._on_cancel))
        channel.basic_qos(prefetch_count=self._prefetch_count)
        channel.basic_consume(
            self._queue,
            self._channel.guarded(self._on_message),
            callback=lambda _frame: self._channel.ready(),
        )

    def _on_message(
        self, _channel: PikaChannel, method: PikaFrame, properties: BasicProperties, body: bytes
    ) -> None:
        delivery = delivery_of(method, properties, body)
        with self._channel.changed:
            self._waiting.append(delivery)
            self._channel.changed.notify_all()

    def _on_cancel(self, _frame: PikaFrame) -> None:
        raise TopologyError(f"queue {self._queue!r} was deleted while it was read")


def delivery_of(method: PikaFrame, properties: BasicProperties, body: bytes) -> Delivery:
    """Return what the broker delivered; a quorum queue counts earlier deliveries in x-delivery-count."""
    headers: dict[str, Any] = properties.headers or {}
    return Delivery(
        body=body,
        message_id=properties.message_id or f"unnamed-{hashlib.sha256(body).hexdigest()[:16]}",
        headers=headers,
        tag=method.delivery_tag,
        attempt=int(headers.get("x-delivery-count", 0)) + 1,
        redelivered=bool(method.redelivered),
    )

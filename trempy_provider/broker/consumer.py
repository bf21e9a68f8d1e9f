"""Read one queue with manual acknowledgement and bounded prefetch."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from pika import BasicProperties

from trempy_provider.broker.base import Delivery
from trempy_provider.broker.connection import ChannelThread, PikaChannel, PikaFrame
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.topology import DELIVERY_LIMIT, Route
from trempy_provider.errors import BrokerError, ConfigurationError, TopologyError

MAXIMUM_PREFETCH_COUNT = 65535
REDELIVERY_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Awaited:
    """The place of a rejected message that the broker has not delivered again yet."""

    message_id: str
    since: float


class RabbitMqConsumer:
    """The reading end of a route; see `base.Consumer`.

    The broker puts a rejected message back to the head of the queue, but has delivered later ones meanwhile.
    So its place is kept among those that wait, and `get` goes no further until it is filled.
    """

    def __init__(
        self, parameters: RabbitMqParameters, *, route: Route, client_name: str, prefetch_count: int
    ) -> None:
        if not 1 <= prefetch_count <= MAXIMUM_PREFETCH_COUNT:
            raise ConfigurationError(
                f"prefetch_count is {prefetch_count}; expected 1 to {MAXIMUM_PREFETCH_COUNT}"
            )
        self._queue = route.queue
        self._prefetch_count = prefetch_count
        self._waiting: deque[Delivery | Awaited] = deque()
        self._handed_out: list[Delivery] = []
        doing = f"read queue {route.queue!r} at {parameters.description}"
        self._channel = ChannelThread(parameters, client_name=client_name, doing=doing)
        self._channel.open(self._prepare)

    def get(self, *, timeout_seconds: float) -> Delivery | None:
        """Return the next delivery, or None when none came in time."""
        with self._channel.changed:
            self._channel.wait_until(lambda: self._next() is not None, timeout_seconds=timeout_seconds)
            if (delivery := self._next()) is None:
                self._check_redelivery()
                return None
            self._waiting.popleft()
            self._handed_out.append(delivery)
            return delivery

    def ack(self, delivery: Delivery) -> None:
        """Remove the message from the queue; call it after the target's commit only."""
        with self._channel.changed:
            del self._handed_out[self._position(delivery)]
            self._channel.submit(lambda channel: channel.basic_ack(delivery.tag))

    def reject(self, delivery: Delivery, *, requeue: bool) -> None:
        """Ask for the message again, or put it into the dead-letter queue."""
        with self._channel.changed:
            position = self._position(delivery)
            comes_again = requeue and delivery.attempt < DELIVERY_LIMIT
            if requeue:
                self._take_back(position + 1)
            if comes_again:
                self._waiting.appendleft(Awaited(delivery.message_id, time.monotonic()))
            del self._handed_out[position]
            self._channel.submit(lambda channel: channel.basic_reject(delivery.tag, requeue=comes_again))

    def close(self) -> None:
        """Close the connection; deliveries that were not acknowledged go back to the queue."""
        self._channel.close()

    def _next(self) -> Delivery | None:
        head = self._waiting[0] if self._waiting else None
        return head if isinstance(head, Delivery) else None

    def _position(self, delivery: Delivery) -> int:
        """Find a delivery by identity: the tag of another consumer's delivery means another message here."""
        self._channel.raise_failure()
        for position, held in enumerate(self._handed_out):
            if held is delivery:
                return position
        raise BrokerError(f"delivery {delivery.tag} is not one this consumer of {self._queue!r} still holds")

    def _take_back(self, position: int) -> None:
        """Let what was handed out from a position on be the next again."""
        self._waiting.extendleft(reversed(self._handed_out[position:]))
        del self._handed_out[position:]

    def _check_redelivery(self) -> None:
        """Raise when the broker keeps a rejected message, as it does where a policy lowers the limit."""
        head = self._waiting[0] if self._waiting else None
        if not isinstance(head, Awaited) or time.monotonic() - head.since < REDELIVERY_TIMEOUT_SECONDS:
            return
        raise BrokerError(
            f"a message rejected to queue {self._queue!r} did not come again "
            f"within {REDELIVERY_TIMEOUT_SECONDS:g} s",
            hint="Look for it in the dead-letter queue; no policy may lower the queue's delivery limit.",
        )

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
            self._accept(delivery)
            self._channel.changed.notify_all()

    def _accept(self, delivery: Delivery) -> None:
        """Fill the place of a message that comes again; any other is the last."""
        places = [place.message_id if isinstance(place, Awaited) else None for place in self._waiting]
        if delivery.redelivered and delivery.message_id in places:
            self._waiting[places.index(delivery.message_id)] = delivery
        else:
            self._waiting.append(delivery)

    def _on_cancel(self, _frame: PikaFrame) -> None:
        raise TopologyError(f"queue {self._queue!r} was deleted while it was read")


def delivery_of(method: PikaFrame, properties: BasicProperties, body: bytes) -> Delivery:
    """Return what the broker delivered; a quorum queue counts earlier deliveries in x-delivery-count."""
    headers: dict[str, Any] = properties.headers or {}
    return Delivery(
        body=body,
        message_id=properties.message_id or "",
        headers=headers,
        tag=method.delivery_tag,
        attempt=int(headers.get("x-delivery-count", 0)) + 1,
        redelivered=bool(method.redelivered),
    )

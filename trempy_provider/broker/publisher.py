"""Publish to one exchange with publisher confirms in a window.

Messages are persistent and mandatory: one that reaches no queue comes back and is a failure.
See RabbitMQ's "Consumer Acknowledgements and Publisher Confirms".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pika import BasicProperties, DeliveryMode
from pika.spec import Basic

from trempy_provider.broker.base import OutgoingMessage
from trempy_provider.broker.confirms import ConfirmTracker
from trempy_provider.broker.connection import ChannelThread, PikaChannel, PikaFrame
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.topology import Route
from trempy_provider.errors import ConfigurationError, PublishError, StoppedError

STOP_CHECK_SECONDS = 0.2
UNROUTABLE_HINT = "The queue is gone or no longer bound; run `trempy setup` to declare it again."


class RabbitMqPublisher:
    """The publishing end of a route; see `base.Publisher`."""

    def __init__(
        self,
        parameters: RabbitMqParameters,
        *,
        route: Route,
        client_name: str,
        window: int,
        window_bytes: int,
    ) -> None:
        if window < 1:
            raise ConfigurationError(f"the publisher's window is {window}; expected at least 1")
        self._route = route
        self._window = window
        self._window_bytes = window_bytes
        self._confirms = ConfirmTracker()
        doing = f"publish to exchange {route.exchange!r} at {parameters.description}"
        self._channel = ChannelThread(parameters, client_name=client_name, doing=doing)
        self._channel.open(self._prepare)

    def publish(self, message: OutgoingMessage, *, stop: Callable[[], bool] | None = None) -> None:
        """Send one message, waiting only while the window is full or the broker is blocked."""
        with self._channel.changed:
            self._wait_for_room(stop)
            self._confirms.published(message.token, size_bytes=len(message.body))
            self._channel.submit(partial(self._send, message))

    def wait_for_room(self, *, timeout_seconds: float) -> bool:
        """Wait until a message can be published at once; return False when the time is over."""
        with self._channel.changed:
            return self._channel.wait_until(self._has_room, timeout_seconds=timeout_seconds)

    def confirmed(self) -> object | None:
        """Return the token of the last message of the contiguous confirmed prefix, None before the first."""
        with self._channel.changed:
            self._channel.raise_failure()
            return self._confirms.token

    def unconfirmed_count(self) -> int:
        """Return how many published messages the broker has not confirmed."""
        with self._channel.changed:
            self._channel.raise_failure()
            return self._confirms.unconfirmed_count

    def wait_confirmed(self, *, timeout_seconds: float) -> bool:
        """Wait until everything published is confirmed; return False when the time is over."""
        with self._channel.changed:
            return self._channel.wait_until(
                lambda: not self._confirms.unconfirmed_count, timeout_seconds=timeout_seconds
            )

    def blocked_reason(self) -> str | None:
        """Return why the broker takes no messages now, or None."""
        return self._channel.blocked_reason

    def close(self) -> None:
        """Close the connection; unconfirmed messages may or may not have arrived."""
        self._channel.close()

    def _wait_for_room(self, stop: Callable[[], bool] | None) -> None:
        interval_seconds = None if stop is None else STOP_CHECK_SECONDS
        while not self._channel.wait_until(self._has_room, timeout_seconds=interval_seconds):
            if stop is not None and stop():
                raise StoppedError(f"stopped while waiting to publish to exchange {self._route.exchange!r}")

    def _has_room(self) -> bool:
        """Tell whether one more message may be in flight, of whatever size."""
        return (
            self._channel.blocked_reason is None
            and self._confirms.unconfirmed_count < self._window
            and self._confirms.unconfirmed_bytes < self._window_bytes
        )

    def _prepare(self, channel: PikaChannel) -> None:
        """Find exchange and queue before anything is sent; pika keeps the requests in order."""
        channel.add_on_return_callback(self._channel.guarded(self._on_return))
        channel.exchange_declare(self._route.exchange, passive=True, callback=_ignore_reply)
        channel.queue_declare(self._route.queue, passive=True, callback=_ignore_reply)
        channel.confirm_delivery(
            self._channel.guarded(self._on_confirm), callback=lambda _frame: self._channel.ready()
        )

    def _send(self, message: OutgoingMessage, channel: PikaChannel) -> None:
        properties = BasicProperties(
            content_type=message.content_type,
            message_id=message.message_id,
            headers=dict(message.headers),
            delivery_mode=DeliveryMode.Persistent,
        )
        channel.basic_publish(
            self._route.exchange, self._route.routing_key, message.body, properties, mandatory=True
        )

    def _on_confirm(self, frame: PikaFrame) -> None:
        if isinstance(frame.method, Basic.Nack):
            raise PublishError(f"queue {self._route.queue!r} did not take a message (nack)")
        with self._channel.changed:
            self._confirms.confirm(frame.method.delivery_tag, multiple=frame.method.multiple)
            self._channel.changed.notify_all()

    def _on_return(
        self, _channel: PikaChannel, method: PikaFrame, _properties: BasicProperties, _body: bytes
    ) -> None:
        raise PublishError(
            f"a message to exchange {method.exchange!r} with routing key {method.routing_key!r} came back: "
            f"{method.reply_code} {method.reply_text}",
            hint=UNROUTABLE_HINT,
        )


def _ignore_reply(_frame: PikaFrame) -> None:
    """Make the request one that is answered: an error then arrives before what follows is done."""

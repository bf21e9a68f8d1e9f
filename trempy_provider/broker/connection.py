"""One AMQP channel on a connection and a thread of its own.

pika is not thread-safe: everything that touches it runs on the connection's thread, which therefore answers
heartbeats whatever the caller is busy with.
Callers hand it actions, and share state with its callbacks under one condition, `changed`, which is notified
whenever that state changes: nobody polls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pika import SelectConnection, exceptions
from pika.adapters.select_connection import IOLoop

from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.translation import translated
from trempy_provider.errors import BrokerError, BrokerUnavailableError, TrempyError

CLOSE_TIMEOUT_SECONDS = 2.0

# pika has no types: these say what is meant.
PikaChannel = Any
PikaFrame = Any
Action = Callable[[PikaChannel], None]


class _Connection(SelectConnection):  # type: ignore[misc]  # pika has no types
    """pika's connection with two ends of our own, by the hooks its adapters have."""

    def say_goodbye(self) -> None:
        """Close the connection and let the broker end its channels.

        pika's own close cancels the consumers first.
        RabbitMQ then gives the next message to the next consumer before it takes back what this one holds:
        the order would be lost at every hand-over.
        """
        self._set_connection_state(self.CONNECTION_CLOSING)
        self._error = exceptions.ConnectionClosedByClient(200, "Normal shutdown")
        self._on_close_ready()

    def abort(self) -> None:
        """Drop the connection without a farewell: a blocked broker does not even read Connection.Close."""
        if not self.is_closed:
            self._terminate_stream(exceptions.StreamLostError("closed by this side"))


class ChannelThread:
    """An open channel; the first failure ends it, and is raised at every later call."""

    def __init__(
        self,
        parameters: RabbitMqParameters,
        *,
        client_name: str,
        doing: str,
        notify: Callable[[], None] = lambda: None,
    ) -> None:
        self.changed = threading.Condition()
        self.notify = notify  # called when the channel has failed, in the connection's thread
        self.blocked_reason: str | None = None
        self._parameters = parameters
        self._client_name = client_name
        self._doing = doing
        self._failure: TrempyError | None = None
        self._is_ready = False
        self._prepare: Action = lambda _channel: None
        self._connection: Any = None
        self._channel: PikaChannel = None
        self._loop = IOLoop()
        self._thread = threading.Thread(target=self._run, name=client_name, daemon=True)

    def open(self, prepare: Action) -> None:
        """Connect, open the channel and run `prepare` on it; return once that has called `ready`."""
        self._prepare = prepare
        self._thread.start()
        try:
            self._wait_until_ready(timeout_seconds=2 * self._parameters.connection_timeout_seconds)
        except BaseException:
            self.close()
            raise

    def submit(self, action: Action) -> None:
        """Run an action on the connection's thread; actions keep their order."""
        self._loop.add_callback_threadsafe(self.guarded(lambda: action(self._channel)))

    def wait_until(self, predicate: Callable[[], bool], *, timeout_seconds: float | None) -> bool:
        """Wait, holding `changed`, until the predicate is true or the time is over; raise a failure."""
        self.changed.wait_for(lambda: self._failure is not None or predicate(), timeout_seconds)
        self.raise_failure()
        return predicate()

    def raise_failure(self) -> None:
        """Raise what ended the channel, if anything has."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Send what was submitted, say goodbye and end the thread; never raises."""
        with self.changed:
            self._fail(BrokerError(f"cannot {self._doing}: it was closed on this side"))
            is_blocked = self.blocked_reason is not None
        self._loop.add_callback_threadsafe(self._abort if is_blocked else self._say_goodbye)
        self._thread.join(CLOSE_TIMEOUT_SECONDS)
        if self._thread.is_alive():
            self._loop.add_callback_threadsafe(self._abort)
            self._thread.join(CLOSE_TIMEOUT_SECONDS)

    def _wait_until_ready(self, *, timeout_seconds: float) -> None:
        with self.changed:
            if not self.wait_until(lambda: self._is_ready, timeout_seconds=timeout_seconds):
                raise BrokerUnavailableError(f"cannot {self._doing}: no answer within {timeout_seconds:g} s")

    def ready(self) -> None:
        """Tell that the channel is prepared; from here on, everything runs on the connection's thread."""
        with self.changed:
            self._is_ready = True
            self.changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Keep the first failure, translated, and wake everybody up."""
        with self.changed:
            self._fail(translated(error, doing=self._doing))

    def guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Return the callback with its errors reported to the caller's side."""

        def call(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:  # noqa: BLE001  whatever ends this thread's work must reach the caller
                self.fail(error)
                self._say_goodbye()

        return call

    def _run(self) -> None:
        try:
            self._connection = _Connection(
                self._parameters.for_pika(client_name=self._client_name, blocked_timeout_seconds=None),
                on_open_callback=self.guarded(self._on_open),
                on_open_error_callback=self._on_connection_closed,
                on_close_callback=self._on_connection_closed,
                custom_ioloop=self._loop,
            )
            self._loop.start()
        except Exception as error:  # noqa: BLE001  the same
            self.fail(error)
        finally:
            self._loop.close()

    def _on_open(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self.guarded(self._on_channel_open))

    def _on_channel_open(self, channel: PikaChannel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self.guarded(self._on_channel_closed))
        self._prepare(channel)

    def _on_channel_closed(self, _channel: PikaChannel, reason: BaseException) -> None:
        self.fail(reason)

    def _on_connection_closed(self, _connection: Any, reason: BaseException) -> None:
        self.fail(reason)
        self._loop.stop()

    def _on_blocked(self, _connection: Any, frame: PikaFrame) -> None:
        self._set_blocked_reason(str(frame.method.reason))

    def _on_unblocked(self, _connection: Any, _frame: PikaFrame) -> None:
        self._set_blocked_reason(None)

    def _set_blocked_reason(self, reason: str | None) -> None:
        with self.changed:
            self.blocked_reason = reason
            self.changed.notify_all()

    def _fail(self, failure: TrempyError) -> None:
        if self._failure is None:
            self._failure = failure
        self.changed.notify_all()
        self.notify()

    def _say_goodbye(self) -> None:
        if self._connection.is_open:
            self._connection.say_goodbye()
        elif not self._connection.is_closing:
            self._abort()

    def _abort(self) -> None:
        self._connection.abort()

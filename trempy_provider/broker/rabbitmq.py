"""A task's queues in RabbitMQ."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from typing import TypeVar

from trempy_provider.broker.base import (
    DEFAULT_WINDOW,
    DEFAULT_WINDOW_BYTES,
    Delivery,
    OutgoingMessage,
    QueueDepths,
)
from trempy_provider.broker.connection import PikaChannel
from trempy_provider.broker.consumer import RabbitMqConsumer, delivery_of
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.preflight import check_server, check_task
from trempy_provider.broker.publisher import RabbitMqPublisher
from trempy_provider.broker.session import BrokerSession, open_session
from trempy_provider.broker.topology import Route, Topology, declare_exchange, declare_queue, topology_of
from trempy_provider.errors import BrokerUnavailableError, TopologyError

CONFIRM_SECONDS = 30.0
PAUSES_SECONDS = (0.1, 0.3, 0.6, 0.0)
Result = TypeVar("Result")


class RabbitMqBroker:
    """The queues of one replication task; see `base.Broker`.

    `read_parameters` is called for each connection, so that a password changed meanwhile is found.
    Another process gets a copy with the parameters of now.
    """

    def __init__(self, read_parameters: Callable[[], RabbitMqParameters], *, task_name: str) -> None:
        self.topology = topology_of(task_name)
        self._read_parameters = read_parameters
        self._task_name = task_name

    def __reduce__(self) -> tuple[object, ...]:
        return _broker_with, (self._read_parameters(), self._task_name)

    def of_task(self, task_name: str) -> RabbitMqBroker:
        """Return the queues of another task on the same broker."""
        return RabbitMqBroker(self._read_parameters, task_name=task_name)

    def present_queues(self) -> tuple[str, ...]:
        """Return the names of those of the task's queues that exist."""
        with self._open_session("sweep") as session:
            return tuple(route.queue for route in self.topology.routes if _is_present(session, route))

    def check(self) -> None:
        """Raise what would keep the task from working on this broker; change nothing."""
        check_task(self._read_parameters(), self.topology, client_name=self._client_name("check"))

    def declare_topology(self) -> None:
        """Create exchanges, queues and bindings; what exists as declared stays untouched."""
        with self._open_session("setup") as session:
            for route in self.topology.routes:
                _declare_route(session, route)

    def delete_topology(self) -> None:
        """Delete exchanges, queues and all messages in them; what is already gone is no error."""
        with self._open_session("teardown") as session:
            for route in reversed(self.topology.routes):
                _delete_route(session, route)

    def purge(self) -> None:
        """Empty the main queue and the dead-letter queue."""
        with self._open_session("purge") as session:
            for route in self.topology.routes:
                with session.request(f"purge queue {route.queue!r}") as channel:
                    channel.queue_purge(route.queue)

    def depths(self) -> QueueDepths:
        """Count the messages in the task's queues; AMQP does not tell how many are unacknowledged."""
        with self._open_session("depths") as session:
            return _depths(session, self.topology)

    def depths_of(self, task_names: Sequence[str]) -> dict[str, QueueDepths]:
        """Count the messages of several tasks on the same broker; those without queues are left out."""
        depths = {}
        with self._open_session("depths") as session:
            for name in task_names:
                with suppress(TopologyError):
                    depths[name] = _depths(session, topology_of(name))
        return depths

    def add_dead_letter(self, message: OutgoingMessage) -> None:
        """Put a message into the dead-letter queue; when this returns, the broker has it on disk."""
        publisher = self._open_publisher(self.topology.dead_letters, "dead-letter")
        try:
            if not publisher.wait_for_room(timeout_seconds=CONFIRM_SECONDS):
                raise BrokerUnavailableError(f"the broker takes no messages: {publisher.blocked_reason()}")
            publisher.publish(message)
            if not publisher.wait_confirmed(timeout_seconds=CONFIRM_SECONDS):
                raise BrokerUnavailableError(
                    f"the broker did not confirm a dead letter within {CONFIRM_SECONDS:g} s"
                )
        finally:
            publisher.close()

    def read_dead_letters(self) -> Generator[Delivery, None, None]:
        """Yield the dead letters, one at a time; closing the channel puts them back.

        The header `x-first-death-reason` of one that the broker itself has dead-lettered tells why:
        `delivery_limit`.
        """
        queue = self.topology.dead_letters.queue
        with self._open_session("peek") as session, session.request(f"read queue {queue!r}") as channel:
            yield from _get_all(channel, queue)

    def find_dead_letter(self, message_id: str) -> Delivery | None:
        """Return a dead letter, which stays where it is, or None when it is not there."""
        return self.find_dead_letters([message_id]).get(message_id)

    def find_dead_letters(self, message_ids: Collection[str]) -> dict[str, Delivery]:
        """Return those of the dead letters that are there, by name; they stay where they are."""
        found: dict[str, Delivery] = {}
        wanted = set(message_ids)
        self._patiently(lambda: self._find_dead_letters(wanted, found))
        return found

    def remove_dead_letter(self, message_id: str) -> bool:
        """Remove a dead letter, wherever it is in the queue, and return whether it was there.

        It may be there more than once: whoever put it there may have died before it could say so.
        """
        return bool(self._patiently(lambda: self._remove_dead_letter(message_id)))

    def open_publisher(
        self, *, window: int = DEFAULT_WINDOW, window_bytes: int = DEFAULT_WINDOW_BYTES
    ) -> RabbitMqPublisher:
        """Connect for publishing; `window` and `window_bytes` bound what is unconfirmed."""
        return self._open_publisher(self.topology.main, "publisher", window=window, window_bytes=window_bytes)

    def open_consumer(self, *, prefetch_count: int = 1) -> RabbitMqConsumer:
        """Connect for reading; `prefetch_count` bounds what is unacknowledged."""
        return RabbitMqConsumer(
            self._read_parameters(),
            route=self.topology.main,
            client_name=self._client_name("consumer"),
            prefetch_count=prefetch_count,
        )

    def _patiently(self, look: Callable[[], Result]) -> Result:
        """Look again when nothing was found: what somebody has just looked at is on its way back."""
        for pause_seconds in PAUSES_SECONDS:
            if found := look():
                break
            time.sleep(pause_seconds)
        return found

    def _find_dead_letters(self, wanted: Collection[str], found: dict[str, Delivery]) -> bool:
        """Add what is there of those wanted, in one pass; return whether all are found."""
        with closing(self.read_dead_letters()) as letters:
            while len(found) < len(wanted) and (letter := next(letters, None)) is not None:
                if letter.message_id in wanted:
                    found[letter.message_id] = letter
        return len(found) == len(wanted)

    def _remove_dead_letter(self, message_id: str) -> bool:
        """Acknowledge what has the name; those read on the way go back when the channel closes."""
        queue = self.topology.dead_letters.queue
        is_found = False
        with self._open_session("remove") as session, session.request(f"read queue {queue!r}") as channel:
            for letter in _get_all(channel, queue):
                if letter.message_id == message_id:
                    channel.basic_ack(letter.tag)
                    is_found = True
        return is_found

    def _open_publisher(
        self,
        route: Route,
        purpose: str,
        *,
        window: int = DEFAULT_WINDOW,
        window_bytes: int = DEFAULT_WINDOW_BYTES,
    ) -> RabbitMqPublisher:
        return RabbitMqPublisher(
            self._read_parameters(),
            route=route,
            client_name=self._client_name(purpose),
            window=window,
            window_bytes=window_bytes,
        )

    def _open_session(self, purpose: str) -> AbstractContextManager[BrokerSession]:
        return open_session(self._read_parameters(), client_name=self._client_name(purpose))

    def _client_name(self, purpose: str) -> str:
        return f"trempy/{self._task_name}/{purpose}"


def _broker_with(parameters: RabbitMqParameters, task_name: str) -> RabbitMqBroker:
    return RabbitMqBroker(lambda: parameters, task_name=task_name)


def check_connection(parameters: RabbitMqParameters) -> str:
    """Connect without a task, and return the broker's name and version; raises what is wrong, by cause."""
    with open_session(parameters, client_name="trempy/check") as session:
        return check_server(session)


def _declare_route(session: BrokerSession, route: Route) -> None:
    with session.request(f"declare exchange {route.exchange!r}") as channel:
        declare_exchange(channel, route)
    with session.request(f"declare queue {route.queue!r}") as channel:
        declare_queue(channel, route)
    with session.request(f"bind queue {route.queue!r} to exchange {route.exchange!r}") as channel:
        channel.queue_bind(route.queue, route.exchange, route.routing_key)


def _delete_route(session: BrokerSession, route: Route) -> None:
    with session.request(f"delete exchange {route.exchange!r}") as channel:
        channel.exchange_delete(route.exchange)
    with session.request(f"delete queue {route.queue!r}") as channel:
        channel.queue_delete(route.queue)


def _depths(session: BrokerSession, topology: Topology) -> QueueDepths:
    return QueueDepths(
        ready=_count_ready(session, topology.main),
        unacknowledged=None,
        dead_letters=_count_ready(session, topology.dead_letters),
    )


def _count_ready(session: BrokerSession, route: Route) -> int:
    with session.request(f"count the messages of queue {route.queue!r}") as channel:
        return int(channel.queue_declare(route.queue, passive=True).method.message_count)


def _is_present(session: BrokerSession, route: Route) -> bool:
    try:
        _count_ready(session, route)
    except TopologyError:
        return False
    return True


def _get_all(channel: PikaChannel, queue: str) -> Iterator[Delivery]:
    while True:
        method, properties, body = channel.basic_get(queue)
        if method is None:
            return
        yield delivery_of(method, properties, body)

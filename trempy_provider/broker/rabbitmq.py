"""A task's queues in RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from trempy_provider.broker.base import DEFAULT_WINDOW, DEFAULT_WINDOW_BYTES, Delivery, QueueDepths
from trempy_provider.broker.connection import PikaChannel
from trempy_provider.broker.consumer import RabbitMqConsumer, delivery_of
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.preflight import check_server, check_task
from trempy_provider.broker.publisher import RabbitMqPublisher
from trempy_provider.broker.session import BrokerSession, open_session
from trempy_provider.broker.topology import Route, declare_exchange, declare_queue, topology_of


class RabbitMqBroker:
    """The queues of one replication task; see `base.Broker`.

    `read_parameters` is called for each connection, so that a password changed meanwhile is found.
    """

    def __init__(self, read_parameters: Callable[[], RabbitMqParameters], *, task_name: str) -> None:
        self.topology = topology_of(task_name)
        self._read_parameters = read_parameters
        self._task_name = task_name

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
            return QueueDepths(
                ready=_count_ready(session, self.topology.main),
                unacknowledged=None,
                dead_letters=_count_ready(session, self.topology.dead_letters),
            )

    def peek_dead_letters(self, *, limit: int) -> tuple[Delivery, ...]:
        """Return the first dead letters and leave them where they are: closing the channel puts them back.

        Their header `x-first-death-reason` tells how they got there: `rejected` or `delivery_limit`.
        """
        queue = self.topology.dead_letters.queue
        with self._open_session("peek") as session, session.request(f"read queue {queue!r}") as channel:
            return tuple(_get_up_to(limit, channel, queue))

    def remove_dead_letter(self, message_id: str) -> bool:
        """Remove one dead letter and return whether it was there; the others stay.

        Those read on the way to it go back when the channel closes.
        """
        queue = self.topology.dead_letters.queue
        with self._open_session("remove") as session, session.request(f"read queue {queue!r}") as channel:
            while True:
                method, properties, _ = channel.basic_get(queue)
                if method is None:
                    return False
                if properties.message_id == message_id:
                    channel.basic_ack(method.delivery_tag)
                    return True

    def open_publisher(
        self, *, window: int = DEFAULT_WINDOW, window_bytes: int = DEFAULT_WINDOW_BYTES
    ) -> RabbitMqPublisher:
        """Connect for publishing; `window` and `window_bytes` bound what is unconfirmed."""
        return RabbitMqPublisher(
            self._read_parameters(),
            route=self.topology.main,
            client_name=self._client_name("publisher"),
            window=window,
            window_bytes=window_bytes,
        )

    def open_consumer(self, *, prefetch_count: int = 1) -> RabbitMqConsumer:
        """Connect for reading; `prefetch_count` bounds what is unacknowledged."""
        return RabbitMqConsumer(
            self._read_parameters(),
            route=self.topology.main,
            client_name=self._client_name("consumer"),
            prefetch_count=prefetch_count,
        )

    def _open_session(self, purpose: str) -> AbstractContextManager[BrokerSession]:
        return open_session(self._read_parameters(), client_name=self._client_name(purpose))

    def _client_name(self, purpose: str) -> str:
        return f"trempy/{self._task_name}/{purpose}"


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


def _count_ready(session: BrokerSession, route: Route) -> int:
    with session.request(f"count the messages of queue {route.queue!r}") as channel:
        return int(channel.queue_declare(route.queue, passive=True).method.message_count)


def _get_up_to(limit: int, channel: PikaChannel, queue: str) -> Iterator[Delivery]:
    for _ in range(limit):
        method, properties, body = channel.basic_get(queue)
        if method is None:
            return
        yield delivery_of(method, properties, body)

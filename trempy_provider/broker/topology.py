"""The exchanges and queues of a replication task, as data; the names are part of the product's contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The queue itself dead-letters a message that came back more often than this: after its fourth delivery.
# That is for processes that die without a word; a failure that apply sees, it counts and settles itself.
DELIVERY_LIMIT = 3
_MAIN_QUEUE_PREFIX = "trempy_queue_"
_DEAD_LETTER_QUEUE_PREFIX = "dlx_queue_"


@dataclass(frozen=True, slots=True)
class Route:
    """A durable direct exchange, a durable quorum queue, and the routing key from the one to the other."""

    exchange: str
    routing_key: str
    queue: str
    arguments: Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Topology:
    """The way of the batches, and the way of those that failed."""

    main: Route
    dead_letters: Route

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return the routes in the order of declaration: a queue's dead-letter exchange comes first."""
        return (self.dead_letters, self.main)


def topology_of(task_name: str) -> Topology:
    """Return what RabbitMQ holds for a task."""
    return Topology(
        main=Route(
            exchange=f"trempy_exchange_{task_name}",
            routing_key=f"trempy_routing_key_{task_name}",
            queue=_MAIN_QUEUE_PREFIX + task_name,
            arguments={
                "x-queue-type": "quorum",
                "x-dead-letter-exchange": f"trempy_dlx_exchange_{task_name}",
                "x-dead-letter-routing-key": f"dlx.{task_name}",
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-single-active-consumer": True,
            },
        ),
        dead_letters=Route(
            exchange=f"trempy_dlx_exchange_{task_name}",
            routing_key=f"dlx.{task_name}",
            queue=_DEAD_LETTER_QUEUE_PREFIX + task_name,
            arguments={"x-queue-type": "quorum"},
        ),
    )


def is_queue_of_a_task(queue_name: str) -> bool:
    """Tell whether a queue's name is one that replication tasks give to theirs."""
    return queue_name.startswith((_MAIN_QUEUE_PREFIX, _DEAD_LETTER_QUEUE_PREFIX))


def declare_exchange(channel: Any, route: Route) -> None:
    """Create a route's exchange; an equal one stays as it is."""
    channel.exchange_declare(route.exchange, "direct", durable=True)


def declare_queue(channel: Any, route: Route) -> None:
    """Create a route's queue; an equal one stays as it is."""
    channel.queue_declare(route.queue, durable=True, arguments=dict(route.arguments))

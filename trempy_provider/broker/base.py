"""What the jobs see of a message broker: value types, and the protocols a broker implements.

A broker is opened twice per task: capture publishes, apply reads.
Both ends keep their connection alive by themselves, whatever the caller is busy with, and report a failure
at the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MEBIBYTE = 1024 * 1024
DEFAULT_WINDOW = 16
DEFAULT_WINDOW_BYTES = 24 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to publish; `token` comes back from `Publisher.confirmed` and never leaves the process."""

    body: bytes = field(repr=False)
    message_id: str
    headers: Mapping[str, str | int]
    content_type: str = "application/json"
    token: object = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message received and not yet acknowledged.

    `attempt` counts from 1.
    Every return to the queue counts, by a closed consumer or a killed process alike.
    A message that has no name gets one made of its content.
    """

    body: bytes = field(repr=False)
    message_id: str
    headers: Mapping[str, object]
    tag: int
    attempt: int
    redelivered: bool


@dataclass(frozen=True, slots=True)
class QueueDepths:
    """How many messages wait; `unacknowledged` is None where the broker's protocol does not tell."""

    ready: int
    unacknowledged: int | None
    dead_letters: int


class Publisher(Protocol):
    """Publish in order, with a bounded window of messages that the broker has not confirmed yet.

    After a failure (a nack, a returned message, a lost connection) every call except `close` raises it.
    What was not confirmed then has to be published again by a new publisher.
    """

    def publish(self, message: OutgoingMessage, *, stop: Callable[[], bool] | None = None) -> None:
        """Send one message, waiting only while the window is full or the broker is blocked.

        Raises StoppedError, the message unsent, once `stop()` is true during such a wait.
        """

    def wait_for_room(self, *, timeout_seconds: float) -> bool:
        """Wait until a message can be published at once; return False when the time is over."""

    def confirmed(self) -> object | None:
        """Return the token of the last message of the contiguous confirmed prefix, None before the first."""

    def unconfirmed_count(self) -> int:
        """Return how many published messages the broker has not confirmed."""

    def wait_confirmed(self, *, timeout_seconds: float) -> bool:
        """Wait until everything published is confirmed; return False when the time is over."""

    def blocked_reason(self) -> str | None:
        """Return why the broker takes no messages now (a memory or disk alarm), or None."""

    def close(self) -> None:
        """Close the connection; unconfirmed messages may or may not have arrived."""


class Consumer(Protocol):
    """Read the task's queue in order, one active consumer at a time; the others wait their turn.

    A connection that breaks, is closed or killed returns its deliveries to the queue in order.
    """

    def get(self, *, timeout_seconds: float) -> Delivery | None:
        """Return the next delivery, or None when none came in time."""

    def ack(self, delivery: Delivery) -> None:
        """Remove the message from the queue; call it after the target's commit only."""

    def close(self) -> None:
        """Close the connection; deliveries that were not acknowledged go back to the queue."""


class Broker(Protocol):
    """The queues of one replication task."""

    def of_task(self, task_name: str) -> Broker:
        """Return the queues of another task on the same broker."""

    def present_queues(self) -> tuple[str, ...]:
        """Return the names of those of the task's queues that exist."""

    def check(self) -> None:
        """Raise what would keep the task from working on this broker; change nothing."""

    def declare_topology(self) -> None:
        """Create exchanges, queues and bindings; what exists as declared stays untouched."""

    def delete_topology(self) -> None:
        """Delete exchanges, queues and all messages in them; what is already gone is no error."""

    def purge(self) -> None:
        """Empty the main queue and the dead-letter queue."""

    def depths(self) -> QueueDepths:
        """Count the messages in the task's queues."""

    def depths_of(self, task_names: Sequence[str]) -> dict[str, QueueDepths]:
        """Count the messages of several tasks on the same broker; those without queues are left out."""

    def add_dead_letter(self, message: OutgoingMessage) -> None:
        """Put a message into the dead-letter queue; when this returns, the broker has it on disk."""

    def read_dead_letters(self) -> Generator[Delivery, None, None]:
        """Yield the dead letters, one at a time, and leave them in the queue; their order may change.

        Read to the end at once, or close the iterator: meanwhile nobody else sees them.
        A letter that somebody else looks at is missing.
        """

    def find_dead_letter(self, message_id: str) -> Delivery | None:
        """Return a dead letter, which stays where it is, or None when it is not there."""

    def find_dead_letters(self, message_ids: Collection[str]) -> dict[str, Delivery]:
        """Return those of the dead letters that are there, by name, in one pass; they stay where they are."""

    def remove_dead_letter(self, message_id: str) -> bool:
        """Remove a dead letter, wherever it is in the queue, and return whether it was there."""

    def open_publisher(
        self, *, window: int = DEFAULT_WINDOW, window_bytes: int = DEFAULT_WINDOW_BYTES
    ) -> Publisher:
        """Connect for publishing; `window` and `window_bytes` bound what is unconfirmed."""

    def open_consumer(self, *, prefetch_count: int = 1) -> Consumer:
        """Connect for reading; `prefetch_count` bounds what is unacknowledged."""

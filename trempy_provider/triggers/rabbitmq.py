"""Start DAGs by messages of a RabbitMQ queue: an event trigger for asset watchers, for any queue.

A message is acknowledged when Airflow has stored its event, and not before: the triggerer tells, by the
acknowledging mode of its shared streams (see `airflow.triggers.shared_stream`).
A triggerer that dies, a connection that is lost, a database that does not take the event: the message is
delivered again, so an event may come twice and is never lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from airflow.triggers.shared_stream import (
    AdvanceItem,
    AdvanceOutcome,
    SharedStreamProducer,
    reject_shared_stream_event,
)

from trempy_provider.broker.reader import QueueReader, ReceivedMessage
from trempy_provider.broker.topology import is_queue_of_a_task
from trempy_provider.errors import ConfigurationError, RetryPolicy, TopologyError, TrempyError
from trempy_provider.hooks.rabbitmq import RabbitMQHook
from trempy_provider.triggers.base import FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, open_in_thread
from trempy_provider.triggers.message_events import payload_of

logger = logging.getLogger(__name__)
MEBIBYTE = 1024 * 1024
LARGEST_BODY_BYTES = 64 * MEBIBYTE
HIGHEST_PREFETCH_COUNT = 1000  # the triggerer holds at most 1024 events of a stream
LONGEST_NAME_BYTES = 255
QUEUE_HINT = (
    "Declare the queue (durable, x-queue-type: quorum, with a dead-letter exchange), or correct its name."
)


class RabbitMQQueueTrigger(BaseEventTrigger):
    """Fire once for each message of a queue; triggers of the same queue share one consumer, and each fires.

    The queue has to exist.
    A message larger than `max_body_bytes` is no event: it is rejected, which gives it to the queue's
    dead-letter exchange.
    Errors are logged and tried again: a trigger that ends is started again at once.

    :param queue_name: the queue; a replication task's own queues are refused
    :param rabbitmq_conn_id: the connection, with its virtual host and TLS options
    :param prefetch_count: how many messages may wait for Airflow's database, 1 to 1000
    :param max_body_bytes: the largest body that is put into an event, at most 64 MiB
    """

    def __init__(
        self,
        *,
        queue_name: str,
        rabbitmq_conn_id: str = RabbitMQHook.default_conn_name,
        prefetch_count: int = 16,
        max_body_bytes: int = MEBIBYTE,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.queue_name = queue_name
        self.rabbitmq_conn_id = rabbitmq_conn_id
        self.prefetch_count = prefetch_count
        self.max_body_bytes = max_body_bytes
        _check(self)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments: names, never a secret."""
        names = ("queue_name", "rabbitmq_conn_id", "prefetch_count", "max_body_bytes")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    def shared_stream_key(self) -> Hashable:
        """Return the queue: its triggers share one consumer, so that each of them sees every message."""
        return ("trempy_provider.rabbitmq", self.rabbitmq_conn_id, self.queue_name)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return what reads and acknowledges for all triggers of the queue."""
        return QueueProducer(
            queue_name=kwargs["queue_name"],
            rabbitmq_conn_id=kwargs["rabbitmq_conn_id"],
            prefetch_count=kwargs["prefetch_count"],
        )

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each message that is not too large."""
        async for message in shared_stream:
            if self._is_too_large(message):
                reject_shared_stream_event()
            else:
                yield TriggerEvent(payload_of(message, queue_name=self.queue_name))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the events where nobody tells that they are stored: acknowledge as soon as one was taken."""
        producer = self.create_shared_stream_producer(self.serialize()[1])
        try:
            async for message, _ in producer.open_stream():
                is_rejected = self._is_too_large(message)
                if not is_rejected:
                    yield TriggerEvent(payload_of(message, queue_name=self.queue_name))
                outcome = AdvanceOutcome(acked=int(not is_rejected), failed=0, rejected=int(is_rejected))
                await producer.advance([AdvanceItem(message, outcome)])
        finally:
            await producer.aclose()

    def _is_too_large(self, message: ReceivedMessage) -> bool:
        if len(message.body) <= self.max_body_bytes:
            return False
        self.log.error(
            "A message of %d bytes in queue %r is rejected: max_body_bytes is %d. "
            "It is in the queue's dead-letter exchange, where it has one.",
            len(message.body),
            self.queue_name,
            self.max_body_bytes,
        )
        return True


class QueueProducer(SharedStreamProducer):
    """The one consumer of a queue in this triggerer; it connects again by itself."""

    def __init__(self, *, queue_name: str, rabbitmq_conn_id: str, prefetch_count: int) -> None:
        self._queue_name = queue_name
        self._conn_id = rabbitmq_conn_id
        self._prefetch_count = prefetch_count
        self._reader: QueueReader | None = None

    async def open_stream(self) -> AsyncIterator[tuple[ReceivedMessage, ReceivedMessage]]:
        """Yield the messages, without end."""
        pause_seconds = FIRST_BACKOFF_SECONDS
        while True:
            arrived = asyncio.Event()
            try:
                self._reader = await open_in_thread(partial(self._open, _waker(arrived)))
                while True:
                    await arrived.wait()
                    arrived.clear()
                    for message in self._reader.take():
                        pause_seconds = FIRST_BACKOFF_SECONDS
                        yield message, message
            except TrempyError as error:
                _report(error, pause_seconds)
            await self.aclose()
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LONGEST_BACKOFF_SECONDS)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Acknowledge what is stored, reject what was refused, and hand back what was not stored.

        That waits the longer the more often it was delivered: no delivery limit is used up at once.
        What came by a connection that is gone will be delivered again.
        """
        for item in batch:
            try:
                self._settle(item.broker_payload, item.outcome)
            except TrempyError as error:
                logger.warning("%s; it will be delivered again", error)

    async def aclose(self) -> None:
        """Close the connection; called after the last acknowledgement."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await asyncio.shield(asyncio.to_thread(reader.close))

    def _settle(self, message: ReceivedMessage, outcome: AdvanceOutcome) -> None:
        if self._reader is None:
            return
        if outcome.is_clean:
            self._reader.ack(message)
        elif outcome.rejected and not outcome.failed:
            self._reader.reject(message)
        else:
            pause_seconds = _pause_before(message.attempt)
            asyncio.get_running_loop().call_later(pause_seconds, self._hand_back, self._reader, message)

    def _hand_back(self, reader: QueueReader, message: ReceivedMessage) -> None:
        if reader is not self._reader:
            return  # its connection is closed, which has returned the message
        try:
            reader.hand_back(message)
        except TrempyError as error:
            logger.warning("%s; it will be delivered again", error)

    def _open(self, notify: Callable[[], None]) -> QueueReader:
        return QueueReader(
            RabbitMQHook(self._conn_id).parameters(),
            queue_name=self._queue_name,
            prefetch_count=self._prefetch_count,
            client_name=f"trempy/{self._queue_name}/events",
            notify=notify,
        )


def _pause_before(attempt: int) -> float:
    """Return for how many seconds a message is held before it is delivered for another time."""
    doublings = min(attempt - 1, 10)
    return float(min(FIRST_BACKOFF_SECONDS * 2**doublings, LONGEST_BACKOFF_SECONDS))


def _waker(arrived: asyncio.Event) -> Callable[[], None]:
    """Return what sets the event from another thread; a loop that has ended waits for nothing."""
    loop = asyncio.get_running_loop()

    def wake() -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(arrived.set)

    return wake


def _report(error: TrempyError, pause_seconds: float) -> None:
    hint = QUEUE_HINT if isinstance(error, TopologyError) else error.hint
    level = logging.WARNING if error.policy is RetryPolicy.BY_ITSELF else logging.ERROR
    logger.log(level, "%s — %s; trying again in %g s", error, hint, pause_seconds)


def _check(trigger: RabbitMQQueueTrigger) -> None:
    """Raise ConfigurationError for arguments that cannot work, where the DAG is written."""
    name = trigger.queue_name
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= LONGEST_NAME_BYTES:
        raise ConfigurationError(
            f"queue_name is {name!r}; expected 1 to {LONGEST_NAME_BYTES} bytes",
            hint="Name a queue that exists.",
        )
    if is_queue_of_a_task(name):
        raise ConfigurationError(
            f"queue_name is {name!r}, a replication task's own queue: what is read there misses the target",
            hint="Use SlotChangesTrigger, or ReplicationCaughtUpSensor, for a replication task.",
        )
    _require_between("prefetch_count", trigger.prefetch_count, lowest=1, highest=HIGHEST_PREFETCH_COUNT)
    _require_between("max_body_bytes", trigger.max_body_bytes, lowest=1, highest=LARGEST_BODY_BYTES)


def _require_between(name: str, seen: object, *, lowest: int, highest: int) -> None:
    if not isinstance(seen, int) or not lowest <= seen <= highest:
        raise ConfigurationError(
            f"{name} is {seen!r}; expected a whole number from {lowest} to {highest}",
            hint="Correct the trigger's arguments.",
        )

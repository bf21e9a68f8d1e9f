"""Tell whether messages wait for a task, on one held connection and without consuming any.

A consumer that hands a message back would count as an attempt, so the queue's depth is asked for instead: one
frame each way.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.session import BrokerSession, open_session
from trempy_provider.broker.topology import topology_of
from trempy_provider.broker.translation import translating


class QueueWatch:
    """The depth of a task's queue; any thread may call.

    Ask more often than the heartbeat: nothing else keeps the connection alive.
    """

    def __init__(self, session: BrokerSession, *, queue: str, stack: ExitStack) -> None:
        self._queue = queue
        self._stack = stack
        self._lock = threading.Lock()
        self._channel = session.channel()

    def has_messages(self) -> bool:
        """Tell whether a message is ready; raise BrokerError when the connection or the queue is gone."""
        with self._lock, translating(f"count the messages of queue {self._queue!r}"):
            return int(self._channel.queue_declare(self._queue, passive=True).method.message_count) > 0

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._stack.close()


def open_queue_watch(parameters: RabbitMqParameters, *, task_name: str) -> QueueWatch:
    """Connect; raise BrokerError subclasses."""
    with ExitStack() as stack:
        client_name = f"trempy/{task_name}/watch"
        session = stack.enter_context(open_session(parameters, client_name=client_name))
        queue = topology_of(task_name).main.queue
        with translating(f"open a channel to RabbitMQ at {parameters.description}"):
            return QueueWatch(session, queue=queue, stack=stack.pop_all())
    raise AssertionError("the block above returns or raises")

"""Wait for the next message of a task."""

from __future__ import annotations

import asyncio

from trempy_provider.broker.watch import QueueWatch, open_queue_watch
from trempy_provider.hooks.rabbitmq import RabbitMQHook
from trempy_provider.triggers.base import LeaseTrigger, open_in_thread

POLL_SECONDS = 1.0


class ApplyTrigger(LeaseTrigger):
    """Ask for the depth of the task's queue once a second, on one held connection.

    Nothing is consumed: a message handed back would count as a failed attempt.

    :param broker_conn_id: the broker's connection
    """

    async def wait_for_work(self) -> None:
        """Return when a message is ready."""
        watch = await open_in_thread(self._open)
        try:
            while not await asyncio.to_thread(watch.has_messages):  # noqa: ASYNC110  # nothing else tells
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await asyncio.shield(asyncio.to_thread(watch.close))

    def _open(self) -> QueueWatch:
        hook = RabbitMQHook(self.names["broker_conn_id"])
        return open_queue_watch(hook.parameters(), task_name=self.task_name)

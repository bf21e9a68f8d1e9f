"""What the triggers of a lease share: bounds, backoff, and blocking calls kept off the event loop.

All triggers of a triggerer share one event loop, and the same trigger may run in two triggerers at once.
So nothing here blocks, and nothing relies on being alone: whoever finds the slot taken waits and tries again.
A trigger raises nothing: on an error that needs a person it wakes the task, which meets the same error and
reports it properly.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timezone
from typing import Any, Protocol, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from trempy_provider.errors import RetryPolicy, TrempyError

LOWEST_MINIMUM_SECONDS = 3.0  # a deferral that ends sooner may meet its own task's late report
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 30.0


class Closable(Protocol):
    """A connection that a trigger holds."""

    def close(self) -> None:
        """Close it."""


Opened = TypeVar("Opened", bound=Closable | None)


class LeaseTrigger(BaseTrigger):
    """Wait until there is work for a lease, or until the lease ends.

    :param task_name: the replication task
    :param ends_at: when the lease ends, in ISO format with a time zone
    :param progress: what the lease has done so far; comes back in the event
    :param minimum_seconds: how long to wait at least before the first event
    :param interval_seconds: how often to look where nothing announces itself
    """

    def __init__(
        self,
        *,
        task_name: str,
        ends_at: str,
        progress: dict[str, Any] | None = None,
        minimum_seconds: float = 5.0,
        interval_seconds: float = 10.0,
        **names: str,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.task_name = task_name
        self.ends_at = ends_at
        self.progress = progress or {}
        self.minimum_seconds = max(minimum_seconds, LOWEST_MINIMUM_SECONDS)
        self.interval_seconds = interval_seconds
        self.names = names

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments: names and ids, never a secret."""
        arguments = {
            "task_name": self.task_name,
            "ends_at": self.ends_at,
            "progress": self.progress,
            "minimum_seconds": self.minimum_seconds,
            "interval_seconds": self.interval_seconds,
            **self.names,
        }
        return f"{type(self).__module__}.{type(self).__name__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: `reason` is work, deadline or error."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        reason = await self._wait()
        await asyncio.sleep(max(started_at + self.minimum_seconds - loop.time(), 0.0))
        yield TriggerEvent({"reason": reason, "progress": self.progress})

    @abstractmethod
    async def wait_for_work(self) -> None:
        """Return when there is work; raise TrempyError when waiting is not possible now."""

    async def _wait(self) -> str:
        try:
            return await asyncio.wait_for(self._wait_with_backoff(), self._remaining_seconds())
        except asyncio.TimeoutError:
            return "deadline"

    async def _wait_with_backoff(self) -> str:
        pause_seconds = FIRST_BACKOFF_SECONDS
        while True:
            try:
                await self.wait_for_work()
            except TrempyError as error:
                if error.policy is RetryPolicy.AFTER_FIX:
                    self.log.exception("The task is woken to report it: %s", error.hint)
                    return "error"
                self.log.warning("%s; trying again in %g s", error, pause_seconds)
            else:
                return "work"
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LONGEST_BACKOFF_SECONDS)

    def _remaining_seconds(self) -> float:
        ends_at = datetime.fromisoformat(self.ends_at)
        return max((ends_at - datetime.now(timezone.utc)).total_seconds(), 0.0)


async def wait_until_readable(file_descriptor: int, *, timeout_seconds: float) -> None:
    """Return when a socket can be read, or after the timeout."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(file_descriptor, readable.set)
    try:
        await asyncio.wait_for(readable.wait(), timeout_seconds)
    except asyncio.TimeoutError:
        pass
    finally:
        loop.remove_reader(file_descriptor)


async def open_in_thread(open_connection: Callable[[], Opened]) -> Opened:
    """Open a connection in a thread; one that comes too late, after a cancellation, is closed at once."""
    opening = asyncio.ensure_future(asyncio.to_thread(open_connection))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise


def _close_late(opening: asyncio.Future[Any]) -> None:
    if not opening.cancelled() and opening.exception() is None and opening.result() is not None:
        opening.get_loop().run_in_executor(None, opening.result().close)

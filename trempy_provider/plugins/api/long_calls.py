"""Calls that take long, such as asking a language model: a few at once, in threads of their own.

The event loop goes on meanwhile, and no other request waits for one of its threads.
A call is told when nobody waits for it any more: its viewer has left, or its time is over.
Its place is free when it has really ended, so that calls that hang cannot pile up.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastapi import HTTPException, Request, status

T = TypeVar("T")
IsUnwanted = Callable[[], bool]
LongCall = Callable[[IsUnwanted], T]
_CLIENT_CLOSED_REQUEST = 499  # nobody reads it; nginx's number for it


class LongCalls:
    """Runs at most `workers` calls at once, each for at most `seconds`."""

    def __init__(self, *, workers: int = 4, seconds: float = 150.0) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="trempy-assistant")
        self._places = threading.BoundedSemaphore(workers)
        self._seconds = seconds

    async def run(self, request: Request, call: LongCall[T]) -> T:
        """Return what the call returns; raise what it raises, and HTTPException when it cannot be waited for.

        503: all places are taken. 504: its time is over.
        """
        if not self._places.acquire(blocking=False):
            raise HTTPException(
                status.HTTP_503_SERVICE_UNAVAILABLE,
                "the assistant is busy with the drafts of others: try again in a minute",
                headers={"Retry-After": "30"},
            )
        unwanted = threading.Event()
        future = self._pool.submit(call, unwanted.is_set)
        future.add_done_callback(lambda _: self._places.release())
        answer = asyncio.wrap_future(future)
        left = asyncio.ensure_future(_wait_for_disconnect(request.receive))
        try:
            either: set[asyncio.Future[Any]] = {answer, left}
            await asyncio.wait(either, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if left.done():
                raise HTTPException(_CLIENT_CLOSED_REQUEST, "the viewer has left")
            raise HTTPException(
                status.HTTP_504_GATEWAY_TIMEOUT, f"not done within {self._seconds:g} s: it was given up"
            )
        finally:
            unwanted.set()
            left.cancel()
            answer.cancel()


async def _wait_for_disconnect(receive: Callable[[], Awaitable[Any]]) -> None:
    """Wait until the viewer has left; the request's body has been read before."""
    while (await receive())["type"] != "http.disconnect":
        pass

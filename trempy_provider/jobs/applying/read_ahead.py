"""Take deliveries apart while the one before them is applied.

Applying waits for the target most of the time; a thread uses that time to decode what the broker has handed
out already, so that the target need not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread

from trempy_provider.broker.base import Consumer, Delivery
from trempy_provider.errors import TrempyError
from trempy_provider.jobs.applying.batches import ReadBatch

_Ready = tuple[Delivery, ReadBatch | None] | Exception
_GET_SECONDS = 0.2
_STOP_SECONDS = 10.0


class ReadAhead:
    """Deliveries of a consumer in order, each with what was read of it.

    None is read of a message that cannot be: who applies it finds out why.
    """

    def __init__(self, consumer: Consumer, read: Callable[[bytes], ReadBatch]) -> None:
        self._consumer = consumer
        self._read = read
        self._ready: Queue[_Ready] = Queue(maxsize=1)  # one waits taken apart, the others as they came
        self._is_closed = Event()
        self._thread = Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def get(self, *, timeout_seconds: float) -> tuple[Delivery, ReadBatch | None] | None:
        """Return the next delivery, None when none came in time; raise what the consumer raised."""
        try:
            ready = self._ready.get(timeout=timeout_seconds)
        except Empty:
            return None
        if isinstance(ready, Exception):
            raise ready
        return ready

    def close(self) -> None:
        """End the thread; what was not handed out stays with the consumer, which gives it back."""
        self._is_closed.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        """Read until closed."""
        try:
            while not self._is_closed.is_set():
                delivery = self._consumer.get(timeout_seconds=_GET_SECONDS)
                if delivery is not None:
                    self._hand_over((delivery, self._take_apart(delivery)))
        except Exception as error:  # noqa: BLE001  # raised by `get`, in the thread that applies
            self._hand_over(error)

    def _hand_over(self, ready: _Ready) -> None:
        """Wait until somebody takes it, or nobody will."""
        while not self._is_closed.is_set():
            with suppress(Full):
                self._ready.put(ready, timeout=_GET_SECONDS)
                return

    def _take_apart(self, delivery: Delivery) -> ReadBatch | None:
        try:
            return self._read(delivery.body)
        except TrempyError:
            return None

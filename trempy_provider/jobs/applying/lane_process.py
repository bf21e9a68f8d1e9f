"""A lane of apply, in a process of its own: what apply does, with a pipe in place of the task's queue.

It ends with the process that has started it, however that ends: then the pipe does.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections import deque
from contextlib import closing
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from trempy_provider.apply_modes.error_limit import raise_at_error_limit
from trempy_provider.broker.base import Delivery
from trempy_provider.errors import StoppedError
from trempy_provider.jobs.applying.deliveries import DeliveryApplier
from trempy_provider.jobs.applying.lane_messages import Answer, Done, Failed, LaneStart, Request, portable
from trempy_provider.jobs.applying.letters import named_for_lane
from trempy_provider.jobs.applying.read_ahead import ReadAhead
from trempy_provider.jobs.applying.report import ApplyReport
from trempy_provider.jobs.backoff import Backoff
from trempy_provider.jobs.cancelling import cancelling
from trempy_provider.jobs.heap import give_back_large_blocks
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.postgres.checkpoints import read_checkpoint
from trempy_provider.postgres.session import Endpoint

_GET_SECONDS = 0.5


def main(handle: int) -> None:
    """Apply what comes through the pipe with this file descriptor, until it says enough."""
    for number in (signal.SIGINT, signal.SIGTERM):  # who has started this process hears them, too
        signal.signal(number, signal.SIG_IGN)
    give_back_large_blocks()
    pipe = _Pipe(Connection(handle))
    start: LaneStart = pipe.receive()
    logging.basicConfig(level=start.log_level, handlers=[_Forwarding(pipe)])
    stop = StopSignal()
    try:
        _apply(start, _Inbox(pipe, start.lane, stop), pipe, stop)
    except StoppedError:
        pass
    except Exception as error:  # noqa: BLE001  # raised by apply
        pipe.send(Failed(portable(error, lane=start.lane)))


def _apply(start: LaneStart, inbox: _Inbox, pipe: _Pipe, stop: StopSignal) -> None:
    task, report = start.task, ApplyReport()
    backoff = Backoff(lease=start.lease, stop=stop)
    target = Endpoint(lambda: start.target, task_name=task.task_name, role="target")
    with target.connect(f"apply_lane_{start.lane}") as session, cancelling(session, stop):
        session.lane = start.lane
        report.end_lsn = read_checkpoint(session, task.task_name).end_lsn
        deliveries = DeliveryApplier(
            session, task, broker=start.broker, report=report, backoff=backoff, stop=stop
        )
        deliveries.take_back_dead_letters()
        with closing(ReadAhead(inbox, deliveries.batches.read)) as ahead:
            while not stop.is_set():
                taken = ahead.get(timeout_seconds=_GET_SECONDS)
                if taken is None:
                    continue
                error_count = report.error_count
                error = deliveries.apply(*taken)
                pipe.send(Done(taken[0].tag, report))
                if error is not None:
                    raise error
                backoff.succeeded()
                if report.error_count > error_count:
                    raise_at_error_limit(session, task)


class _Pipe:
    """The connection with apply; several threads send."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def receive(self) -> Any:
        """Return what comes next; raise EOFError when nobody is at the other end any more."""
        return self._connection.recv()

    def send(self, answer: Answer) -> None:
        """Send an answer; one that nobody waits for is lost."""
        with self._lock:
            try:
                self._connection.send(answer)
            except BrokenPipeError:
                return


class _Inbox:
    """The messages that apply hands to a lane; see `broker.base.Consumer`.

    All that have come are taken out of the pipe at once, so that apply never waits for a lane.
    """

    def __init__(self, pipe: _Pipe, lane: int, stop: StopSignal) -> None:
        self._pipe = pipe
        self._lane = lane
        self._stop = stop
        self._waiting: deque[Delivery] = deque()
        self._changed = threading.Condition()
        self._is_over = False
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def get(self, *, timeout_seconds: float) -> Delivery | None:
        """Return the next delivery, None when none came in time; raise StoppedError when none will."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over, timeout_seconds)
            if self._waiting:
                return named_for_lane(self._waiting.popleft(), self._lane)
            if self._is_over:
                raise StoppedError("the lane was asked to end")
            return None

    def ack(self, delivery: Delivery) -> None:
        """Do nothing: what is done is told with a report."""

    def close(self) -> None:
        """Do nothing: the pipe ends with the process."""

    def _read(self) -> None:
        while not self._is_over:
            try:
                received: Delivery | Request = self._pipe.receive()
            except (EOFError, OSError):
                received = Request.STOP
            if received is Request.STOP:
                self._stop.set("apply has ended")
            with self._changed:
                if isinstance(received, Request):
                    self._is_over = True
                else:
                    self._waiting.append(received)
                self._changed.notify_all()


class _Forwarding(QueueHandler):
    """Let the process that has started this one log what is logged here."""

    def __init__(self, pipe: _Pipe) -> None:
        super().__init__(SimpleQueue())
        self._pipe = pipe

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a record whose message is made."""
        self._pipe.send(record)


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""The lanes of apply as processes: every message goes to all, and is settled when all have settled it.

Each lane applies what its tables have of a message, in a transaction of its own with a checkpoint of its own:
what guarantees exactly one effect holds in each lane, and nothing holds between them.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pickle import dumps

from trempy_provider.broker.base import Broker, Consumer, Delivery
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import LaneError, TrempyError
from trempy_provider.jobs.applying.lane_messages import Answer, Done, Failed, LaneStart, Request
from trempy_provider.jobs.applying.report import ApplyReport
from trempy_provider.jobs.lease import Lease, StopSignal
from trempy_provider.postgres.session import Endpoint

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 30.0  # with lanes that are asked to end after what they have, then at once
MODULE = "trempy_provider.jobs.applying.lane_process"


def lane_command(handle: int) -> list[str]:
    """Return what starts a lane that talks through a file descriptor."""
    return [sys.executable, "-m", MODULE, str(handle)]


class _Lane:
    """One process, and the pipe to it."""

    def __init__(self, start: LaneStart) -> None:
        self.number = start.lane
        self.report = ApplyReport()
        self.has_failed = False
        self.connection, far_end = Pipe()
        try:
            self.process = subprocess.Popen(  # noqa: S603  # our own program
                lane_command(far_end.fileno()), stdin=subprocess.DEVNULL, pass_fds=[far_end.fileno()]
            )
        finally:
            far_end.close()
        with suppress(BrokenPipeError):  # it has died: the reader of its answers says so
            self.connection.send(start)

    def send(self, message: bytes) -> None:
        """Send what was pickled; a process that has died says so at the other end."""
        with suppress(BrokenPipeError):
            self.connection.send_bytes(message)


@dataclass(slots=True)
class _InFlight:
    delivery: Delivery
    waits_for: set[int]


class Lanes:
    """The processes of a lease of apply, what they have been given, and what they have done."""

    def __init__(
        self,
        task: ReplicationTask,
        *,
        target: Endpoint,
        broker: Broker,
        consumer: Consumer,
        report: ApplyReport,
        lease: Lease,
        stop: StopSignal,
        count: int,
    ) -> None:
        self._consumer = consumer
        self._report = report
        self._before = replace(report, paths=report.paths.copy())
        self._stop = stop
        self._in_flight: deque[_InFlight] = deque()
        self._changed = threading.Condition()
        self._done_count = 0
        self._error: TrempyError | None = None
        level = logging.getLogger("trempy_provider").getEffectiveLevel()
        parameters = target.parameters()
        self._lanes = [
            _Lane(LaneStart(task, number, parameters, broker, lease, level)) for number in range(count)
        ]
        self._reader = threading.Thread(target=self._read, name="lanes", daemon=True)
        self._reader.start()

    def give(self, delivery: Delivery) -> None:
        """Hand a message to all lanes; raise the error with which one has ended."""
        self.raise_error()
        with self._changed:
            self._in_flight.append(_InFlight(delivery, {lane.number for lane in self._lanes}))
        message = dumps(replace(delivery, headers=dict(delivery.headers)))
        for lane in self._lanes:
            lane.send(message)

    @property
    def in_flight_count(self) -> int:
        """The number of messages that some lane has not settled."""
        return len(self._in_flight)

    @property
    def done_count(self) -> int:
        """The number of messages that all lanes have settled."""
        return self._done_count

    def raise_error(self) -> None:
        """Raise the error with which a lane has ended, if one has."""
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait until all lanes have settled what they have, so that they are at one LSN; not after a stop."""
        with self._changed:
            while self._in_flight and self._error is None and not self._stop.is_set():
                self._changed.wait(_LOOK_SECONDS)
        self.raise_error()

    def close(self) -> None:
        """Let the processes end: in good order, else at once, else by force."""
        if self._stop.is_set() or not self._end(Request.END):
            self._end(Request.STOP)
        for lane in self._lanes:
            if lane.process.poll() is None:
                logger.warning("lane %s does not end and is killed", lane.number)
                lane.process.kill()
            lane.process.wait()
        self._reader.join()
        for lane in self._lanes:
            lane.connection.close()

    def _end(self, request: Request) -> bool:
        """Ask the lanes to end, and return whether they have."""
        for lane in self._lanes:
            lane.send(dumps(request))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(lane.process.poll() is None for lane in self._lanes):
            is_asked = self._stop.is_set() and request is Request.END
            if is_asked or time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS / 10)
        return True

    def _read(self) -> None:
        """Take note of all that the lanes say, until the last one has ended."""
        open_lanes = {lane.connection: lane for lane in self._lanes}
        while open_lanes:
            for connection in wait(list(open_lanes)):
                assert isinstance(connection, Connection)
                lane = open_lanes[connection]
                try:
                    answer: Answer = connection.recv()
                except (EOFError, OSError):
                    del open_lanes[connection]
                    self._note_end(lane)
                    continue
                self._note(lane, answer)

    def _note(self, lane: _Lane, answer: Answer) -> None:
        match answer:
            case Done():
                lane.report = answer.report
                self._settle(lane.number)
            case Failed():
                lane.has_failed = True
                self._fail(answer.error)
            case logging.LogRecord():
                its_logger = logging.getLogger(answer.name)
                if its_logger.isEnabledFor(answer.levelno):
                    its_logger.handle(answer)

    def _note_end(self, lane: _Lane) -> None:
        code = lane.process.wait()
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        if code and not lane.has_failed:
            self._fail(LaneError(f"lane {lane.number} of apply has ended without a word, {how}"))

    def _settle(self, number: int) -> None:
        """Note that a lane has settled the first message it still had; acknowledge those that all have."""
        try:
            with self._changed:
                next(entry for entry in self._in_flight if number in entry.waits_for).waits_for.remove(number)
                self._sum_up()
                while self._in_flight and not self._in_flight[0].waits_for:
                    self._consumer.ack(self._in_flight[0].delivery)
                    self._in_flight.popleft()
                    self._done_count += 1
                self._changed.notify_all()
        except TrempyError as error:
            self._fail(error)

    def _fail(self, error: TrempyError) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def _sum_up(self) -> None:
        """Bring the report up to date: changes add up, of transactions every lane tells the same."""
        report, before, reports = self._report, self._before, [lane.report for lane in self._lanes]
        for name in ("change_count", "error_count", "dead_letter_count"):
            setattr(report, name, getattr(before, name) + sum(getattr(entry, name) for entry in reports))
        for name in (
            "batch_count",
            "transaction_count",
            "skipped_batch_count",
            "skipped_transaction_count",
        ):
            setattr(report, name, getattr(before, name) + max(getattr(entry, name) for entry in reports))
        report.paths = sum((entry.paths for entry in reports), Counter(before.paths))
        report.end_lsn = max(before.end_lsn, min(entry.end_lsn for entry in reports))
        lags = [entry.lag_seconds for entry in reports if entry.lag_seconds is not None]
        report.lag_seconds = max(lags, default=None)

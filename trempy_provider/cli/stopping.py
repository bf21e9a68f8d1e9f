"""How a command is stopped: by a signal, or by the end of the process that started it.

A thread of its own reads the signals, since the main thread may be waiting inside a driver.
It asks the job to stop; a job that does not within the grace ends with the process, as if killed, which every
job is made for.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from trempy_provider.cli.errors import FAILED, error_line
from trempy_provider.errors import StoppedError
from trempy_provider.jobs.lease import StopSignal

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GRACE_SECONDS = 1.4
# `run` waits for the grace of its two halves.
RUN_GRACE_SECONDS = 2.5
_END = b"\0"


@contextmanager
def stopping(arguments: Namespace) -> Iterator[StopSignal]:
    """Give the block a signal that SIGTERM, SIGINT and SIGHUP set, once installed until its end."""
    stop = StopSignal()
    grace_seconds = RUN_GRACE_SECONDS if arguments.command == "run" else GRACE_SECONDS
    watch = _Watch(stop, grace_seconds=grace_seconds)
    handlers = {number: signal.signal(number, _received) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(watch.writer, warn_on_full_buffer=False)
    watch.start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        watch.end()


def watch_parent(stop: StopSignal) -> None:
    """Stop, or end the process, once standard input is closed: its other end is held by the parent."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        stop.set("the process that started it has ended")
        threading.Event().wait(GRACE_SECONDS)
        os._exit(FAILED)

    threading.Thread(target=watch, name="trempy-parent", daemon=True).start()


class _Watch:
    """The thread that reads the numbers of signals from Python's wake-up file descriptor."""

    def __init__(self, stop: StopSignal, *, grace_seconds: float) -> None:
        self._stop = stop
        self._grace_seconds = grace_seconds
        self._ended = threading.Event()
        self._reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        self._thread = threading.Thread(target=self._watch, name="trempy-signals", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        os.write(self.writer, _END)
        self._thread.join()
        os.close(self._reader)
        os.close(self.writer)

    def _watch(self) -> None:
        while not self._ended.is_set():
            received = os.read(self._reader, 1)
            if received != _END and received[0] in SIGNALS:
                self._stop.set(f"{signal.Signals(received[0]).name} received")
                if not self._ended.wait(self._grace_seconds):
                    _give_up(self._stop)


def _received(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the number is in the wake-up file descriptor already."""


def _give_up(stop: StopSignal) -> NoReturn:
    os.write(sys.stderr.fileno(), f"{error_line(StoppedError(f'stopped: {stop.reason}'))}\n".encode())
    os._exit(FAILED)

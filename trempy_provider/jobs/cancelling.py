"""Stopping a job that waits for a statement."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trempy_provider.errors import TrempyError
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.postgres.session import Session

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25


@contextmanager
def cancelling(session: Session, stop: StopSignal) -> Iterator[None]:
    """Cancel the session's statements while the block runs, once a stop is asked for."""
    done = threading.Event()
    watcher = threading.Thread(target=_cancel_when_stopped, args=(session, stop, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


@contextmanager
def stoppable(session: Session, stop: StopSignal) -> Iterator[None]:
    """Cancel like `cancelling`; what the block raises after a stop becomes StoppedError."""
    with cancelling(session, stop):
        try:
            yield
        except TrempyError:
            stop.raise_if_set()
            raise


def _cancel_when_stopped(session: Session, stop: StopSignal, done: threading.Event) -> None:
    while not done.wait(_LOOK_SECONDS):
        if stop.is_set():
            try:
                session.cancel()
            except TrempyError as error:
                logger.debug("the statement could not be cancelled: %s", error)

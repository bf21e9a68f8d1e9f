"""Waiting out what mends by itself: lost connections, a slot that is still in use, a server that restarts."""

from __future__ import annotations

import logging
import time

from trempy_provider.errors import RetryPolicy, TrempyError
from trempy_provider.jobs.lease import Lease, StopSignal

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 15.0
PATIENCE_SECONDS = 300.0
PROVEN_SECONDS = 30.0


class Backoff:
    """Pauses that double from failure to failure, up to a limit, as long as patience lasts."""

    def __init__(self, *, lease: Lease, stop: StopSignal, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._lease = lease
        self._stop = stop
        self._patience_seconds = patience_seconds
        self._failing_since: float | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._resumed_at = time.monotonic()

    def succeeded(self) -> None:
        """Note that the job has done some of its work."""
        self._failing_since = None
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def going_on(self) -> None:
        """Note that the job runs, with nothing to do so far; for a while that is no success yet."""
        if time.monotonic() - self._resumed_at >= PROVEN_SECONDS:
            self.succeeded()

    def wait(self, error: TrempyError) -> None:
        """Pause after a failure.

        Raise the error when it needs a person, when it has lasted too long, or when the lease ends first.
        """
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if error.policy is RetryPolicy.AFTER_FIX or now - self._failing_since > self._patience_seconds:
            raise error
        if self._lease.reached(None) is not None:
            raise error
        logger.warning("%s; trying again in %.1f s", error, self._pause_seconds)
        self._stop.wait(self._lease.remaining_seconds(at_most=self._pause_seconds))
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        self._resumed_at = time.monotonic()

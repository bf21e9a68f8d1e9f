"""How long a job may run, and how it is asked to stop."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import Enum

from trempy_provider.errors import StoppedError
from trempy_provider.replication.lsn import Lsn


class EndReason(Enum):
    """Why a job that could go on for ever ended."""

    DEADLINE = "deadline"
    CAUGHT_UP = "caught_up"
    IDLE = "idle"
    STOPPED = "stopped"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Lease:
    """The bounds of one run of a job; a bound that is None does not apply."""

    deadline: float | None = None  # on time.monotonic()'s clock
    caught_up_lsn: Lsn | None = None
    idle_seconds: float | None = None

    @classmethod
    def lasting(
        cls, seconds: float | None, *, caught_up_lsn: Lsn | None = None, idle_seconds: float | None = None
    ) -> Lease:
        """Return a lease that starts now; None seconds is no deadline."""
        deadline = None if seconds is None else time.monotonic() + seconds
        return cls(deadline=deadline, caught_up_lsn=caught_up_lsn, idle_seconds=idle_seconds)

    def reached(self, position: Lsn | None, *, idle_for_seconds: float = 0.0) -> EndReason | None:
        """Tell which bound is reached, or None.

        `position` is the LSN before which the job has durably done everything; None when it has done nothing.
        """
        if self.caught_up_lsn is not None and position is not None and position >= self.caught_up_lsn:
            return EndReason.CAUGHT_UP
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return EndReason.DEADLINE
        if self.idle_seconds is not None and idle_for_seconds >= self.idle_seconds:
            return EndReason.IDLE
        return None

    def remaining_seconds(self, *, at_most: float) -> float:
        """Return the seconds until the deadline, between 0 and `at_most`."""
        if self.deadline is None:
            return at_most
        return min(max(self.deadline - time.monotonic(), 0.0), at_most)


class StopSignal:
    """A request to stop, set by one thread (or a signal handler) and seen by all others."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason = ""

    @property
    def reason(self) -> str:
        """Who asked, in words; empty while nobody has."""
        return self._reason

    def set(self, reason: str = "stop requested") -> None:
        """Ask to stop; the first reason is kept."""
        if not self._event.is_set():
            self._reason = reason
            self._event.set()

    def is_set(self) -> bool:
        """Tell whether a stop was asked for."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for a request, at most `seconds`; return whether there is one."""
        return self._event.wait(seconds)

    def raise_if_set(self) -> None:
        """Raise StoppedError when a stop was asked for."""
        if self._event.is_set():
            raise StoppedError(f"stopped: {self._reason}")

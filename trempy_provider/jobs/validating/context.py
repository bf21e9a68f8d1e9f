"""What all tables of one validation have in common."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.postgres.session import Endpoint


@dataclass(slots=True)
class Throttle:
    """A limit of rows a second, kept by pauses between ranges; None is no limit."""

    rows_per_second: int | None
    stop: StopSignal
    _began_at: float = field(default_factory=time.monotonic)

    def spend(self, row_count: int) -> None:
        """Pause until so many rows are within the limit; what was not used before is not saved up."""
        now = time.monotonic()
        if self.rows_per_second is not None:
            self.stop.wait(self._began_at + row_count / self.rows_per_second - now)
        self._began_at = time.monotonic()
        self.stop.raise_if_set()


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """The open things of a validation, and how it is to be done."""

    task: ReplicationTask
    source: Endpoint
    target: Endpoint
    stop: StopSignal
    throttle: Throttle
    repairs: bool
    patience_seconds: float  # how long apply may take to come to what is compared

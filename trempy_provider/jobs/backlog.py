"""Whether apply keeps up, as capture sees it.

A batch costs apply a transaction of the target and a round of statements, however small it is.
So capture publishes at once while apply keeps up, and lets batches grow while it does not: the latency stays
low on a quiet source, and the throughput rises with the backlog.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from trempy_provider.replication.lsn import NO_LSN, Lsn

LOOK_INTERVAL_SECONDS = 0.1


class Backlog:
    """Compare what was published at the last look with the checkpoint; look ten times a second at most."""

    def __init__(self, read_applied_lsn: Callable[[], Lsn]) -> None:
        self._read_applied_lsn = read_applied_lsn
        self._published_lsn = self._lsn_at_last_look = NO_LSN
        self._looked_at = time.monotonic()
        self._is_behind = False

    def note_published(self, end_lsn: Lsn) -> None:
        """Note where the last batch published ends."""
        self._published_lsn = end_lsn

    def is_behind(self) -> bool:
        """Tell whether what was published at the last look had not been applied by this one."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_INTERVAL_SECONDS:
            self._is_behind = self._read_applied_lsn() < self._lsn_at_last_look
            self._lsn_at_last_look, self._looked_at = self._published_lsn, now
        return self._is_behind

"""The batches applied last, noted every few seconds: never in the transactions that apply them."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime, timezone

from trempy_provider.jobs.applying.report import ApplyReport
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.statistics import AppliedBatch, record_batches

INTERVAL_SECONDS = 10.0
NOTED_AT_ONCE = 100


class BatchLog:
    """Remembers what batches brought, and writes it down when that is due; only the last of many."""

    def __init__(self, session: Session, task_name: str, *, report: ApplyReport) -> None:
        self._session = session
        self._task_name = task_name
        self._report = report
        self._batches: deque[AppliedBatch] = deque(maxlen=NOTED_AT_ONCE)
        self._counted = (report.transaction_count, report.change_count)
        self._written_at = time.monotonic()

    def note(self, *, seconds: float) -> None:
        """Take note of what was applied since the last call, in so many seconds; of nothing, take none."""
        counts = (self._report.transaction_count, self._report.change_count)
        transactions, changes = (now - before for now, before in zip(counts, self._counted, strict=True))
        self._counted = counts
        if transactions:
            now = datetime.now(timezone.utc)
            self._batches.append(AppliedBatch(now, self._report.end_lsn, transactions, changes, seconds))

    def write_if_due(self) -> None:
        """Write down what has gathered, every few seconds."""
        if self._batches and time.monotonic() - self._written_at >= INTERVAL_SECONDS:
            self.write()

    def write(self) -> None:
        """Write down what has gathered."""
        if self._batches:
            record_batches(self._session, self._task_name, tuple(self._batches))
            self._batches.clear()
        self._written_at = time.monotonic()

"""What apply has done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from trempy_provider.replication.lsn import NO_LSN, Lsn


@dataclass(slots=True)
class ApplyReport:
    """What a lease of apply did."""

    end_reason: str = ""
    batch_count: int = 0
    transaction_count: int = 0
    change_count: int = 0
    error_count: int = 0
    skipped_batch_count: int = 0
    skipped_transaction_count: int = 0
    dead_letter_count: int = 0
    waiting_tables: tuple[str, ...] = ()
    end_lsn: Lsn = NO_LSN
    lag_seconds: float | None = None
    seconds: float = 0.0

    def note_commit(self, end_lsn: Lsn, committed_at: datetime) -> None:
        """Take note of how far apply is."""
        self.end_lsn = end_lsn
        self.lag_seconds = max((datetime.now(timezone.utc) - committed_at).total_seconds(), 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values; `lag_seconds` is that of the last batch, by commit time.

        `waiting_tables` are those that wait for a load at the end.
        """
        return {
            "end_reason": self.end_reason,
            "batch_count": self.batch_count,
            "transaction_count": self.transaction_count,
            "change_count": self.change_count,
            "error_count": self.error_count,
            "skipped_batch_count": self.skipped_batch_count,
            "skipped_transaction_count": self.skipped_transaction_count,
            "dead_letter_count": self.dead_letter_count,
            "waiting_tables": list(self.waiting_tables),
            "end_lsn": str(self.end_lsn),
            "lag_seconds": None if self.lag_seconds is None else round(self.lag_seconds, 3),
            "seconds": round(self.seconds, 3),
        }

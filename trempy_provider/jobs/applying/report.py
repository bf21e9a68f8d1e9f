"""What apply has done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.exact_reasons import ExactReason
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
    paths: Counter[tuple[QualifiedName, ExactReason | None]] = field(default_factory=Counter)

    def note_commit(self, end_lsn: Lsn, committed_at: datetime) -> None:
        """Take note of how far apply is."""
        self.end_lsn = end_lsn
        self.lag_seconds = max((datetime.now(timezone.utc) - committed_at).total_seconds(), 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values; `lag_seconds` is that of the last batch, by commit time.

        `waiting_tables` are those that wait for a load at the end.
        `paths` has an entry for each table: how many row changes went as arrays, how many one by one and why.
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
            "paths": [self._path_of(table) for table in sorted({table for table, _ in self.paths}, key=str)],
        }

    def _path_of(self, table: QualifiedName) -> dict[str, Any]:
        exact = {reason: n for (name, reason), n in self.paths.items() if name == table and reason}
        return {
            "table": str(table),
            "as_arrays": self.paths[table, None],
            "one_by_one": sum(exact.values()),
            "why_one_by_one": [f"{count:,}: {reason}" for reason, count in sorted(exact.items())],
        }

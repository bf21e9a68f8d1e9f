"""What a task's metadata tells of the past: row errors, settled dead letters, skipped transactions.

What somebody still has to decide about is never deleted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trempy_provider.postgres.session import Session, static_sql

ROWS_AT_A_TIME = 10_000
MOST_ROUNDS = 100  # a million rows; the next call goes on


@dataclass(frozen=True, slots=True)
class PrunedHistory:
    """How many rows were deleted."""

    apply_error_count: int
    dead_letter_count: int
    skipped_transaction_count: int

    def as_dict(self) -> dict[str, int]:
        """Return the counts as plain values."""
        return asdict(self)


def prune_history(session: Session, task_name: str, *, period_seconds: float) -> PrunedHistory:
    """Delete what is older than the period, in short transactions, and return how much that was."""
    return PrunedHistory(
        *(
            _prune(session, name, task_name, period_seconds)
            for name in ("prune_apply_errors", "prune_dead_letters", "prune_skipped_transactions")
        )
    )


def _prune(session: Session, name: str, task_name: str, period_seconds: float) -> int:
    parameters = {"task_name": task_name, "period_seconds": period_seconds, "row_count": ROWS_AT_A_TIME}
    total = 0
    for _ in range(MOST_ROUNDS):
        deleted = session.execute(static_sql(name), parameters)
        total += deleted
        if deleted < ROWS_AT_A_TIME:
            break
    return total

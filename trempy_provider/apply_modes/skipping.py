"""Leave out one transaction of the source, as `ALTER SUBSCRIPTION … SKIP (lsn = …)` does.

The LSN is that of the commit record, which PostgreSQL calls the finish LSN of the transaction.
It is forgotten in the transaction of the target in which the last of it is left out: changes of tables being
loaded are held and come once more, and so are those of a dead letter that was passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.replication.changes import Transaction
from trempy_provider.replication.lsn import Lsn

logger = logging.getLogger(__name__)


class Skip:
    """The transaction to leave out, within one transaction of the target that holds the checkpoint's lock."""

    def __init__(self, session: Session, task_name: str, commit_lsn: Lsn | None) -> None:
        self._session = session
        self._task_name = task_name
        self._commit_lsn = commit_lsn
        self.is_done = False  # something of it was left out

    @property
    def is_asked(self) -> bool:
        """Tell whether there is a transaction to leave out."""
        return self._commit_lsn is not None

    def leave_out(self, transactions: Iterable[Transaction]) -> list[Transaction]:
        """Return the transactions without the one to skip; that it was skipped is recorded."""
        wanted = []
        for transaction in transactions:
            if transaction.commit_lsn == self._commit_lsn:
                self._record(transaction)
            else:
                wanted.append(transaction)
        return wanted

    def settle(self) -> None:
        """Forget the transaction once nothing of it can come any more; call it after the checkpoint moved."""
        if self._commit_lsn is None:
            return
        lane = self._session.lane
        parameters = {"task_name": self._task_name, "lane": lane}
        query = "settle_skip" if lane is None else "settle_lane_skip"
        if self._session.fetch_value(static_sql(query), parameters) is None or lane is not None:
            return  # whether it came in another lane, this one does not know
        note = {**parameters, "commit_lsn": str(self._commit_lsn)}
        if self._session.execute(static_sql("note_missed_skip"), note):
            logger.warning(
                "task %s: no transaction with commit LSN %s has come to be skipped; it is forgotten",
                self._task_name,
                self._commit_lsn,
            )

    def _record(self, transaction: Transaction) -> None:
        self._session.execute(
            static_sql("note_skipped"),
            {
                "task_name": self._task_name,
                "commit_lsn": str(transaction.commit_lsn),
                "transaction_id": transaction.xid,
                "change_count": len(transaction.changes),
            },
        )
        if not self.is_done:
            self.is_done = True
            logger.warning(
                "task %s: transaction %s with commit LSN %s is skipped, as asked",
                self._task_name,
                transaction.xid,
                transaction.commit_lsn,
                extra={
                    "replication_task": self._task_name,
                    "transaction_id": transaction.xid,
                    "commit_lsn": str(transaction.commit_lsn),
                },
            )

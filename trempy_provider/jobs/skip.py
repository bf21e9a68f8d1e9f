"""Skip: let apply leave out one transaction of the source, as `ALTER SUBSCRIPTION … SKIP (lsn = …)` does.

The transaction is named by its commit LSN, which PostgreSQL calls its finish LSN; the error that stops a task
names it.
All of its changes are left out, in every table, and then the request is forgotten, in the same transaction of
the target: exactly that transaction is skipped, once.
A transaction that has been applied cannot be skipped; when one after it is applied and none had this LSN, the
request is forgotten, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, ProtocolError
from trempy_provider.postgres.checkpoints import lock_checkpoint
from trempy_provider.postgres.session import Endpoint, static_sql
from trempy_provider.replication.lsn import Lsn


@dataclass(frozen=True, slots=True)
class SkipReport:
    """Which transaction will be skipped, and which one would have been before."""

    skip_lsn: Lsn | None
    former_skip_lsn: Lsn | None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "skip_lsn": None if self.skip_lsn is None else str(self.skip_lsn),
            "former_skip_lsn": None if self.former_skip_lsn is None else str(self.former_skip_lsn),
        }


def skip(task: ReplicationTask, *, target: Endpoint, lsn: str | None) -> SkipReport:
    """Ask for the transaction with this commit LSN to be skipped, None for none.

    Raise ConfigurationError when it is no LSN, or that of something applied.
    """
    commit_lsn = None if lsn is None else _parse(lsn)
    parameters = {"task_name": task.task_name, "commit_lsn": None if lsn is None else str(commit_lsn)}
    with target.connect("skip") as session, session.transaction():
        checkpoint = lock_checkpoint(session, task.task_name)
        if commit_lsn is not None and not session.fetch_value(static_sql("may_be_skipped"), parameters):
            raise ConfigurationError(
                f"task {task.task_name} is applied up to {checkpoint.end_lsn}: no transaction with "
                f"commit LSN {commit_lsn} can be skipped any more",
                hint="Take the commit LSN from the error that stopped the task; `trempy status` shows it.",
            )
        session.execute(static_sql("set_skip"), parameters)
    return SkipReport(commit_lsn, checkpoint.skip_lsn)


def _parse(text: str) -> Lsn:
    try:
        return Lsn.parse(text)
    except ProtocolError as error:
        raise ConfigurationError(str(error), hint="An LSN looks like 16/B374D848.") from error

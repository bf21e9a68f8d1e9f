"""Rows that cannot be written: which errors are theirs, what the task's policy says, and their record.

An error is a row's own when it comes from its values or from what the target holds under its key.
Anything else (a lock, a full disk, a right, a missing table) would fail for every row: it is never recorded
here, it ends the attempt and names the table.

The record holds the key and the server's words; errors and logs hold neither.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from psycopg2 import sql

from trempy_provider.apply_modes.modes import ApplyMode
from trempy_provider.apply_modes.projection import Projection
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import (
    ApplyError,
    RetryPolicy,
    TargetPermissionError,
    TargetSchemaError,
)
from trempy_provider.postgres.literals import statement_shape
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.postgres.translation import TargetStatementError
from trempy_provider.replication.changes import Change
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import UNCHANGED, Value

logger = logging.getLogger(__name__)

# By SQLSTATE: no data, cardinality, data exception, constraint, triggered data change, check option of a
# view, PL/pgSQL, program limit exceeded (a value too long for an index, nested too deeply).
_ROW_ERROR_CLASSES = ("02", "21", "22", "23", "27", "44", "P0", "54")
_NO_DATA = "02000"
CHANGED_SINCE = "TR001"  # ours: no class of PostgreSQL or of the standard begins with T
_MOST_REPORTED = 1000  # rows that have changed since, for each table of a replay
_NO_STATEMENT = "none was executed"


class RowErrors:
    """Decide about the rows of one target transaction that fail, and count those recorded by table."""

    def __init__(
        self,
        session: Session,
        task: ReplicationTask,
        *,
        mode: ApplyMode,
        recorded_as: QualifiedName | None = None,
    ) -> None:
        self._session = session
        self._task = task
        self._mode = mode
        self._recorded_as = recorded_as
        self.counts: Counter[int] = Counter()
        self._reported: Counter[int] = Counter()

    def begin(self) -> None:
        """Note that a new transaction starts."""
        self.counts.clear()
        self._reported.clear()

    def settle(
        self,
        projection: Projection,
        change: Change,
        error: TargetStatementError,
        *,
        statement: sql.Composed | None,
    ) -> None:
        """Record the row, or raise ApplyError when the policy says stop."""
        if self._mode.stops_at(change.operation, self._task.error_handling):
            # Its cause is left out: tracebacks are logged, and the driver's has the row.
            option = self._mode.stop_options[change.operation]
            raise _stopping(self._table(projection), change, error, option) from None
        if not self.counts[projection.source_oid]:
            self._log(projection, change, error)
        self.counts[projection.source_oid] += 1
        self._record(projection, change, error, statement)

    def report_change_since(self, projection: Projection, change: Change) -> None:
        """Record a row that is not written because something newer is there; it is no error that counts."""
        self._reported[projection.source_oid] += 1
        if self._reported[projection.source_oid] <= _MOST_REPORTED:
            self._record(projection, change, changed_since(), None)

    def _log(self, projection: Projection, change: Change, error: TargetStatementError) -> None:
        """Log the first row of a table in a target transaction: a batch may have thousands."""
        logger.warning(
            "task %s: rows of %s cannot be written and are recorded in trempy.apply_errors, the first one by "
            "%s in transaction %s (SQLSTATE %s)",
            self._task.task_name,
            self._table(projection),
            change.operation.value,
            change.begin.xid,
            error.sqlstate,
            extra={
                "replication_task": self._task.task_name,
                "transaction_id": change.begin.xid,
                "commit_lsn": str(change.begin.commit_lsn),
            },
        )

    def _record(
        self,
        projection: Projection,
        change: Change,
        error: TargetStatementError,
        statement: sql.Composed | None,
    ) -> None:
        self._session.execute(
            static_sql("insert_apply_error"), self._parameters(projection, change, error, statement)
        )

    def _parameters(
        self,
        projection: Projection,
        change: Change,
        error: TargetStatementError,
        statement: sql.Composed | None,
    ) -> dict[str, object]:
        table = self._table(projection)
        return {
            "task_name": self._task.task_name,
            "source_oid": projection.source_oid,
            "target_schema": table.schema_name,
            "target_table": table.table_name,
            "operation": change.operation.value,
            "key_values": self._key_json(projection, change),
            "sqlstate": error.sqlstate,
            "message": error.server_message,
            "summary": str(error),
            "statement": _NO_STATEMENT if statement is None else statement_shape(statement),
            "transaction_id": change.begin.xid,
            "commit_lsn": str(change.begin.commit_lsn),
            "change_index": change.index,
        }

    def _key_json(self, projection: Projection, change: Change) -> str | None:
        """Return the key's column names and values as JSON, None for a table without a key.

        The key may hold what the target's encoding lacks, and be the error's reason.
        """
        if not projection.key:
            return None
        values = change.key_before(projection.key_positions)
        pairs = zip(projection.key, values, strict=True)
        return json.dumps({column.name: self._text(value) for column, value in pairs})

    def _text(self, value: Value) -> str | None:
        if value is None or value is UNCHANGED:
            return None
        return self._session.representable(value.decode("utf-8", "replace").replace("\0", ""))

    def _table(self, projection: Projection) -> QualifiedName:
        return self._recorded_as or QualifiedName(*projection.target.strings)


def is_row_error(error: TargetStatementError) -> bool:
    """Tell whether an error belongs to a row, and not to the table, the session or the server."""
    if error.policy is RetryPolicy.BY_ITSELF:
        return False
    return error.is_raised or error.sqlstate.startswith(_ROW_ERROR_CLASSES)


def missing_rows(row_count: int) -> TargetStatementError:
    """Return the error of rows to update or delete that the target does not have."""
    return TargetStatementError(
        f"{row_count} row(s) to change were not found on the target (SQLSTATE {_NO_DATA})", sqlstate=_NO_DATA
    )


def refused_rows(row_count: int, reason: str) -> TargetStatementError:
    """Return the error of rows that a statement has found and that must not be."""
    return TargetStatementError(f"{row_count} {reason} (SQLSTATE {_NO_DATA})", sqlstate=_NO_DATA)


def changed_since() -> TargetStatementError:
    """Return the finding that a row of a dead letter has changed since."""
    return TargetStatementError(
        f"not replayed: the row has changed since (SQLSTATE {CHANGED_SINCE})", sqlstate=CHANGED_SINCE
    )


def skip_hint(commit_lsn: Lsn) -> str:
    """Say how to go on without a transaction."""
    return f"To go on without the whole transaction: `trempy skip SETTINGS.json --lsn {commit_lsn}`."


@contextmanager
def naming_table(name: str, *, first: Lsn, last: Lsn) -> Iterator[None]:
    """Add the table, and the commit LSNs of its first and last change, to an error that is no row's."""
    try:
        yield
    except (TargetStatementError, TargetPermissionError, TargetSchemaError) as error:
        span = f"commit LSN {first}" if first == last else f"commit LSNs {first} to {last}"
        error.args = (f"table {name}, {span}: {error}",)
        raise


def naming_table_of(name: str, changes: Sequence[Change]) -> AbstractContextManager[None]:
    """Do so for some changes in order."""
    return naming_table(name, first=changes[0].begin.commit_lsn, last=changes[-1].begin.commit_lsn)


def _stopping(table: QualifiedName, change: Change, error: TargetStatementError, option: str) -> ApplyError:
    return ApplyError(
        f"{change.operation.value} on {table} failed in transaction {change.begin.xid} "
        f"(commit LSN {change.begin.commit_lsn}): {error}",
        hint=f"Mend the row or the table, or set error_handling.{option} to false to record such rows and "
        f"go on. {skip_hint(change.begin.commit_lsn)}",
    )

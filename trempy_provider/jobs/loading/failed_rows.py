"""The record of rows that a full load leaves out, in the transaction that writes the others."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping

from trempy_provider.apply_modes.applied_counts import AppliedCounts
from trempy_provider.apply_modes.modes import APPLY_MODES
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.translation import SourceStatementError, TargetStatementError
from trempy_provider.replication.changes import Operation
from trempy_provider.replication.lsn import Lsn

logger = logging.getLogger(__name__)

RowError = SourceStatementError | TargetStatementError


def leaves_out_rows(task: ReplicationTask) -> bool:
    """Tell whether a row that cannot be loaded is recorded, as one that cannot be inserted; or stops."""
    return not APPLY_MODES[task.cdc.mode].stops_at(Operation.INSERT, task.error_handling)


class FailedRows:
    """The rows of one table that one transaction of the target leaves out."""

    def __init__(
        self, task: ReplicationTask, state: TableState, *, snapshot_lsn: Lsn, target: Session
    ) -> None:
        self._task = task
        self._state = state
        self._snapshot_lsn = snapshot_lsn
        self._target = target
        self.count = 0

    def record(self, error: RowError, *, key: Mapping[str, str] | None) -> None:
        """Record a row by its key on the target, where that is known."""
        self.count += 1
        message = error.server_message if isinstance(error, TargetStatementError) else str(error)
        self._target.execute(
            static_sql("insert_apply_error"),
            {
                "task_name": self._task.task_name,
                "source_oid": self._state.source_oid,
                "target_schema": self._state.target.schema_name,
                "target_table": self._state.target.table_name,
                "operation": "load",
                "key_values": None if key is None else json.dumps(key),
                "sqlstate": error.sqlstate,
                "message": message,
                "summary": str(error),
                "statement": f"full load of {self._state.source}",
                "transaction_id": 0,
                "commit_lsn": str(self._snapshot_lsn),
                "change_index": self.count,
            },
        )

    def settle(self) -> None:
        """Add them to the table's count of errors; call it at the end of the transaction."""
        if self.count:
            errors = Counter({self._state.source_oid: self.count})
            AppliedCounts(errors=errors).record(self._target, self._task.task_name)
            logger.warning(
                "task %s: %s row(s) of table %s could not be loaded; see trempy.apply_errors",
                self._task.task_name,
                self.count,
                self._state.source,
            )

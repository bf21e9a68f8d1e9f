"""Write the changes of one table, in order, isolating what fails to its row.

Net changes of many keys go through a staging table and a few statements; single changes and small groups
go row by row.
When a group fails, it is undone and its changes are applied one by one, each under its own savepoint:
then the error belongs to a row, and the task's policy says what becomes of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from psycopg2 import sql

from trempy_provider.apply_modes.modes import APPLY_MODES
from trempy_provider.apply_modes.projection import Projection
from trempy_provider.apply_modes.statements import Statement, staged_letter
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ApplyError
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.staging import StagedRow, StagingTables
from trempy_provider.postgres.translation import TargetStatementError
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, Value
from trempy_provider.replication.net_changes import NetChange, NetGroup, net_steps

_SMALL_GROUP = 12
_ROW_ERROR_CLASSES = ("02", "21", "22", "23", "27", "44", "P0")
_NO_DATA = "02000"
_STATEMENT_LENGTH = 200


class TableWriter:
    """Apply changes within the session's open transaction; counts what was recorded as errors."""

    def __init__(self, session: Session, task: ReplicationTask) -> None:
        self._session = session
        self._task = task
        self._mode = APPLY_MODES[task.cdc.mode]
        self._staging = StagingTables(session)
        self.error_counts: Counter[int] = Counter()

    def begin(self) -> None:
        """Note that a new transaction starts."""
        self._staging.begin()
        self.error_counts.clear()

    def forget(self) -> None:
        """Forget the staging tables, after a roll-back or when target tables may have changed."""
        self._staging.forget()

    def write(self, projection: Projection, changes: Iterable[Change]) -> None:
        """Apply changes of one table and shape, in order.

        Raise ApplyError when a row fails and the policy says stop, TargetError when the target cannot
        take rows at all.
        """
        for step in net_steps(changes, key_positions=projection.key_positions):
            if isinstance(step, NetGroup):
                self._write_group(projection, step)
            else:
                self._write_isolated(projection, step)

    def _write_group(self, projection: Projection, group: NetGroup) -> None:
        if len(group.changes) == 1:
            self._write_isolated(projection, group.changes[0])
            return
        try:
            with self._session.savepoint("trempy_group"):
                self._write_at_once(projection, group)
        except TargetStatementError as error:
            if not is_row_error(error.sqlstate):
                raise
            self._staging.forget()
            for change in group.changes:
                self._write_isolated(projection, change)

    def _write_at_once(self, projection: Projection, group: NetGroup) -> None:
        if len(group.changes) <= _SMALL_GROUP:
            for change in group.changes:
                self._write_row(projection, change)
            return
        rows = [_staged_row(projection, net) for net in group.net_changes]
        staging, counts = self._staging.stage(projection.name, projection.staged_columns, rows)
        self._plan_for(projection)
        for statement in self._mode.group_statements(projection, staging=staging, counts=counts):
            self._run(statement)

    def _plan_for(self, projection: Projection) -> None:
        """Staging tables have no statistics: with an index on the key, probing it is always right."""
        choice = "off" if projection.has_key_index else "on"
        self._session.execute(
            sql.SQL("set local enable_hashjoin = {0}; set local enable_mergejoin = {0}").format(
                sql.SQL(choice)
            )
        )

    def _run(self, statement: Statement) -> None:
        touched = self._session.execute(statement.query)
        if statement.expected_rows is not None and touched != statement.expected_rows:
            raise _missing_rows(statement.expected_rows - touched)

    def _write_row(self, projection: Projection, change: Change) -> Statement:
        """Try the mode's statements in turn until one touches the row; return the one that did."""
        statement = None
        for statement in self._mode.row_statements(projection, change):
            touched = self._session.execute(statement.query)
            if statement.expected_rows is None or touched >= statement.expected_rows:
                return statement
        raise _missing_rows(1)

    def _write_isolated(self, projection: Projection, change: Change) -> None:
        try:
            with self._session.savepoint("trempy_row"):
                self._write_row(projection, change)
        except TargetStatementError as error:
            if not is_row_error(error.sqlstate):
                raise
            self._decide(projection, change, error)

    def _decide(self, projection: Projection, change: Change, error: TargetStatementError) -> None:
        if self._mode.stops_at(change.operation, self._task.error_handling):
            raise ApplyError(
                f"{change.operation.value} on {projection.name} failed in transaction {change.begin.xid} "
                f"(commit LSN {change.begin.commit_lsn}): {error}",
                hint=f"Mend the row or the table, or set error_handling."
                f"{self._mode.stop_options[change.operation]} to false to record such rows and go on.",
            ) from error
        self.error_counts[projection.source_oid] += 1
        self._session.execute(
            static_sql("insert_apply_error"), self._error_parameters(projection, change, error)
        )

    def _error_parameters(
        self, projection: Projection, change: Change, error: TargetStatementError
    ) -> dict[str, object]:
        schema_name, table_name = projection.target.strings
        return {
            "task_name": self._task.task_name,
            "source_oid": projection.source_oid,
            "target_schema": schema_name,
            "target_table": table_name,
            "operation": change.operation.value,
            "key_values": _key_json(projection, change),
            "sqlstate": error.sqlstate,
            "message": str(error),
            "statement": f"{change.operation.value} on {projection.name}"[:_STATEMENT_LENGTH],
            "transaction_id": change.begin.xid,
            "commit_lsn": str(change.begin.commit_lsn),
            "change_index": change.index,
        }


def is_row_error(sqlstate: str) -> bool:
    """Tell whether an error belongs to a row, and not to the table, the session or the server."""
    return sqlstate.startswith(_ROW_ERROR_CLASSES)


def _missing_rows(count: int) -> TargetStatementError:
    return TargetStatementError(f"{count} row(s) to change were not found on the target", sqlstate=_NO_DATA)


def _staged_row(projection: Projection, net: NetChange) -> StagedRow:
    values: Sequence[Value] = projection.staged_values(net.row)
    if net.operation is Operation.DELETE:
        key = {i for column in projection.key for i in column.staged_indexes}
        values = [value if i in key else None for i, value in enumerate(values)]
    return StagedRow(staged_letter(net), values)


def _key_json(projection: Projection, change: Change) -> str | None:
    """Return the key's column names and values as JSON, None for a table without a key."""
    if not projection.key:
        return None
    values = change.key_before(projection.key_positions)
    return json.dumps(
        {column.name: _text(value) for column, value in zip(projection.key, values, strict=True)}
    )


def _text(value: Value) -> str | None:
    if value is None or value is UNCHANGED:
        return None
    return value.decode("utf-8", "replace").replace("\0", "")

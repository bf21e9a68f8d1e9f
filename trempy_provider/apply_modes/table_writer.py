"""Write the changes of one table, in order, isolating what fails to its row.

Net changes of many keys go through a staging table and a few statements; single changes and small groups
go row by row.
When a group fails, it is undone and each half of it is applied by itself, down to the single change under its
own savepoint: then the error belongs to a row, and the task's policy says what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg2 import sql

from trempy_provider.apply_modes.modes import APPLY_MODES, RowMode
from trempy_provider.apply_modes.projection import Projection
from trempy_provider.apply_modes.row_errors import RowErrors, is_row_error, missing_rows, refused_rows
from trempy_provider.apply_modes.statements import Statement, staged_letter
from trempy_provider.apply_modes.truncation import truncate_tables
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.staging import StagedCounts, StagedRow, StagingTables
from trempy_provider.postgres.tables import QualifiedName, Table
from trempy_provider.postgres.translation import TargetStatementError
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.columnar import Bytes
from trempy_provider.replication.columnar_batch import TableRows
from trempy_provider.replication.columnar_net import net_rows, without_values_of_deletes
from trempy_provider.replication.columnar_text import staged_text
from trempy_provider.replication.exact_reasons import ExactReason
from trempy_provider.replication.messages import Truncate, Value
from trempy_provider.replication.net_changes import NetChange, NetGroup, net_steps

_SMALL_GROUP = 12
_LARGEST_UNDIVIDED = 64  # so many rows one by one cost about as much as one attempt at a group
_MOST_FAILING_PARTS = 4  # in a row: then errors are everywhere, and dividing is in vain


class TableWriter:
    """Apply changes within the session's open transaction; `errors` counts the rows that could not be.

    `recorded_as` is the table's name in records and errors, if not that of the table written.
    """

    takes_arrays = True

    def __init__(
        self, session: Session, task: ReplicationTask, *, recorded_as: QualifiedName | None = None
    ) -> None:
        self._session = session
        mode = APPLY_MODES[task.cdc.mode]
        assert isinstance(mode, RowMode)
        self._mode = mode
        self._staging = StagingTables(session)
        self.errors = RowErrors(session, task, mode=self._mode, recorded_as=recorded_as)
        self._failing_parts = 0

    def begin(self) -> None:
        """Note that a new transaction starts."""
        self._staging.begin()
        self.errors.begin()

    def forget(self) -> None:
        """Forget the staging tables, after a roll-back or when target tables may have changed."""
        self._staging.forget()

    def write(self, projection: Projection, changes: Iterable[Change]) -> None:
        """Apply changes of one table and shape, in order.

        Raise ApplyError when a row fails and the policy says stop, TargetError when the target cannot
        take rows at all.
        """
        self._failing_parts = 0
        self._write(projection, changes)

    def write_rows(self, projection: Projection, table: TableRows, buffer: Bytes) -> ExactReason | None:
        """Apply all changes of a table at once, as arrays; when nothing was done, return why.

        Then they have no such form, or a row of them fails: `write` says which.
        """
        net = net_rows(
            table.rows,
            buffer,
            key_positions=projection.key_positions,
            by_key=projection.has_one_unique_key,
        )
        if isinstance(net, ExactReason):
            return net
        net = without_values_of_deletes(net, projection.key_positions)
        staged = staged_text(net, buffer, positions=tuple(column.position for column in projection.staged))
        self._prepare(projection)
        try:
            with self._staging.in_savepoint("trempy_group"):
                staging = self._staging.stage_text(projection.name, projection.staged_columns, staged.parts)
                self._apply_staged(projection, staging, StagedCounts(staged.counts))
        except TargetStatementError as error:
            if not is_row_error(error):
                raise
            return ExactReason.ROW_ERROR
        return None

    def truncate(self, change: Change, targets: Sequence[Table]) -> None:
        """Empty some tables."""
        assert isinstance(change.message, Truncate)
        truncate_tables(self._session, targets, restart_identity=change.message.restart_identity)

    def _write(self, projection: Projection, changes: Iterable[Change]) -> None:
        for step in net_steps(changes, key_positions=projection.key_positions):
            if isinstance(step, NetGroup):
                self._write_group(projection, step)
            else:
                self._write_isolated(projection, step)

    def _write_group(self, projection: Projection, group: NetGroup) -> None:
        if len(group.changes) == 1 or self._failing_parts >= _MOST_FAILING_PARTS:
            self._write_one_by_one(projection, group.changes)
            return
        self._prepare(projection)
        try:
            with self._staging.in_savepoint("trempy_group"):
                self._write_at_once(projection, group)
        except TargetStatementError as error:
            if not is_row_error(error):
                raise
            self._divide(projection, group.changes)
        else:
            self._failing_parts = 0

    def _divide(self, projection: Projection, changes: Sequence[Change]) -> None:
        """Write changes that fail together each by itself or, of many, each half by itself."""
        if len(changes) <= _LARGEST_UNDIVIDED:
            self._failing_parts += 1
            self._write_one_by_one(projection, changes)
            return
        middle = len(changes) // 2
        self._write(projection, changes[:middle])
        self._write(projection, changes[middle:])

    def _write_one_by_one(self, projection: Projection, changes: Iterable[Change]) -> None:
        for change in changes:
            self._write_isolated(projection, change)

    def _prepare(self, projection: Projection) -> None:
        """Make the staging table before a savepoint, so that it outlasts it."""
        self._staging.prepare(projection.name, projection.staged_columns)

    def _write_at_once(self, projection: Projection, group: NetGroup) -> None:
        if len(group.changes) <= _SMALL_GROUP:
            for change in group.changes:
                self._write_row(projection, change, [])
            return
        rows = [_staged_row(projection, net) for net in group.net_changes]
        staging, counts = self._staging.stage(projection.name, projection.staged_columns, rows)
        self._apply_staged(projection, staging, counts)

    def _apply_staged(self, projection: Projection, staging: sql.Identifier, counts: StagedCounts) -> None:
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
        _raise_refusal(statement, touched)
        if statement.expected_rows is not None and touched != statement.expected_rows:
            raise missing_rows(statement.expected_rows - touched)

    def _write_isolated(self, projection: Projection, change: Change) -> None:
        tried: list[Statement] = []
        try:
            with self._session.savepoint("trempy_row"):
                self._write_row(projection, change, tried)
        except TargetStatementError as error:
            if not is_row_error(error):
                raise
            statement = tried[-1].query if tried else None
            self.errors.settle(projection, change, error, statement=statement)

    def _write_row(self, projection: Projection, change: Change, tried: list[Statement]) -> None:
        """Try the mode's statements in turn until one touches the row; `tried` gets each before it runs."""
        for statement in self._mode.row_statements(projection, change):
            tried.append(statement)
            touched = self._session.execute(statement.query)
            _raise_refusal(statement, touched)
            if statement.expected_rows is None or touched >= statement.expected_rows:
                return
        raise missing_rows(1)


def _raise_refusal(statement: Statement, touched: int) -> None:
    if statement.refusal is not None and touched:
        raise refused_rows(touched, statement.refusal)


def _staged_row(projection: Projection, net: NetChange) -> StagedRow:
    values: Sequence[Value] = projection.staged_values(net.row)
    if net.operation is Operation.DELETE:
        key = {i for column in projection.key for i in column.staged_indexes}
        values = [value if i in key else None for i, value in enumerate(values)]
    return StagedRow(staged_letter(net), values)

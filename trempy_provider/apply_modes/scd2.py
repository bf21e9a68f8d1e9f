"""The mode `scd2`: a target table keeps the history of every row.

A transaction of the source gives each key it touches one state: a row, or none.
Where that differs from the version before, the current version ends at the commit time, and another begins;
a row that is deleted, or that leaves the filter, ends without a successor.
Where no value that filters read was sent, a row passes as before: if it has a current version.
An INSERT of a key that exists and a DELETE of one that does not are no errors: they leave the key as the
source has it.
So does an UPDATE of one that does not exist, unless values were not sent, which only the target could have.

Many states are written together.
When that fails, each half of the changes is tried by itself, down to the single change that is to blame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from psycopg2 import sql

from trempy_provider.apply_modes.modes import APPLY_MODES
from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.apply_modes.row_errors import RowErrors, is_row_error, missing_rows
from trempy_provider.apply_modes.statements import UNSENT, passing_sql, values_sql, whole_mask
from trempy_provider.apply_modes.unsent_values import filled_sql, require_known, unfiltered_sql
from trempy_provider.apply_modes.version_tables import VersionTables
from trempy_provider.apply_modes.versioned_table import VersionedTable
from trempy_provider.apply_modes.versions import close_all_sql, last_version_sql, write_versions
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.staging import MASK_COLUMN, OPERATION_COLUMN, StagedRow, StagingTables
from trempy_provider.postgres.tables import QualifiedName, Table
from trempy_provider.postgres.translation import TargetStatementError
from trempy_provider.postgres.version_columns import version_columns
from trempy_provider.replication.changes import Change, datetime_of
from trempy_provider.replication.exact_reasons import ExactReason
from trempy_provider.replication.messages import UNCHANGED
from trempy_provider.replication.net_states import StateGroup, state_groups

_STATE_COLUMNS = (
    ("trempy number", "bigint"),
    ("trempy carried", "bigint"),
    ("trempy moment", "timestamp with time zone"),
)
_PRESENT, _ABSENT = "I", "D"


class VersionWriter:
    """Write the versions that follow from changes, within the session's open transaction.

    `errors` counts the rows that could not be; `recorded_as` is the table's name in records and errors, if
    not that of the table written.
    """

    takes_arrays = False  # a version needs the time of its own transaction

    def __init__(
        self, session: Session, task: ReplicationTask, *, recorded_as: QualifiedName | None = None
    ) -> None:
        self._session = session
        self._task = task
        self.errors = RowErrors(session, task, mode=APPLY_MODES[task.cdc.mode], recorded_as=recorded_as)
        self._staging = StagingTables(session)
        self._tables = VersionTables(session)
        self._statement: sql.Composed | None = None

    def begin(self) -> None:
        """Note that a new transaction starts."""
        self._staging.begin()
        self._tables.begin()
        self.errors.begin()

    def forget(self) -> None:
        """Forget the temporary tables, after a roll-back or when target tables may have changed."""
        self._staging.forget()
        self._tables.forget()

    def write(self, projection: Projection, changes: Iterable[Change]) -> None:
        """Apply changes of one table and shape, in order.

        Raise ApplyError when a row fails and the policy says stop, TargetError when the target cannot
        take rows at all.
        """
        self._write(projection, tuple(changes))

    def write_rows(self, *_: object) -> ExactReason:
        """Leave a batch's rows to `write`."""
        return ExactReason.VERSIONS

    def truncate(self, change: Change, targets: Sequence[Table]) -> None:
        """End every current version of some tables."""
        versions = version_columns(self._task)
        assert versions is not None
        moment = datetime_of(change.begin.committed_at)
        for target in targets:
            for statement in close_all_sql(target, versions, moment=moment):
                self._session.execute(statement)

    def _write(self, projection: Projection, changes: Sequence[Change]) -> None:
        """Write changes together if they go together, else each half by itself."""
        self._prepare(projection)
        try:
            with self._session.savepoint("trempy_versions"):
                for group in state_groups(changes, key_positions=_state_key(projection)):
                    self._write_group(projection, group)
        except TargetStatementError as error:
            if not is_row_error(error):
                raise
            if len(changes) == 1:
                self.errors.settle(projection, changes[0], error, statement=self._statement)
                return
            middle = len(changes) // 2
            self._write(projection, changes[:middle])
            self._write(projection, changes[middle:])

    def _prepare(self, projection: Projection) -> None:
        """Make the temporary tables before a savepoint, so that they outlast it."""
        self._staging.prepare(projection.name, _staged_columns(projection))
        self._tables.prepare(_versioned(projection))

    def _write_group(self, projection: Projection, group: StateGroup) -> None:
        table = _versioned(projection)
        self._statement = sql.SQL("copy states of {} from stdin").format(projection.target)
        rows = list(_staged_rows(projection, group))
        staging, counts = self._staging.stage(projection.name, _staged_columns(projection), rows)
        for mask, _ in counts.masks(_PRESENT):
            require_known(projection, mask[: len(projection.staged)])
        states, versions = self._tables.pair_of(table)
        self._plan_joins("off")
        self._run(present_states_sql(projection, table, staging=staging, states=states))
        if projection.is_filtered or counts.count(_ABSENT):
            self._run(absent_states_sql(projection, table, staging=staging, states=states))
        if any(UNSENT in mask for mask, _ in counts.masks(_PRESENT)):
            self._fill(projection, table, states)
        write_versions(self._run, table, states=states, versions=versions)

    def _fill(self, projection: Projection, table: VersionedTable, states: sql.Identifier) -> None:
        """Take the values that were not sent from the current versions."""
        self._plan_joins("on")
        self._run(fill_states_sql(projection, table, states))
        self._plan_joins("off")
        if projection.is_filtered:
            self._run(drop_absent_states_sql(projection, table, states))
        lacking = self._run(lacking_states_sql(table, states))
        if lacking:
            raise missing_rows(lacking)

    def _run(self, statement: sql.Composed) -> int:
        self._statement = statement
        return self._session.execute(statement)

    def _plan_joins(self, choice: str) -> None:
        """Temporary tables have no statistics: probing the index on the target's key is always right."""
        self._session.execute(
            sql.SQL("set local enable_hashjoin = {0}; set local enable_mergejoin = {0}").format(
                sql.SQL(choice)
            )
        )


def present_states_sql(
    projection: Projection, table: VersionedTable, *, staging: sql.Identifier, states: sql.Identifier
) -> sql.Composed:
    """Compose the projection of staged rows that belong on the target."""
    return table.fill(
        "insert into {states} ({columns}, {number}, {moment}, {present}, {carried}, {mask}) "
        "select {values}, s.{number}, s.{moment}, true, s.{carried}, s.{staged_mask} "
        "from {staging} s where {belongs}",
        states=states,
        values=values_sql(projection.columns, "s"),
        staged_mask=sql.Identifier(MASK_COLUMN),
        staging=staging,
        belongs=_belongs_sql(projection),
    )


def absent_states_sql(
    projection: Projection, table: VersionedTable, *, staging: sql.Identifier, states: sql.Identifier
) -> sql.Composed:
    """Compose the projection of staged keys whose rows are gone, or do not belong on the target."""
    return table.fill(
        "insert into {states} ({key}, {number}, {moment}, {present}) "
        "select {values}, s.{number}, s.{moment}, false from {staging} s where not ({belongs})",
        states=states,
        values=values_sql(_history_key(projection), "s"),
        staging=staging,
        belongs=_belongs_sql(projection),
    )


def fill_states_sql(projection: Projection, table: VersionedTable, states: sql.Identifier) -> sql.Composed:
    """Compose the completion of states from the current version of the key that has what was not sent."""
    key = set(_history_key(projection))
    return table.fill(
        "update {states} s set {assignments}, {carried} = null "
        "from {states} o cross join lateral ({last}) l "
        "where s.{carried} = o.{number} and l.{end} is null",
        states=states,
        assignments=sql.SQL(", ").join(
            filled_sql(projection, column, versioned, table)
            for column, versioned in zip(projection.columns, table.columns, strict=True)
            if column not in key
        ),
        last=last_version_sql(table, of="o"),
    )


def drop_absent_states_sql(
    projection: Projection, table: VersionedTable, states: sql.Identifier
) -> sql.Composed:
    """Compose the removal of states of rows that did not pass, and of which no filter reads what was sent."""
    return table.fill(
        "delete from {states} s where {carried} is not null and {unfiltered}",
        states=states,
        unfiltered=unfiltered_sql(projection, table.fill("s.{mask}")),
    )


def lacking_states_sql(table: VersionedTable, states: sql.Identifier) -> sql.Composed:
    """Compose the search for states that could not be completed: there must be none."""
    return table.fill("select from {states} where {carried} is not null", states=states)


def _versioned(projection: Projection) -> VersionedTable:
    assert projection.versioned is not None
    return projection.versioned


def _history_key(projection: Projection) -> tuple[ProjectedColumn, ...]:
    by_name = {column.name: column for column in projection.columns}
    return tuple(by_name[name] for name in _versioned(projection).key)


def _state_key(projection: Projection) -> tuple[int, ...]:
    """Return the places in the source's tuple of its key, and of what the history's key is made from."""
    inputs = [index for column in _history_key(projection) for index in column.staged_indexes]
    made_from = [projection.staged[index].position for index in inputs]
    return tuple(dict.fromkeys((*projection.key_positions, *made_from)))


def _staged_columns(projection: Projection) -> tuple[tuple[str, str], ...]:
    return (*projection.staged_columns, *_STATE_COLUMNS)


def _belongs_sql(projection: Projection) -> sql.Composed:
    is_present = sql.SQL("s.{} = {}").format(sql.Identifier(OPERATION_COLUMN), sql.Literal(_PRESENT))
    passing = passing_sql(projection, whole_mask(projection))
    if not passing:
        return is_present
    return sql.SQL("{} and ({} or ({}) is true)").format(
        is_present,
        unfiltered_sql(projection, sql.SQL("s.{}").format(sql.Identifier(MASK_COLUMN))),
        sql.SQL(" and ").join(passing),
    )


def _staged_rows(projection: Projection, group: StateGroup) -> Iterator[StagedRow]:
    moments = {
        moment: datetime_of(moment).isoformat().encode()
        for moment in {state.committed_at for state in group.states}
    }
    for state in group.states:
        values = projection.staged_values(state.row)
        carried = state.carried_from if UNCHANGED in values else None
        own = (b"%d" % state.number, None if carried is None else b"%d" % carried)
        yield StagedRow(
            _PRESENT if state.is_present else _ABSENT, (*values, *own, moments[state.committed_at])
        )

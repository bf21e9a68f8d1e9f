"""Apply transactions of the source within one transaction of the target.

With `session_replication_role = replica` the target's triggers and foreign keys stay quiet, as for
PostgreSQL's own subscriptions; then the order between tables is free within a target transaction, and the
changes of each table are applied together.
A role that may not set it applies the changes of all tables in the source's order, and lets deferrable
constraints wait for the commit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from trempy_provider.apply_modes.applied_counts import AppliedCounts
from trempy_provider.apply_modes.evolver import Evolver
from trempy_provider.apply_modes.projection import Projection, project
from trempy_provider.apply_modes.relation_view import View
from trempy_provider.apply_modes.router import Routed, Router
from trempy_provider.apply_modes.row_errors import naming_table, naming_table_of
from trempy_provider.apply_modes.row_identity import RowIdentity, row_identity
from trempy_provider.apply_modes.writers import open_writer
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import read_target_table
from trempy_provider.postgres.held_changes import hold_changes
from trempy_provider.postgres.metadata import read_text_collation
from trempy_provider.postgres.relation_types import read_relation_types
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_states import TableState, read_states_of_lane, read_table_states
from trempy_provider.postgres.tables import QualifiedName, Table
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.changes import Change, Operation, Shape, Transaction, datetime_of
from trempy_provider.replication.columnar_batch import FEWEST_CHANGES, ColumnarBatch, read_columnar
from trempy_provider.replication.exact_reasons import ExactReason
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.transactions import batch_of_changes, read_transactions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommitPoint:
    """Where and when a transaction committed on the source."""

    commit_lsn: Lsn
    committed_at: datetime


class Applier:
    """Apply transactions through one session of the target; one transaction at a time."""

    def __init__(self, session: Session, task: ReplicationTask) -> None:
        self._session = session
        self._task = task
        self._writer = open_writer(session, task)
        self._evolver = Evolver(session, task)
        self._keeps_order = not silence_triggers(session)
        self._text_collation = read_text_collation(session, task.task_name)
        self._states_version: int | None = None
        self._router = Router(task, {})
        self._tables: dict[QualifiedName, Table] = {}
        self._projections: dict[tuple[bytes, ...], Projection] = {}
        self._identities: dict[tuple[bytes, ...], RowIdentity] = {}
        self._ignored_oids: set[int] = set()
        self._end_lsns: dict[Lsn, Lsn] = {}
        self.counts = AppliedCounts()

    def begin(self, *, states_version: int) -> None:
        """Start a target transaction; read the tables' states again if they have changed."""
        self.counts = AppliedCounts()
        if self._keeps_order:
            defer_constraints(self._session)
        self._writer.begin()
        if states_version != self._states_version:
            self._read_states()
            self._states_version = states_version

    def forget(self) -> None:
        """Forget what was read of the target, after a roll-back."""
        self._states_version = None
        self._evolver.forget()
        self._writer.forget()

    def read_columnar(self, batch: Batch) -> ColumnarBatch | None:
        """Return a batch as arrays if this mode writes them, and it has that form; needs no session."""
        return None if self._keeps_order or not self._writer.takes_arrays else read_columnar(batch)

    def apply_batch(self, batch: Batch, columnar: ColumnarBatch | None, *, after: Lsn) -> CommitPoint | None:
        """Apply what of a batch committed at or after `after`, within the open target transaction.

        `columnar` is what `read_columnar` says of it.
        Return where its last transaction committed, None when there is none.
        """
        if columnar is not None and self._writes_all(batch, columnar, after=after):
            self._apply_columnar(batch, columnar)
            return CommitPoint(columnar.last.commit_lsn, datetime_of(columnar.last.committed_at))
        fresh = [entry for entry in read_transactions(batch) if entry.commit_lsn >= after]
        self.apply(fresh, reason=self._exact_reason(batch, columnar))
        return CommitPoint(fresh[-1].commit_lsn, fresh[-1].committed_at) if fresh else None

    def _exact_reason(self, batch: Batch, columnar: ColumnarBatch | None) -> ExactReason:
        """Return why a batch is not written as arrays."""
        if self._keeps_order:
            return ExactReason.KEEPS_ORDER
        if not self._writer.takes_arrays:
            return ExactReason.VERSIONS
        if batch.change_count < FEWEST_CHANGES:
            return ExactReason.FEW_CHANGES
        return ExactReason.OTHER_MESSAGES if columnar is None else ExactReason.NOT_ALL_WRITTEN

    def _writes_all(self, batch: Batch, columnar: ColumnarBatch, *, after: Lsn) -> bool:
        """Tell whether all of a batch is written, table by table, in whatever order."""
        return batch.first_lsn >= after and all(
            self._router.writes_all(table.shape.relation.oid, table.counts, since=batch.first_lsn)
            for table in columnar.tables
        )

    def _apply_columnar(self, batch: Batch, columnar: ColumnarBatch) -> None:
        """Write each table at once; one that cannot be written so takes the way of single changes."""
        single: dict[int, ExactReason] = {}
        for table in columnar.tables:
            oid = table.shape.relation.oid
            end_lsn = batch.end_lsn if batch.transaction_count == 1 else batch.first_lsn
            view = self._follow(
                table.shape, first_lsn=batch.first_lsn, commit_lsn=batch.first_lsn, end_lsn=end_lsn
            )
            if view is None:
                continue
            name = str(self.states[oid].target)
            with naming_table(name, first=batch.first_lsn, last=columnar.last.commit_lsn):
                projection = self._projection(table.shape, view)
                reason = self._writer.write_rows(projection, table, columnar.buffer)
            if reason is not None:
                single[oid] = reason
                continue
            for operation, count in table.counts.items():
                self.counts.changes[oid, operation] += count
                self.counts.paths[oid, None] += count
        if single:
            changes = [change for entry in read_transactions(batch) for change in entry.changes]
            for run in self._runs([change for change in changes if change.relation.oid in single]):
                self._write(run, reason=single[run[0].relation.oid])

    def apply(self, transactions: Iterable[Transaction], *, reason: ExactReason = ExactReason.SINGLY) -> None:
        """Apply transactions, in commit order, within the open target transaction.

        `reason` says why they are not applied as arrays.
        """
        written: list[Change] = []
        for transaction in transactions:
            routed = self._router.route(transaction.changes)
            self._hold(routed)
            written += routed.written
            if transaction.end_lsn is not None:
                self._end_lsns[transaction.commit_lsn] = transaction.end_lsn
        for run in self._runs(written):
            self._write(run, reason=reason)
        self._end_lsns.clear()

    @property
    def states(self) -> Mapping[int, TableState]:
        """The task's tables by the OID they have on the source, as `begin` has read them."""
        return self._router.states

    def is_written(self, change: Change, oid: int) -> bool:
        """Tell whether a change of table `oid` is written to the target now."""
        return self._router.is_written(change, oid)

    def identity_of(self, change: Change) -> RowIdentity | None:
        """Return what tells a row change's row apart, None where the table is none of the task's.

        Raise TargetSchemaError when the target cannot take the row.
        """
        shape = change.shapes[0]
        if shape.relation.oid not in self.states:
            return None
        if shape.payloads not in self._identities:
            projection = self._project(shape, self._evolver.view_of(shape))
            self._identities[shape.payloads] = row_identity(shape.relation, projection)
        return self._identities[shape.payloads]

    def report_change_since(self, change: Change) -> None:
        """Record a row change that is not written because something newer is there."""
        if change.operation is not Operation.TRUNCATE and change.relation.oid in self.states:
            shape = change.shapes[0]
            projection = self._projection(shape, self._evolver.view_of(shape))
            self._writer.errors.report_change_since(projection, change)

    def finish(self) -> None:
        """Add what was applied to the counts of the tables."""
        self.counts.errors = self._writer.errors.counts
        self.counts.record(self._session, self._task.task_name)

    def _read_states(self) -> None:
        name, lane = self._task.task_name, self._session.lane
        states = (
            read_table_states(self._session, name)
            if lane is None
            else read_states_of_lane(self._session, name, lane)
        )
        self._router = Router(self._task, states)
        self._tables = {}
        self._projections = {}
        self._identities = {}
        self._evolver.forget()
        self._writer.forget()

    def _hold(self, routed: Routed) -> None:
        for oid, changes in routed.held.items():
            body = wire.encode(batch_of_changes(self._task.task_name, changes))
            commit_lsn = changes[0].begin.commit_lsn
            hold_changes(
                self._session, self._task.task_name, source_oid=oid, commit_lsn=commit_lsn, body=body
            )
        for oid in routed.unknown_oids - self._ignored_oids:
            logger.warning(
                "task %s: relation %s is none of its tables; its changes are ignored",
                self._task.task_name,
                oid,
            )
            self._ignored_oids.add(oid)

    def _runs(self, changes: list[Change]) -> Iterator[list[Change]]:
        """Yield changes that may be applied together: of one table each, truncates alone."""
        pending: dict[int, list[Change]] = {}
        for change in changes:
            if change.operation is Operation.TRUNCATE:
                yield from pending.values()
                pending = {}
                yield [change]
                continue
            oid = change.relation.oid
            if self._keeps_order and oid not in pending:
                yield from pending.values()
                pending = {}
            if oid in pending and pending[oid][0].shapes != change.shapes:
                yield pending.pop(oid)
            pending.setdefault(oid, []).append(change)
        yield from pending.values()

    def _write(self, run: list[Change], *, reason: ExactReason) -> None:
        if run[0].operation is Operation.TRUNCATE:
            self._truncate(run[0])
            return
        shape = run[0].shapes[0]
        oid = shape.relation.oid
        if not self._router.is_written(run[-1], oid):  # it has begun to wait for a new load
            return
        view = self._follow_run(shape, run)
        if view is None:
            return
        with naming_table_of(str(self._router.states[oid].target), run):
            self._writer.write(self._projection(shape, view), run)
        for change in run:
            self.counts.changes[oid, change.operation] += 1
        self.counts.paths[oid, reason] += len(run)

    def _follow_run(self, shape: Shape, run: list[Change]) -> View | None:
        """Let the target follow the shape of changes that are applied together."""
        commit_lsn = run[-1].begin.commit_lsn
        return self._follow(
            shape,
            first_lsn=run[0].begin.commit_lsn,
            commit_lsn=commit_lsn,
            end_lsn=self._end_lsns.get(commit_lsn, commit_lsn),
            is_emptied=run[-1].operation is Operation.TRUNCATE,
        )

    def _follow(
        self, shape: Shape, *, first_lsn: Lsn, commit_lsn: Lsn, end_lsn: Lsn, is_emptied: bool = False
    ) -> View | None:
        """Let the target follow the shape of changes; None: their table waits for a new load now.

        The LSNs are those of the transaction of the last change, or earlier ones; `first_lsn` is the first's.
        """
        oid = shape.relation.oid
        followed = self._evolver.follow(
            shape,
            state=self._router.states[oid],
            first_lsn=first_lsn,
            commit_lsn=commit_lsn,
            end_lsn=end_lsn,
            is_emptied=is_emptied,
        )
        self._router.states[oid] = followed.state
        if followed.target_changed:
            self._tables.clear()
            self._projections.clear()
            self._identities.clear()
        return followed.view

    def _truncate(self, change: Change) -> None:
        shapes = [shape for shape in change.shapes if self._router.is_written(change, shape.relation.oid)]
        if not shapes:  # an earlier change of the transaction has let its table wait for a load
            return
        oids = [shape.relation.oid for shape in shapes]
        names = [self._router.states[oid].target for oid in oids]
        with naming_table_of(", ".join(map(str, names)), [change]):
            targets = [self._target_table(name) for name in names]
            self._writer.truncate(change, targets)
        for shape in shapes:  # empty tables follow without a look at the values they had
            self._follow_run(shape, [change])
        for oid in oids:
            self.counts.changes[oid, Operation.TRUNCATE] += 1

    def _projection(self, shape: Shape, view: View) -> Projection:
        if shape.payloads not in self._projections:
            self._projections[shape.payloads] = self._project(shape, view)
        return self._projections[shape.payloads]

    def _project(self, shape: Shape, view: View) -> Projection:
        state = self._router.states[shape.relation.oid]
        return project(
            view.relation,
            left_out=view.left_out,
            types=read_relation_types(self._session, shape),
            task=self._task,
            state=state,
            target=self._target_table(state.target),
            text_collation=self._text_collation,
        )

    def _target_table(self, name: QualifiedName) -> Table:
        if name not in self._tables:
            self._tables[name] = read_target_table(self._session, name)
        return self._tables[name]


def silence_triggers(session: Session) -> bool:
    """Set `session_replication_role = replica` if the role may; return whether it could."""
    if not session.fetch_value(static_sql("may_silence_triggers")):
        return False
    session.execute("set session_replication_role = replica")
    return True


def defer_constraints(session: Session) -> None:
    """Let deferrable constraints wait for the commit: the source checked them when its statements ended.

    A statement that changed many rows is many changes here, and between them a constraint may not hold.
    """
    session.execute("set constraints all deferred")

"""Replay the changes held for a table into the rows just loaded.

Rows that cannot be written meet the same policies as in apply, and are counted with the table's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trempy_provider.apply_modes.applied_counts import AppliedCounts
from trempy_provider.apply_modes.applier import defer_constraints, silence_triggers
from trempy_provider.apply_modes.held_shapes import HeldShapes
from trempy_provider.apply_modes.projection import Projection, project
from trempy_provider.apply_modes.router import was_loaded_before
from trempy_provider.apply_modes.row_errors import naming_table_of
from trempy_provider.apply_modes.skipping import Skip
from trempy_provider.apply_modes.writers import open_writer
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import read_target_table
from trempy_provider.postgres.checkpoints import lock_checkpoint, read_checkpoint
from trempy_provider.postgres.held_changes import delete_held_changes, read_held_changes
from trempy_provider.postgres.metadata import read_text_collation
from trempy_provider.postgres.relation_types import read_relation_types
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.changes import Change, Operation, Shape
from trempy_provider.replication.transactions import read_transactions

_RUN_CHANGES = 10_000
_RUN_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReplayedCounts:
    """How many changes were replayed, and how many rows could not be written."""

    changes: int
    errors: int


def replay_held_changes(
    session: Session,
    task: ReplicationTask,
    *,
    state: TableState,
    into: QualifiedName,
    shapes: HeldShapes,
) -> ReplayedCounts:
    """Apply a table's held changes to `into`, in order, forget them, and return how many there were.

    Those committed before `state.snapshot_lsn` are in the loaded rows already and are only forgotten.
    Runs in the session's open transaction.
    Raise SnapshotLostError when the source's table has changed since the snapshot.
    """
    skip = _skip(session, task.task_name)
    replayer = _Replayer(session, task, state=state, into=into, shapes=shapes)
    count = last_id = 0
    for held_id, commit_lsn, batch in read_held_changes(session, task.task_name, source_oid=state.source_oid):
        last_id = held_id
        if state.snapshot_lsn is not None and commit_lsn >= state.snapshot_lsn:
            for transaction in skip.leave_out(read_transactions(batch)):
                replayer.write(transaction.changes)
                count += len(transaction.changes)
    replayer.close()
    delete_held_changes(session, task.task_name, source_oid=state.source_oid, until=last_id)
    replayer.counts.record(session, task.task_name)
    skip.settle()
    return ReplayedCounts(count, replayer.counts.error_count)


def _skip(session: Session, task_name: str) -> Skip:
    """Return the transaction to leave out; to forget it, the checkpoint is locked before anything else."""
    if read_checkpoint(session, task_name).skip_lsn is None:
        return Skip(session, task_name, None)
    return Skip(session, task_name, lock_checkpoint(session, task_name).skip_lsn)


class _Replayer:
    """Write the changes of one table to another name."""

    def __init__(
        self,
        session: Session,
        task: ReplicationTask,
        *,
        state: TableState,
        into: QualifiedName,
        shapes: HeldShapes,
    ) -> None:
        if not silence_triggers(session):
            defer_constraints(session)
        self._session = session
        self._task = task
        self._target = state.target
        self._shapes = shapes
        self._state = replace(state, target=into)
        self._was_counted = was_loaded_before(state)
        self._writer = open_writer(session, task, recorded_as=state.target)
        self.counts = AppliedCounts(errors=self._writer.errors.counts)
        self._table = read_target_table(session, into)
        self._text_collation = read_text_collation(session, task.task_name)
        self._projections: dict[tuple[bytes, ...], Projection] = {}
        self._run: list[Change] = []
        self._run_bytes = 0

    def write(self, changes: Sequence[Change]) -> None:
        """Write changes, those of several transactions at once."""
        for change in changes:
            if self._run and (change.operation is Operation.TRUNCATE or change.shapes != self._run[0].shapes):
                self._write_run()
            if change.operation is Operation.TRUNCATE:
                self._truncate(change)
                continue
            self._run.append(change)
            self._run_bytes += len(change.payload)
            if len(self._run) >= _RUN_CHANGES or self._run_bytes >= _RUN_BYTES:
                self._write_run()

    def close(self) -> None:
        """Write what is left, and drop the temporary tables: the session may replay again."""
        self._write_run()
        self._writer.forget()

    def _write_run(self) -> None:
        run, self._run, self._run_bytes = self._run, [], 0
        if not run:
            return
        with naming_table_of(str(self._target), run):
            self._writer.write(self._projection(run[0].shapes[0]), run)
        for change in run:
            self._count(change)

    def _truncate(self, change: Change) -> None:
        with naming_table_of(str(self._target), [change]):
            self._writer.truncate(change, [self._table])
        self._count(change)

    def _count(self, change: Change) -> None:
        """Count a change, unless apply has counted it when it wrote it to the table's former rows."""
        if not self._was_counted:
            self.counts.changes[self._state.source_oid, change.operation] += 1

    def _projection(self, shape: Shape) -> Projection:
        if shape.payloads not in self._projections:
            view = self._shapes.view(shape)
            self._projections[shape.payloads] = project(
                view.relation,
                left_out=view.left_out,
                types=read_relation_types(self._session, shape),
                task=self._task,
                state=self._state,
                target=self._table,
                text_collation=self._text_collation,
            )
        return self._projections[shape.payloads]

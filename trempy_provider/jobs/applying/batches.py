"""Apply one batch: its changes and the checkpoint in one transaction of the target.

A transaction at or below the checkpoint is left out, so delivery at least once has its effect exactly once.
A batch says where the batch before it ended: when that is past the checkpoint, batches are missing.

In a lane of apply, of each batch only the part is read that the lane's tables have, and the checkpoint is the
lane's.

A batch that has failed is applied transaction by transaction of the source, each with its own checkpoint:
then those before the failing one are in, and the error is that of one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from trempy_provider.apply_modes.applier import Applier, CommitPoint
from trempy_provider.apply_modes.enum_labels import EnumLabels
from trempy_provider.apply_modes.later_changes import LaterChanges
from trempy_provider.apply_modes.skipping import Skip
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import GapError
from trempy_provider.jobs.applying.lane_guard import LaneGuard
from trempy_provider.jobs.applying.report import ApplyReport
from trempy_provider.postgres.checkpoints import Checkpoint, advance_checkpoint, lock_checkpoint
from trempy_provider.postgres.held_chunks import (
    delete_chunks,
    follow_capture_session,
    hold_chunk,
    read_transaction,
)
from trempy_provider.postgres.origins import apply_origin, set_up_origin
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch, ChunkEnd
from trempy_provider.replication.changes import Transaction, datetime_of
from trempy_provider.replication.columnar_batch import ColumnarBatch
from trempy_provider.replication.exact_reasons import ExactReason
from trempy_provider.replication.lane_part import LanePart, part_of
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.table_facts import are_told
from trempy_provider.replication.transactions import read_transactions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TransactionPoint:
    """A transaction of the source: which one, where and when it committed."""

    transaction_id: int
    commit_lsn: Lsn
    end_lsn: Lsn
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """What a message says, the same as arrays where it has that form, and what it tells of tables.

    `part` is what a lane has read of it, None when it is all.
    """

    batch: Batch
    columnar: ColumnarBatch | None
    facts: tuple[bytes, ...]
    part: LanePart | None = None


@dataclass(frozen=True, slots=True)
class _Applied:
    """What one transaction of the target has brought."""

    end_lsn: Lsn
    committed_at: datetime
    transaction_count: int
    change_count: int
    error_count: int
    has_skipped: bool
    paths: Mapping[tuple[QualifiedName, ExactReason | None], int]


class BatchApplier:
    """Apply batches through one session of the target, and count in the report what was committed."""

    def __init__(self, session: Session, task: ReplicationTask, *, report: ApplyReport) -> None:
        self._session = session
        self._task = task
        self._report = report
        self._applier = Applier(session, task)
        self._enum_labels = EnumLabels(session, task)
        self._later_changes = LaterChanges(session, task.task_name, self._applier)
        self._is_marked = False
        self.lane = LaneGuard(session, task.task_name)
        self.current: TransactionPoint | None = None  # the transaction that is applied alone

    def read(self, body: bytes) -> ReadBatch:
        """Take a message apart, without the session: any thread may call it.

        Raise WireFormatError when it is none of ours, ProtocolError for broken payloads.
        """
        batch, part = wire.decode(body), self.lane.part
        if part is not None:
            batch = part_of(batch, part)
        facts = tuple(filter(are_told, batch.payloads))
        columnar = self._applier.read_columnar(batch) if batch.chunk is None else None
        return ReadBatch(batch, columnar, facts, part)

    def apply(self, body: bytes, read: ReadBatch | None = None, *, singly: bool = False) -> None:
        """Apply a message; `singly`: each transaction of the source in one of the target.

        After an error of such a one, `current` is that transaction.
        Raise GapError when batches before it are missing, WireFormatError when it is none of ours.
        """
        self.current = None
        if read is None or read.part != self.lane.part:
            read = self.read(body)
        batch = read.batch
        self._enum_labels.prepare(read.facts)
        self._mark_session()
        if not singly:
            self._commit(read, partial(self._apply_batch, read, body))
        elif batch.chunk is None:
            self._apply_singly(read)
        else:
            self.current = _committed_by(batch)
            self._commit(read, partial(self._apply_batch, read, body))
        self.current = None

    def _mark_session(self) -> None:
        """Mark what is written, before the first batch: until then another apply may be at work."""
        if self._task.captures_local_only and not self._is_marked:
            set_up_origin(self._session, apply_origin(self._session, self._task.task_name))
            self._is_marked = True

    def begin(self, checkpoint: Checkpoint) -> tuple[Applier, LaterChanges]:
        """Prepare for applying something within the open transaction, which has locked the checkpoint."""
        self._applier.begin(states_version=checkpoint.states_version)
        self._later_changes.begin(passed_over_count=checkpoint.passed_over_count)
        return self._applier, self._later_changes

    def forget(self) -> None:
        """Forget what was read of the target, after a roll-back."""
        if not self._session.closed:
            self._applier.forget()

    def _apply_singly(self, read: ReadBatch) -> None:
        for transaction in read_transactions(read.batch):
            self.current = _point_of(transaction)
            self._commit(read, partial(self._apply_one, transaction))
            self.current = None

    def _commit(self, read: ReadBatch, apply: Callable[[Checkpoint], _Applied | None]) -> None:
        """Run a part of a batch's work in a transaction, after the checks that are the same for all."""
        batch, applied = read.batch, None
        try:
            with self._session.transaction():
                checkpoint = lock_checkpoint(self._session, self._task.task_name)
                self.lane.verify(read.part, checkpoint)
                if is_in_turn := self._is_in_turn(batch, checkpoint):
                    applied = apply(checkpoint)
                elif batch.chunk is not None:
                    delete_chunks(self._session, batch)
        except BaseException:
            self.forget()
            raise
        self._report.skipped_batch_count += not is_in_turn
        if applied is not None:
            self._report.batch_count += applied.end_lsn == batch.end_lsn
            self._count(applied)
            self._log(batch, applied)

    def _count(self, applied: _Applied) -> None:
        report = self._report
        report.transaction_count += applied.transaction_count
        report.change_count += applied.change_count
        report.error_count += applied.error_count
        report.skipped_transaction_count += applied.has_skipped
        report.paths.update(applied.paths)
        report.note_commit(applied.end_lsn, applied.committed_at)

    def _log(self, batch: Batch, applied: _Applied) -> None:
        logger.debug(
            "task %s: applied up to %s: %s transactions, %s changes",
            self._task.task_name,
            applied.end_lsn,
            applied.transaction_count,
            applied.change_count,
            extra={"replication_task": self._task.task_name, "transaction_id": batch.transaction_id},
        )

    def _is_in_turn(self, batch: Batch, checkpoint: Checkpoint) -> bool:
        """Tell whether a batch is to be applied and has not been; raise GapError when it is too early."""
        if _is_superseded(batch, checkpoint) or _is_applied(batch, checkpoint):
            return False
        if batch.previous_lsn > checkpoint.end_lsn:
            raise GapError(
                f"task {self._task.task_name} is applied up to {checkpoint.end_lsn}, but the next batch "
                f"follows {batch.previous_lsn}: batches between them are missing"
            )
        if batch.session_number > checkpoint.capture_session:
            follow_capture_session(self._session, self._task.task_name, batch.session_number)
        return True

    def _apply_batch(self, read: ReadBatch, body: bytes, checkpoint: Checkpoint) -> _Applied | None:
        batch = read.batch
        if not batch.is_complete:
            self._hold(batch, body if read.part is None else wire.encode_as(body, batch))
            return None
        self.begin(checkpoint)
        skip = Skip(self._session, self._task.task_name, checkpoint.skip_lsn)
        last = None
        for part in self._parts(read):
            last = self._apply_part(part, skip, after=checkpoint.end_lsn) or last
        if batch.chunk is not None:
            delete_chunks(self._session, batch)
        if last is None:
            return None
        return self._finish(last, skip, end_lsn=batch.end_lsn, transaction_count=batch.transaction_count)

    def _apply_part(self, part: ReadBatch, skip: Skip, *, after: Lsn) -> CommitPoint | None:
        """Apply a batch or a chunk at once, if nobody has to look at its transactions one by one."""
        if not skip.is_asked and not self._later_changes.is_watching:
            return self._applier.apply_batch(part.batch, part.columnar, after=after)
        fresh = [t for t in read_transactions(part.batch) if t.commit_lsn >= after]
        self._apply_transactions(fresh, skip)
        return CommitPoint(fresh[-1].commit_lsn, fresh[-1].committed_at) if fresh else None

    def _apply_one(self, transaction: Transaction, checkpoint: Checkpoint) -> _Applied | None:
        if transaction.commit_lsn < checkpoint.end_lsn:
            return None
        self.begin(checkpoint)
        skip = Skip(self._session, self._task.task_name, checkpoint.skip_lsn)
        self._apply_transactions([transaction], skip)
        assert transaction.end_lsn is not None
        point = CommitPoint(transaction.commit_lsn, transaction.committed_at)
        return self._finish(point, skip, end_lsn=transaction.end_lsn, transaction_count=1)

    def _hold(self, batch: Batch, body: bytes) -> None:
        """Keep a chunk until its transaction commits; forget all of them when it is rolled back."""
        assert batch.chunk is not None
        if batch.chunk.end is ChunkEnd.ROLLBACK:
            delete_chunks(self._session, batch)
        else:
            hold_chunk(self._session, batch, body=body)

    def _parts(self, read: ReadBatch) -> Iterator[ReadBatch]:
        if read.batch.chunk is None:
            yield read
        else:
            yield from map(self._as_arrays, read_transaction(self._session, read.batch))

    def _as_arrays(self, batch: Batch) -> ReadBatch:
        return ReadBatch(batch, self._applier.read_columnar(batch), ())

    def _apply_transactions(self, transactions: Iterable[Transaction], skip: Skip) -> None:
        wanted = skip.leave_out(transactions)
        self._later_changes.note(wanted)
        self._applier.apply(wanted)

    def _finish(self, last: CommitPoint, skip: Skip, *, end_lsn: Lsn, transaction_count: int) -> _Applied:
        self._applier.finish()
        counts, states = self._applier.counts, self._applier.states
        advance_checkpoint(
            self._session,
            self._task.task_name,
            end_lsn=end_lsn,
            commit_lsn=last.commit_lsn,
            committed_at=last.committed_at,
            transaction_count=transaction_count,
            change_count=counts.change_count,
        )
        skip.settle()
        return _Applied(
            end_lsn=end_lsn,
            committed_at=last.committed_at,
            transaction_count=transaction_count,
            change_count=counts.change_count,
            error_count=counts.error_count,
            has_skipped=skip.is_done,
            paths={(states[oid].source, reason): count for (oid, reason), count in counts.paths.items()},
        )


def _point_of(transaction: Transaction) -> TransactionPoint:
    assert transaction.end_lsn is not None
    return TransactionPoint(
        transaction.xid, transaction.commit_lsn, transaction.end_lsn, transaction.committed_at
    )


def _committed_by(batch: Batch) -> TransactionPoint | None:
    """Return the transaction that a last chunk commits; None for any other chunk."""
    if batch.committed_at is None:
        return None
    committed_at = datetime_of(batch.committed_at)
    return TransactionPoint(batch.transaction_id, batch.first_lsn, batch.end_lsn, committed_at)


def _is_superseded(batch: Batch, checkpoint: Checkpoint) -> bool:
    """Tell whether a later start of capture, whose batches are applied already, sends this one's content.

    It started where the slot was confirmed, and everything before that had been applied by its first batch.
    """
    return batch.session_number < checkpoint.capture_session


def _is_applied(batch: Batch, checkpoint: Checkpoint) -> bool:
    """Tell whether the checkpoint covers a batch; a chunk is covered when its transaction is known to be."""
    if batch.is_complete:
        return batch.end_lsn <= checkpoint.end_lsn
    return NO_LSN < batch.first_lsn < checkpoint.end_lsn

"""Replay a dead letter that was passed over: what is written is never older than what is there.

When the letter was passed over, its rows were noted, in the transaction that moved the checkpoint past it.
Every later transaction was then compared with them, in the transaction that applied it (`later_changes.py`).
So under the checkpoint's lock it is known for each row of the letter whether anything newer was applied, or
was tried: if so, the row is left alone and recorded with the key in trempy.apply_errors; if not, the target
has the row as it was before the letter, and its changes are applied as they would have been then, by the same
mode and policies (`letter_rows.py` says what follows for rows that became each other, and for truncates).
Changes that a later load of the table contains are left out.

That the letter is replayed is recorded in the same transaction: done twice, it has its effect once.
Letters about the same table are replayed in order: an earlier one has to be settled first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from trempy_provider.apply_modes.applier import Applier
from trempy_provider.apply_modes.letter_rows import LetterRows
from trempy_provider.apply_modes.skipping import Skip
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import DeadLetterError, JobInProgressError, ProtocolError, TrempyError
from trempy_provider.jobs.applying.batches import BatchApplier
from trempy_provider.postgres.checkpoints import lock_checkpoint
from trempy_provider.postgres.dead_letters import (
    DeadLetter,
    DeadLetterState,
    read_dead_letter,
    read_letter,
    settle_dead_letter,
)
from trempy_provider.postgres.origins import marked_if_local_only
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_states import LoadState
from trempy_provider.replication import wire
from trempy_provider.replication.changes import Change, Transaction
from trempy_provider.replication.transactions import read_transactions


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the replay of one letter has brought, in changes.

    `error_count` are rows that could not be written.
    `changed_since_count` were left alone because something newer is there, `loaded_since_count` because a
    load has brought them or because their table is not the task's any more.
    """

    change_count: int = 0
    error_count: int = 0
    changed_since_count: int = 0
    loaded_since_count: int = 0
    has_skipped: bool = False


class Replaying:
    """Replay dead letters through one session of the target."""

    def __init__(self, session: Session, task: ReplicationTask, *, batches: BatchApplier) -> None:
        self._session = session
        self._task = task
        self._batches = batches

    def replay(self, message_id: str, body: bytes) -> Replayed | None:
        """Replay one letter; return None when somebody else has settled it.

        Raise DeadLetterError when an earlier letter comes first or it cannot be read, JobInProgressError
        while a table of it is loaded, and what its rows fail of where the policy says stop.
        """
        try:
            with marked_if_local_only(self._session, self._task), self._session.transaction():
                return self._replay(message_id, body)
        except TrempyError:
            self._batches.forget()
            raise

    def _replay(self, message_id: str, body: bytes) -> Replayed | None:
        checkpoint = lock_checkpoint(self._session, self._task.task_name)
        letter = read_dead_letter(self._session, self._task.task_name, message_id)
        if letter is None or letter.state is not DeadLetterState.PASSED_OVER:
            return None
        self._refuse_before_others(letter)
        applier, _ = self._batches.begin(checkpoint)
        rows = LetterRows(self._session, letter.dead_letter_id, applier)
        _refuse_while_loading(rows, applier)
        skip = Skip(self._session, self._task.task_name, checkpoint.skip_lsn)
        writing = _Writing(applier, rows, skip)
        try:
            self._write(letter, body, writing)
        except ProtocolError as error:
            raise DeadLetterError(f"dead letter {message_id} cannot be read: {error}") from error
        applier.finish()
        settle_dead_letter(self._session, self._task.task_name, message_id, state=DeadLetterState.REPLAYED)
        skip.settle()
        return writing.replayed()

    def _write(self, letter: DeadLetter, body: bytes, writing: _Writing) -> None:
        last = wire.decode(body)
        for part in read_letter(self._session, letter.dead_letter_id, last):
            writing.rows.read(read_transactions(part))
        writing.rows.close()
        for part in read_letter(self._session, letter.dead_letter_id, last):
            for transaction in writing.skip.leave_out(read_transactions(part)):
                writing.write(transaction)

    def _refuse_before_others(self, letter: DeadLetter) -> None:
        parameters = {"dead_letter_id": letter.dead_letter_id}
        earlier = [name for (name,) in self._session.fetch_all(static_sql("blocking_letters"), parameters)]
        if earlier:
            raise DeadLetterError(
                f"dead letter {letter.failure.message_id} comes after {', '.join(earlier)}, "
                "which is about the same tables",
                hint="Replay or discard the earlier one first.",
            )


class _Writing:
    """Write the transactions of one letter, and count."""

    def __init__(self, applier: Applier, rows: LetterRows, skip: Skip) -> None:
        self.rows = rows
        self.skip = skip
        self._applier = applier
        self._counts: Counter[str] = Counter()

    def write(self, transaction: Transaction) -> None:
        """Write what may be written."""
        wanted = replace(transaction, changes=tuple(filter(self._is_wanted, transaction.changes)))
        self._applier.apply([wanted])

    def replayed(self) -> Replayed:
        """Return what was counted."""
        counts = self._applier.counts
        return Replayed(
            change_count=counts.change_count,
            error_count=counts.error_count,
            changed_since_count=self._counts["changed"],
            loaded_since_count=self._counts["loaded"],
            has_skipped=self.skip.is_done,
        )

    def _is_wanted(self, change: Change) -> bool:
        if not any(self._applier.is_written(change, shape.relation.oid) for shape in change.shapes):
            self._counts["loaded"] += 1
            return False
        if self.rows.is_refused(change):
            self._counts["changed"] += 1
            self._applier.report_change_since(change)
            return False
        return True


def _refuse_while_loading(rows: LetterRows, applier: Applier) -> None:
    for oid in rows.source_oids:
        state = applier.states.get(oid)
        if state is not None and state.state is LoadState.LOADING:
            raise JobInProgressError(
                f"table {state.source} is being loaded", hint="Replay its dead letters when that is done."
            )

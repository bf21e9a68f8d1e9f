"""Tell rows that really differ from rows with changes on their way.

While changes are followed, the target is behind the source by some transactions, and two looks, one at each
side, never show the same moment.
But the target is always at an exact place: its checkpoint C, in the same snapshot as its rows.
So the source is looked at twice around that place:

1. look at the source, then read its LSN A: whatever that look shows was committed before A;
2. wait until the checkpoint has passed A, and look at the target: C is at or after A;
3. wait for the transactions that may have written to the table and are open now: one of them may have been
   applied already although the source does not show it yet, as its commit becomes visible only after its
   record is written (with synchronous replication, long after);
4. look at the source again: this look shows everything committed before C.

A row with the same version (`tableoid`, `ctid`, `xmin`) in both looks was not changed between them, and is
what the target must have at C: if it has something else, that is a real difference.
A row with another version is looked at again, in another round.

A row that the source has in neither look has no version: it may have been there in between, at C.
It is an extra row of the target's if it was found in two rounds in the same version of the target's: whatever
the first round missed on the source was deleted before the second round's A, and the target with it.

Repair is the same round with the checkpoint locked from step 2 on, see `repairing`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from trempy_provider.apply_modes.comparison_plan import TableChangedError
from trempy_provider.jobs.applied import wait_until_applied
from trempy_provider.jobs.validating.context import ValidationContext
from trempy_provider.jobs.validating.repairing import Repairer
from trempy_provider.jobs.validating.sides import ABSENT, Looked, Seen, Sides
from trempy_provider.postgres.checkpoints import is_caught_up, lock_checkpoint
from trempy_provider.postgres.comparison import Keys, RowKey
from trempy_provider.postgres.load_snapshot import lock_leaf
from trempy_provider.postgres.metadata_places import metadata_session
from trempy_provider.postgres.session import static_sql
from trempy_provider.postgres.table_states import LoadState, read_table_states
from trempy_provider.postgres.validations import DifferenceKind
from trempy_provider.replication.lsn import Lsn

_ROUNDS = 10
_POLL_SECONDS = 0.05
_WRITERS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that differs: how, how many there are too many or too few, and what each side has."""

    kind: DifferenceKind
    row_count: int
    on_source: Seen
    on_target: Seen


@dataclass(slots=True)
class Settled:
    """What became of rows that had looked different."""

    real: dict[RowKey, Difference] = field(default_factory=dict)
    unsettled: set[RowKey] = field(default_factory=set)
    outcomes: dict[RowKey, str] = field(default_factory=dict)  # of repairs
    note: str | None = None


def difference_of(on_source: Seen, on_target: Seen, *, has_key: bool) -> Difference | None:
    """Say how two rows of one key differ, None if they do not."""
    if on_source.digest == on_target.digest:
        return None
    surplus = on_target.digest.row_count - on_source.digest.row_count
    if on_target.digest.row_count == 0 or (surplus < 0 and not has_key):
        return Difference(DifferenceKind.MISSING, -surplus, on_source, on_target)
    if on_source.digest.row_count == 0 or (surplus > 0 and not has_key):
        return Difference(DifferenceKind.EXTRA, surplus, on_source, on_target)
    return Difference(DifferenceKind.DIFFERENT, max(1, abs(surplus)), on_source, on_target)


class Settler:
    """Settle the rows of one table."""

    def __init__(
        self,
        context: ValidationContext,
        sides: Sides,
        *,
        repairs: bool,
        is_repaired: Callable[[DifferenceKind], bool],
    ) -> None:
        self._context = context
        self._sides = sides
        self._source, self._target = sides.source.session, sides.target.session
        self._table = sides.table
        self._is_repaired = is_repaired
        self._repairer = Repairer(context.task, sides.table, self._target) if repairs else None

    def settle(self, keys: Sequence[RowKey]) -> Settled:
        """Look at rows until each has turned out equal or different, or as often as makes sense."""
        settled = Settled(unsettled=set(keys))
        found_extra: dict[RowKey, str | None] = {}
        for _ in range(_ROUNDS):
            if not settled.unsettled or settled.note is not None:
                break
            self._context.stop.raise_if_set()
            self._round(settled, found_extra)
        return settled

    def _round(self, settled: Settled, found_extra: dict[RowKey, str | None]) -> None:
        choice = Keys(sorted(settled.unsettled, key=repr))
        if not self._context.task.captures_changes:  # the target follows nothing: what differs differs
            with self._beside_apply(), self._of_source():
                now = self._look_at_source(choice)
                self._judge(settled, choice, now, now, self._sides.target.look(choice), found_extra=None)
            return
        with self._of_source():
            before = self._look_at_source(choice)
        lsn = Lsn.parse(self._source.fetch_value("select pg_current_wal_insert_lsn()"))
        if not self._wait_for_apply(lsn):
            settled.note = f"apply has not come past {lsn}: changes on their way could not be told apart"
            return
        with self._beside_apply():
            if not self._is_applied(lsn):
                return
            on_target = self._sides.target.look(choice)
            if not self._wait_for_writers():
                settled.note = "transactions that have written to it stay open on the source"
                return
            with self._of_source():
                after = self._look_at_source(choice)
                self._judge(settled, choice, before, after, on_target, found_extra=found_extra)

    def _is_applied(self, lsn: Lsn) -> bool:
        with metadata_session(self._context.target, self._target, "validate") as metadata:
            return is_caught_up(self._target, metadata, self._context.task.task_name, lsn=lsn)

    @contextmanager
    def _beside_apply(self) -> Iterator[None]:
        """Open a transaction of the target: a snapshot, or for a repair with apply standing still."""
        if self._repairer is None:
            with self._target.transaction(isolation="repeatable read"):
                yield
            return
        with self._repairer.transaction():
            if self._context.task.captures_changes:
                lock_checkpoint(self._target, self._context.task.task_name)
            self._check_unchanged()
            yield

    def _check_unchanged(self) -> None:
        """Make sure that a repair writes what it was planned for."""
        states = read_table_states(self._target, self._context.task.task_name)
        present, planned = states.get(self._table.state.source_oid), self._table.state
        is_same = present is not None and (present.state, present.load_id, present.snapshot_lsn) == (
            LoadState.READY,
            planned.load_id,
            planned.snapshot_lsn,
        )
        if not is_same or not self._table.is_unchanged(self._source, self._target):
            raise TableChangedError("it was changed or loaded while it was compared")

    def _of_source(self) -> AbstractContextManager[None]:
        """Open a transaction in which the source is looked at; its snapshot is that of the first look."""
        return self._source.transaction(isolation="repeatable read", read_only=True)

    def _look_at_source(self, choice: Keys) -> Looked:
        """Look at relations that were not rewritten since the snapshot, which would seem empty."""
        for leaf in self._table.leaves:
            lock_leaf(self._source, leaf)
        return self._sides.source.look(choice)

    def _judge(
        self,
        settled: Settled,
        choice: Keys,
        before: Looked,
        after: Looked,
        on_target: Looked,
        *,
        found_extra: dict[RowKey, str | None] | None,
    ) -> None:
        """Sort the rows whose state on the source is certain; repair those that differ."""
        real: dict[RowKey, Difference] = {}
        for key in choice.keys:
            first, second = before.get(key, ABSENT), after.get(key, ABSENT)
            seen = on_target.get(key, ABSENT)
            difference = difference_of(second, seen, has_key=bool(self._table.key))
            if first != second:
                continue
            if difference is not None and second is ABSENT and found_extra is not None:
                former, found_extra[key] = found_extra.get(key), seen.versions
                if former != seen.versions:
                    continue
            settled.unsettled.discard(key)
            if difference is not None:
                real[key] = difference
        wanted = [key for key, difference in real.items() if self._is_repaired(difference.kind)]
        if self._repairer is not None and wanted:
            settled.outcomes.update(
                self._repairer.repair(self._source, {key: real[key].kind for key in wanted})
            )
        settled.real.update(real)

    def _wait_for_apply(self, lsn: Lsn) -> bool:
        """Wait until everything before an LSN is applied; give up after a time."""
        context = self._context
        return wait_until_applied(
            context.task,
            source=context.source,
            target=context.target,
            session=self._target,
            lsn=lsn,
            patience_seconds=context.patience_seconds,
            stop=context.stop,
        )

    def _wait_for_writers(self) -> bool:
        """Wait for the transactions that have the source's table locked for writing; give up soon."""
        oids = {"oids": [self._table.source_table.oid, *(leaf.oid for leaf in self._table.leaves)]}
        waited_for = set(self._source.fetch_all(static_sql("writers_of"), oids))
        deadline = time.monotonic() + _WRITERS_SECONDS
        while waited_for:
            if time.monotonic() > deadline:
                return False
            self._context.stop.wait(_POLL_SECONDS)
            self._context.stop.raise_if_set()
            waited_for &= set(self._source.fetch_all(static_sql("writers_of"), oids))
        return True

"""Find the net effect of many changes of one table.

Changes of the same key are merged, so that each key is written once.
What must not be merged stands between the groups as a single change: one that changes a key, one whose
row has no key, and whatever contradicts what came before it (applied one by one, it shows its own error).
Applying the steps in order has the effect of applying the changes one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, Tuple


@dataclass(slots=True)
class NetChange:
    """What becomes of one key.

    INSERT: the row did not exist. UPDATE: it existed; UNCHANGED values keep what the target has.
    DELETE: `row` is the last row known, of which only the key counts.
    A row that came and went is a DELETE of a row that did not exist.
    `changes` are the changes merged, in order.
    """

    operation: Operation
    row: Tuple
    existed: bool
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NetGroup:
    """Net changes of different keys: their order does not matter."""

    net_changes: tuple[NetChange, ...]
    changes: tuple[Change, ...]


Step = NetGroup | Change


def net_steps(changes: Iterable[Change], *, key_positions: tuple[int, ...]) -> Iterator[Step]:
    """Yield the steps that have the effect of `changes`, all of one table and one shape.

    `key_positions` are the key's columns; when empty, only runs of inserts are grouped.
    """
    group = _Group(key_positions)
    for change in changes:
        if not group.take(change):
            yield from group.close()
            yield change
    yield from group.close()


class _Group:
    """Merge changes until one comes that cannot be merged."""

    def __init__(self, key_positions: tuple[int, ...]) -> None:
        self._key_positions = key_positions
        self._by_key: dict[Tuple, NetChange] = {}
        self._keyless: list[NetChange] = []
        self._changes: list[Change] = []

    def take(self, change: Change) -> bool:
        """Merge the change and return True, or leave the group as it is and return False."""
        taken = self._take_keyed(change) if self._key_positions else self._take_keyless(change)
        if taken:
            self._changes.append(change)
        return taken

    def close(self) -> Iterator[NetGroup]:
        """Yield what was collected, if anything, and start anew."""
        if self._changes:
            net_changes = (*self._by_key.values(), *self._keyless)
            yield NetGroup(net_changes=net_changes, changes=tuple(self._changes))
        self._by_key, self._keyless, self._changes = {}, [], []

    def _take_keyless(self, change: Change) -> bool:
        if change.operation is not Operation.INSERT:
            return False
        assert change.new is not None
        self._keyless.append(NetChange(Operation.INSERT, change.new, existed=False, changes=[change]))
        return True

    def _take_keyed(self, change: Change) -> bool:
        key = change.key_before(self._key_positions)
        if UNCHANGED in key or None in key:
            return False
        if change.operation is Operation.UPDATE and change.key_after(self._key_positions) != key:
            return False
        known = self._by_key.get(key)
        if known is not None:
            return self._merge(known, change)
        existed = change.operation is not Operation.INSERT
        self._by_key[key] = NetChange(change.operation, row_of(change), existed, [change])
        return True

    def _merge(self, known: NetChange, change: Change) -> bool:
        merged = _merged(known, change)
        if merged is None:
            return False
        known.operation, known.row = merged
        known.changes.append(change)
        return True


def row_of(change: Change) -> Tuple:
    """Return the row after an insert or update, as far as it was sent; of a delete, the row before."""
    if change.operation is Operation.DELETE:
        assert change.old is not None
        return change.old.values
    return change.completed


def _merged(known: NetChange, change: Change) -> tuple[Operation, Tuple] | None:
    """Return operation and row of the two changes together; None when they contradict each other."""
    match known.operation, change.operation:
        case Operation.INSERT, Operation.UPDATE:
            return Operation.INSERT, overlay(known.row, row_of(change))
        case Operation.UPDATE, Operation.UPDATE:
            return Operation.UPDATE, overlay(known.row, row_of(change))
        case Operation.INSERT | Operation.UPDATE, Operation.DELETE:
            return Operation.DELETE, row_of(change)
        case Operation.DELETE, Operation.INSERT:
            return (Operation.UPDATE if known.existed else Operation.INSERT), row_of(change)
    return None


def overlay(before: Tuple, after: Tuple) -> Tuple:
    """Return the row after with its UNCHANGED values taken from the row before."""
    return tuple([old if new is UNCHANGED else new for old, new in zip(before, after, strict=True)])

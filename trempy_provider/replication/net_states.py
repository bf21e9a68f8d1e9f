"""Find the states in which transactions leave the rows of one table.

For a history, what counts of a transaction is how it leaves each key: with which row, or without one.
The changes of a key within a transaction are merged into one state; the states of a key follow one another.
Transactions of the same commit time are told apart by nothing in a history, so they count as one.

A value that was not sent is taken from the key's state before, when that is among the states; otherwise it
stays UNCHANGED, and is the one the target has for the key that `carried_from` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, Tuple
from trempy_provider.replication.net_changes import overlay, row_of


@dataclass(slots=True)
class KeyState:
    """How a transaction leaves a key; without `is_present` only the key in `row` counts.

    `number` orders the states of a group by the last change of each.
    `carried_from` is the number of the state whose key has the UNCHANGED values of `row` on the target.
    """

    number: int
    committed_at: int  # microseconds since 2000-01-01
    row: Tuple
    is_present: bool
    carried_from: int | None = None


@dataclass(frozen=True, slots=True)
class StateGroup:
    """States by number, and the changes they come from."""

    states: tuple[KeyState, ...]
    changes: tuple[Change, ...]

    @property
    def carries_between_keys(self) -> bool:
        """Tell whether values that were not sent belong to another key on the target."""
        return any(state.carried_from not in (None, state.number) for state in self.states)


def state_groups(changes: Iterable[Change], *, key_positions: tuple[int, ...]) -> Iterator[StateGroup]:
    """Yield groups that have, one after the other, the effect of `changes`, all of one table and one shape.

    One group is the rule; an UPDATE of a row that is known to be gone, with values that were not sent, begins
    another, in which nothing is known of its key.
    """
    builder = _Builder(key_positions)
    for change in changes:
        if not builder.take(change):
            yield builder.close()
            builder.take(change)
    if builder.changes:
        yield builder.close()


@dataclass(slots=True)
class _Builder:
    key_positions: tuple[int, ...]
    changes: list[Change] = field(default_factory=list)
    chains: dict[Tuple, list[KeyState]] = field(default_factory=dict)
    origins: dict[int, Tuple] = field(default_factory=dict)  # by number: the key that has what was not sent
    count: int = 0

    def take(self, change: Change) -> bool:
        """Merge a change and return True; return False when it contradicts what is known of its key."""
        if change.operation is Operation.UPDATE:
            if not self._update(change):
                return False
        elif change.operation is Operation.INSERT:
            self._leave(change, row_of(change), is_present=True)
        else:
            self._leave(change, self._key_row(row_of(change)), is_present=False)
        self.changes.append(change)
        return True

    def close(self) -> StateGroup:
        """Return what was collected and start anew."""
        states = [state for chain in self.chains.values() for state in chain]
        for state in states:
            origin = self.origins.get(state.number)
            if origin is not None:
                is_own = origin == self._key_of(state.row)
                state.carried_from = state.number if is_own else self.chains[origin][0].number
        states.sort(key=lambda state: state.number)
        group = StateGroup(tuple(states), tuple(self.changes))
        self.changes, self.chains, self.origins, self.count = [], {}, {}, 0
        return group

    def _update(self, change: Change) -> bool:
        before = change.key_before(self.key_positions)
        row, origin = row_of(change), before
        if UNCHANGED in row and before in self.chains:
            known = self.chains[before][-1]
            if not known.is_present:
                return False
            origin = self.origins.get(known.number, before)
            row = overlay(known.row, row)
        if change.key_after(self.key_positions) != before:
            assert change.old is not None
            self._leave(change, self._key_row(change.old.values), is_present=False)
        self._leave(change, row, is_present=True, origin=origin)
        return True

    def _leave(self, change: Change, row: Tuple, *, is_present: bool, origin: Tuple | None = None) -> None:
        """Note the state of the row's key after a change."""
        self.count += 1
        committed_at = change.begin.committed_at
        chain = self.chains.setdefault(self._key_of(row), [])
        if chain and chain[-1].committed_at == committed_at:
            self.origins.pop(chain.pop().number, None)
        chain.append(KeyState(self.count, committed_at, row, is_present))
        if origin is not None and UNCHANGED in row:
            self.origins[self.count] = origin

    def _key_of(self, row: Tuple) -> Tuple:
        return tuple([row[position] for position in self.key_positions])

    def _key_row(self, row: Tuple) -> Tuple:
        """Return the row with its key's values only."""
        return tuple([value if i in self.key_positions else None for i, value in enumerate(row)])

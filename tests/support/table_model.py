"""Tables as dictionaries: what changes, and net changes, do to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, Tuple
from trempy_provider.replication.net_changes import NetChange, NetGroup, Step


class ContradictionError(Exception):
    """A row that should not be there is, or the other way round."""


class KeyedTable:
    """A table with a primary key; a change that contradicts it is recorded and has no effect."""

    def __init__(self, rows: Iterable[Tuple], key_positions: tuple[int, ...]) -> None:
        self._key_positions = key_positions
        self.rows = {self._key(row): row for row in rows}
        self.errors: list[Change] = []
        self.undone_groups = 0

    def apply(self, change: Change) -> None:
        """Apply one change as the source did."""
        try:
            self._apply(change)
        except ContradictionError:
            self.errors.append(change)

    def apply_step(self, step: Step) -> None:
        """Apply a step as the mode `default` does: a group at once, or else one by one."""
        if isinstance(step, Change):
            self.apply(step)
            return
        before = dict(self.rows)
        try:
            self._apply_group(step)
        except ContradictionError:
            self.rows, self.undone_groups = before, self.undone_groups + 1
            for change in step.changes:
                self.apply(change)

    def _key(self, row: Tuple) -> Tuple:
        return tuple(row[position] for position in self._key_positions)

    def _apply(self, change: Change) -> None:
        if change.operation is Operation.INSERT:
            assert change.new is not None
            self._insert(change.new)
        elif change.operation is Operation.DELETE:
            self._take(change.key_before(self._key_positions))
        else:
            self._update(change)

    def _update(self, change: Change) -> None:
        assert change.new is not None
        before, after = change.key_before(self._key_positions), change.key_after(self._key_positions)
        if before != after and after in self.rows:
            raise ContradictionError
        self._insert(_overlay(self._take(before), change.new))

    def _apply_group(self, group: NetGroup) -> None:
        order = [Operation.DELETE, Operation.UPDATE, Operation.INSERT]
        for net in sorted(group.net_changes, key=lambda net: order.index(net.operation)):
            self._apply_net(net)

    def _apply_net(self, net: NetChange) -> None:
        if net.operation is Operation.INSERT:
            self._insert(net.row)
        elif not net.existed:
            if self._key(net.row) in self.rows:
                raise ContradictionError
        else:
            row = self._take(self._key(net.row))
            if net.operation is Operation.UPDATE:
                self._insert(_overlay(row, net.row))

    def _insert(self, row: Tuple) -> None:
        if self._key(row) in self.rows:
            raise ContradictionError
        self.rows[self._key(row)] = row

    def _take(self, key: Tuple) -> Tuple:
        if key not in self.rows:
            raise ContradictionError
        return self.rows.pop(key)


class KeylessTable:
    """A table of rows that may be equal."""

    def __init__(self, rows: Iterable[Tuple]) -> None:
        self.rows = Counter(rows)
        self.errors: list[Change] = []

    def apply(self, change: Change) -> None:
        """Apply one change: of equal rows, one is touched."""
        if change.old is not None and not self.rows[change.old.values]:
            self.errors.append(change)
            return
        if change.old is not None:
            self.rows[change.old.values] -= 1
        if change.new is not None:
            old = change.new if change.old is None else change.old.values
            self.rows[_overlay(old, change.new)] += 1

    def apply_step(self, step: Step) -> None:
        """Apply a step."""
        if isinstance(step, Change):
            self.apply(step)
            return
        for net in step.net_changes:
            assert net.operation is Operation.INSERT
            self.rows[net.row] += 1


def _overlay(row: Tuple, new: Tuple) -> Tuple:
    return tuple(before if after is UNCHANGED else after for before, after in zip(row, new, strict=True))

"""Decide for each change what becomes of it: written, held until its table is loaded, or skipped.

A table's state decides.
Before its first load, a table's changes are skipped: the load's snapshot will contain them.
While it is loaded, they are held; if it had been loaded before, they are also written to its present rows,
which readers see until the new ones replace them; the snapshot's LSN is that of the present rows until then.
Afterwards, changes committed before the snapshot are skipped: they are in the loaded rows.
A table that waits to be loaded again, but whose present rows can be followed, is written to meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from trempy_provider.config.choices import OperationName, TruncatePolicy
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.table_states import LoadState, TableState
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import Truncate


@dataclass(slots=True)
class Routed:
    """The changes of one transaction, in order; truncates list the tables to empty."""

    written: list[Change] = field(default_factory=list)
    held: dict[int, list[Change]] = field(default_factory=dict)
    unknown_oids: set[int] = field(default_factory=set)


class Router:
    """Route changes by the states of the task's tables."""

    def __init__(self, task: ReplicationTask, states: dict[int, TableState]) -> None:
        self.states = states
        self._operations = {oid: _operations(task, state) for oid, state in states.items()}

    def route(self, changes: Iterable[Change]) -> Routed:
        """Sort the changes of one transaction."""
        routed = Routed()
        for change in changes:
            if change.operation is Operation.TRUNCATE:
                self._route_truncate(change, routed)
            else:
                self._route(change, change.relation.oid, routed)
        return routed

    def is_written(self, change: Change, oid: int) -> bool:
        """Tell whether a change of table `oid` is written to the target now."""
        state = self.states.get(oid)
        if state is None or change.operation not in self._operations[oid]:
            return False
        if state.state is not LoadState.READY and not was_loaded_before(state):
            return False
        return state.snapshot_lsn is None or change.begin.commit_lsn >= state.snapshot_lsn

    def writes_all(self, oid: int, operations: Collection[Operation], *, since: Lsn) -> bool:
        """Tell whether all changes of a table committed at or after `since` are written, and none is held."""
        state = self.states.get(oid)
        if state is None or state.state is not LoadState.READY:
            return False
        is_after_load = state.snapshot_lsn is None or since >= state.snapshot_lsn
        return is_after_load and self._operations[oid].issuperset(operations)

    def _route(self, change: Change, oid: int, routed: Routed) -> None:
        if oid not in self.states:
            routed.unknown_oids.add(oid)
        elif self._is_held(change, oid):
            routed.held.setdefault(oid, []).append(change)
        if self.is_written(change, oid):
            routed.written.append(change)

    def _route_truncate(self, change: Change, routed: Routed) -> None:
        assert isinstance(change.message, Truncate)
        for oid in change.message.relation_oids:
            if oid not in self.states:
                routed.unknown_oids.add(oid)
            elif self._is_held(change, oid):
                routed.held.setdefault(oid, []).append(change)
        if any(self.is_written(change, oid) for oid in change.message.relation_oids):
            routed.written.append(change)

    def _is_held(self, change: Change, oid: int) -> bool:
        return self.states[oid].state is LoadState.LOADING and change.operation in self._operations[oid]


def was_loaded_before(state: TableState) -> bool:
    """Tell whether the target table holds the rows of an earlier load, and of all changes since."""
    return state.load_finished_at is not None and state.snapshot_lsn is not None


def _operations(task: ReplicationTask, state: TableState) -> frozenset[Operation]:
    selection = task.selection_of(state.source.schema_name, state.source.table_name)
    names = set(OperationName) if selection is None else set(selection.operations)
    if task.cdc.truncate is TruncatePolicy.IGNORE:
        names.discard(OperationName.TRUNCATE)
    return frozenset(Operation(name.value) for name in names)

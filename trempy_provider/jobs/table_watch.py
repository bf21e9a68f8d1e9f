"""Look, beside the stream, for tables whose changes it does not bring any more.

A table that is dropped sends nothing; created again, it is another table, which nobody publishes yet.
A table renamed out of the settings goes on being followed, until another table gets its former name: that is
the one the settings mean then.
A table can leave the publication too: by ALTER PUBLICATION, or when a column of its list of columns is
dropped with CASCADE.
Partitions come and go without a word as well, see `partition_watch`.

By `schema_evolution`: `apply` takes a table created again, or in another's place, into the task, and lets one
that was not published for a while be loaded again; `stop` stops with the reason; `ignore` goes on with the
others.
In any case the table's state has the reason.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from trempy_provider.broker.base import Broker
from trempy_provider.config.choices import SchemaEvolution
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import SourceTableError, TrempyError
from trempy_provider.jobs.partition_watch import PartitionWatch
from trempy_provider.jobs.refresh import refresh
from trempy_provider.postgres.catalog import selection_of
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.setup_lock import is_setting_up
from trempy_provider.postgres.table_states import (
    LoadState,
    TableState,
    read_table_states,
    update_table_state,
    wait_for_load,
)
from trempy_provider.postgres.tables import QualifiedName

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Unfollowed:
    """A table of the task that sends nothing any more, or whose place another table has taken; and why."""

    state: TableState
    is_gone: bool
    is_there_again: bool
    new_name: QualifiedName | None

    @property
    def reason(self) -> str:
        if self.new_name is not None:
            return f"it is called {self.new_name} on the source now, where another table has its name"
        if self.is_there_again:
            return "it was dropped and created again on the source"
        return "it was dropped on the source" if self.is_gone else "it is not published any more"


class TableWatch:
    """Look every few seconds; one per session of capture."""

    def __init__(self, task: ReplicationTask, *, source: Endpoint, target: Endpoint, broker: Broker) -> None:
        self._task = task
        self._source = source
        self._target = target
        self._broker = broker
        self._partitions = PartitionWatch(task)
        self._looked_at: float | None = None

    def look_if_due(self, source: Session, target: Session) -> None:
        """Look if the last look was long enough ago.

        Raise SourceTableError naming the table when the task is to stop.
        """
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at >= _INTERVAL_SECONDS:
            self.look(source, target)
            self._looked_at = now

    def look(self, source: Session, target: Session) -> None:
        """Look now."""
        unfollowed = self._find(source, target)
        for entry in unfollowed:
            self._note(entry, target)
        self._partitions.look(source, target, read_table_states(target, self._task.task_name))
        if any(entry.is_there_again for entry in unfollowed):
            self._refresh()

    def _find(self, source: Session, target: Session) -> list[_Unfollowed]:
        """Return the tables, without those a setup is just taking off: it begins with the publication."""
        states = read_table_states(target, self._task.task_name)
        if not states:
            return []
        rows = source.fetch_all(static_sql("unfollowed_tables"), self._parameters(states))
        if not rows or is_setting_up(target, self._task.task_name):
            return []
        states = read_table_states(target, self._task.task_name)
        found = [self._unfollowed(states, row) for row in rows if row[0] in states]
        return [entry for entry in found if entry.new_name is None or self._has_been_replaced(entry)]

    def _unfollowed(
        self, states: dict[int, TableState], row: tuple[int, bool, int | None, list[str] | None]
    ) -> _Unfollowed:
        oid, is_gone, again, name = row
        new_name = QualifiedName(*name) if name is not None else None
        is_there_again = again is not None and again not in states and (is_gone or new_name is not None)
        return _Unfollowed(states[oid], is_gone, is_there_again, new_name)

    def _has_been_replaced(self, entry: _Unfollowed) -> bool:
        """Tell whether the settings mean another table now; one they choose by its new name too stays."""
        assert entry.new_name is not None
        return entry.is_there_again and selection_of(self._task, entry.new_name) is None

    def _parameters(self, states: dict[int, TableState]) -> dict[str, object]:
        names = [state.source for state in states.values()]
        return {
            "oids": list(states),
            "schemas": [name.schema_name for name in names],
            "tables": [name.table_name for name in names],
            "publication": self._task.publication_name,
        }

    def _note(self, entry: _Unfollowed, target: Session) -> None:
        policy, state = self._task.cdc.schema_evolution, entry.state
        if entry.is_gone or entry.new_name is not None:
            self._tell(entry, target)
        elif state.state is not LoadState.PENDING:
            self._load_again(entry, target)
        if policy is SchemaEvolution.STOP:
            raise SourceTableError(f"source table {state.source} is not followed: {entry.reason}")

    def _tell(self, entry: _Unfollowed, target: Session) -> None:
        told = (
            f"It sends no changes: {entry.reason}."
            if entry.is_gone
            else f"Not the table that is meant: {entry.reason}."
        )
        if entry.state.error == told:
            return
        logger.warning("task %s: table %s: %s", self._task.task_name, entry.state.source, entry.reason)
        update_table_state(target, self._task.task_name, entry.state.source_oid, error=told)

    def _load_again(self, entry: _Unfollowed, target: Session) -> None:
        if not self._task.loads_fully:
            raise SourceTableError(
                f"source table {entry.state.source} sends no changes: {entry.reason}",
                hint="Run `trempy refresh`; changes made meanwhile are missing, and the task loads no rows.",
            )
        logger.warning(
            "task %s: table %s has to be loaded again: %s",
            self._task.task_name,
            entry.state.source,
            entry.reason,
        )
        wait_for_load(target, self._task.task_name, entry.state, reason=entry.reason)

    def _refresh(self) -> None:
        if self._task.cdc.schema_evolution is not SchemaEvolution.APPLY:
            return
        try:
            refresh(self._task, source=self._source, target=self._target, broker=self._broker)
        except TrempyError as error:
            logger.warning("task %s could not take up new tables: %s", self._task.task_name, error)

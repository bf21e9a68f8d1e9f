"""Look for partitions that were attached with rows, detached or dropped: their table has to be loaded again.

Until it is, its changes go on being applied to the rows that the target has.
A table that does not replicate inserts does not miss the rows of an attached partition, and one that does not
replicate deletes keeps those of a detached one.
With `schema_evolution: ignore`, and in a task that loads nothing, it is only told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from trempy_provider.config.choices import OperationName, SchemaEvolution
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.partitions import PartitionLink, brought_rows, read_partition_links
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_states import LoadState, TableState, request_load, update_table_state

logger = logging.getLogger(__name__)


class PartitionWatch:
    """Compare the partitions on the source with those whose rows the target has."""

    def __init__(self, task: ReplicationTask) -> None:
        self._task = task

    def look(self, source: Session, target: Session, states: dict[int, TableState]) -> None:
        """Ask for a load of the tables that need one, and take note of the other partitions."""
        ready = [state for state in states.values() if state.state is LoadState.READY]
        links = read_partition_links(source, [state.source_oid for state in ready])
        for state in ready:
            present = links.get(state.source_oid, [])
            if state.partition_oids != _oids(present):
                self._compare(source, target, state, present)

    def _compare(
        self, source: Session, target: Session, state: TableState, present: Sequence[PartitionLink]
    ) -> None:
        reason = "; ".join(self._losses(source, state, present))
        if reason and self._loads_again:
            logger.warning("task %s: table %s: %s", self._task.task_name, state.source, reason)
            request_load(target, self._task.task_name, state, reason=reason)
            return
        if reason:
            logger.warning(
                "task %s: table %s: %s; its rows on the target are as they were",
                self._task.task_name,
                state.source,
                reason,
            )
        update_table_state(target, self._task.task_name, state.source_oid, partition_oids=_oids(present))

    @property
    def _loads_again(self) -> bool:
        return self._task.loads_fully and self._task.cdc.schema_evolution is not SchemaEvolution.IGNORE

    def _losses(self, source: Session, state: TableState, present: Sequence[PartitionLink]) -> Iterator[str]:
        """Say what of the source the target does not have, or the other way round."""
        if state.partition_oids is None:
            return
        selection = self._task.selection_of(state.source.schema_name, state.source.table_name)
        operations = set(OperationName) if selection is None else set(selection.operations)
        known = set(state.partition_oids)
        if OperationName.INSERT in operations:
            new = (link for link in present if link.oid not in known)
            yield from (
                f"its partition {link.name} was attached with rows"
                for link in new
                if brought_rows(source, link)
            )
        gone = known.difference(_oids(present))
        if gone and OperationName.DELETE in operations:
            yield f"{len(gone)} partition(s) of it were detached or dropped"


def _oids(links: Sequence[PartitionLink]) -> tuple[int, ...]:
    return tuple(sorted(link.oid for link in links))

"""Sync sequences: bring the target's sequences to where the source's stand, before the target takes over.

Logical replication carries rows, not sequences; a load sets them once, and then the source's move on.
Run it for a cutover, when nobody writes to the source any more and apply has caught up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import MetadataError
from trempy_provider.postgres.catalog import find_tables, read_table
from trempy_provider.postgres.metadata_places import read_place
from trempy_provider.postgres.sequences import (
    advance_sequence,
    planned_sequences,
    read_sequence_values,
    wanted_value,
)
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.table_plan import plan_table
from trempy_provider.postgres.tables import QualifiedName, Table


@dataclass(frozen=True, slots=True)
class SyncedSequence:
    """A sequence of the target; `was_set` is False where it was as far already."""

    table: QualifiedName
    column: str
    sequence: QualifiedName
    last_value: int
    follows: str  # the source's sequence, or the rows where that cannot be read
    was_set: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain values."""
        return {
            "table": str(self.table),
            "column": self.column,
            "sequence": str(self.sequence),
            "last_value": self.last_value,
            "follows": self.follows,
            "was_set": self.was_set,
        }


@dataclass(frozen=True, slots=True)
class SyncSequencesReport:
    """The sequences of the task's target tables."""

    task_name: str
    sequences: tuple[SyncedSequence, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain values."""
        return {
            "task_name": self.task_name,
            "set_count": sum(sequence.was_set for sequence in self.sequences),
            "sequences": [sequence.as_dict() for sequence in self.sequences],
        }


def sync_sequences(task: ReplicationTask, *, source: Endpoint, target: Endpoint) -> SyncSequencesReport:
    """Set the sequences of the target tables' serial and identity columns; none is set back.

    Raise MetadataError when the task has not been set up.
    """
    with source.connect("sync_sequences") as source_session, target.connect("sync_sequences") as session:
        if not read_place(session, task.task_name).has_task:
            raise MetadataError(f"task {task.task_name} has not been set up in this target")
        tables = find_tables(source_session, task)
        synced = [entry for table in tables for entry in _sync_table(task, table, source_session, session)]
    return SyncSequencesReport(task.task_name, tuple(synced))


def _sync_table(
    task: ReplicationTask, table: Table, source: Session, target: Session
) -> list[SyncedSequence]:
    plan = plan_table(task, table)
    placed = read_table(target, plan.target)
    if placed is None:
        return []
    sequences = planned_sequences(table, plan)
    values = read_sequence_values(source, sequences)
    synced = []
    for column in placed.columns:
        value = wanted_value(target, placed, column, values)
        if column.sequence is None or value is None:
            continue
        synced.append(
            SyncedSequence(
                table=placed.name,
                column=column.name,
                sequence=column.sequence,
                last_value=value[0],
                follows=str(sequences[column.name]) if column.name in values else "rows",
                was_set=advance_sequence(target, column.sequence, value),
            )
        )
    return synced

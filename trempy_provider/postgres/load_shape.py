"""The shape in which a table is loaded: that of the source in the snapshot, as far as it is replicated.

With `schema_evolution: apply`, the target table follows before its load begins.
From then on its present rows are no longer kept up to date: they wait for the new ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trempy_provider.config.choices import ApplyModeName, SchemaEvolution
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import SchemaChangeError
from trempy_provider.postgres.catalog import read_table, read_target_table
from trempy_provider.postgres.evolution_steps import MakeIdentity, RefuseNull, Step
from trempy_provider.postgres.known_tables import (
    KnownTable,
    known_from_facts,
    read_known_tables,
    write_known_table,
)
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.source_facts import SourceFacts
from trempy_provider.postgres.table_states import TableState, update_table_state
from trempy_provider.postgres.tables import QualifiedName, Table, quote_name
from trempy_provider.postgres.target_steps import steps_between, take_steps
from trempy_provider.postgres.types import add_missing_labels, create_missing_types


@dataclass(frozen=True, slots=True)
class LoadShape:
    """A source table as the snapshot has it, without columns that are not replicated.

    `is_followed`: the target's shape was known, and has followed where it had to.
    `keeps_up`: its present rows are still written to by apply, if they were.
    `last_steps` are to be taken once the present rows are gone.
    """

    table: Table
    known: KnownTable
    is_followed: bool = False
    keeps_up: bool = True
    last_steps: tuple[Step, ...] = ()

    def finish(self, target: Session, table: QualifiedName) -> None:
        """Take the last steps on a table that has the new rows, or none yet."""
        if self.last_steps:
            take_steps(target, read_target_table(target, table), self.last_steps, former_numbers={})


def shape_to_load(
    task: ReplicationTask, target: Session, *, table: Table, facts: SourceFacts, state: TableState
) -> LoadShape:
    """Return the shape in which a table is loaded, after the target has followed if it shall.

    Raise SchemaChangeError naming the column when the target cannot follow or must not.
    """
    known, before = known_from_facts(facts), _known_before(task, target, state)
    last_steps: tuple[Step, ...] | None = None
    match task.cdc.schema_evolution:
        case SchemaEvolution.APPLY:
            add_missing_labels(target, facts.types)
            if before is not None:
                last_steps = _let_target_follow(task, target, state, facts, before=before, after=known)
        case SchemaEvolution.IGNORE if before is not None:
            known = _as_replicated(known, before, state)
            left_out = {entry.column.name for entry in known.columns if entry.alias is None}
            table = replace(
                table, columns=tuple(column for column in table.columns if column.name not in left_out)
            )
    return LoadShape(
        table,
        known,
        is_followed=before is not None,
        keeps_up=last_steps is None,
        last_steps=last_steps or (),
    )


def _known_before(task: ReplicationTask, target: Session, state: TableState) -> KnownTable | None:
    return read_known_tables(target, task.task_name).get(state.source_oid)


def _let_target_follow(
    task: ReplicationTask,
    target: Session,
    state: TableState,
    facts: SourceFacts,
    *,
    before: KnownTable,
    after: KnownTable,
) -> tuple[Step, ...] | None:
    """Take the steps that can be taken now and return the last ones; None if none is to be taken."""
    present = read_table(target, state.target)
    steps = steps_between(task, state, before, after)
    if present is None or all(step.is_done(present, before.target_numbers) for step in steps):
        return None
    last_steps = tuple(step for step in steps if isinstance(step, RefuseNull | MakeIdentity))
    steps = [step for step in steps if step not in last_steps]
    with target.transaction():
        update_table_state(target, task.task_name, state.source_oid, snapshot_lsn=None)
        create_missing_types(target, facts.types)
        take_steps(
            target,
            present,
            steps,
            former_numbers=before.target_numbers,
            keeps_values=task.cdc.mode is ApplyModeName.SCD2,
        )
        write_known_table(target, task.task_name, state.source_oid, _before_last_steps(after, last_steps))
    return last_steps


def _before_last_steps(known: KnownTable, last_steps: tuple[Step, ...]) -> KnownTable:
    names = {step.column for step in last_steps}
    columns = tuple(
        replace(entry, column=replace(entry.column, not_null=False)) if entry.alias in names else entry
        for entry in known.columns
    )
    return replace(known, columns=columns)


def _as_replicated(known: KnownTable, before: KnownTable, state: TableState) -> KnownTable:
    """Leave out columns that were added since the table was first loaded; refuse others that are renamed."""
    former = {entry.attnum: entry.alias for entry in before.columns}
    columns = [replace(entry, alias=former.get(entry.attnum)) for entry in known.columns]
    for entry in columns:
        if entry.alias not in (None, entry.column.name):
            raise SchemaChangeError(
                f"column {quote_name(entry.alias or '')} of source table {state.source} was renamed to "
                f"{quote_name(entry.column.name)}, and target table {state.target} cannot be loaded from it",
                hint="Rename the column of the target table too, and set schema_evolution to apply.",
            )
    return replace(known, columns=tuple(columns))

"""Act on what has changed in one source table, by the task's policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trempy_provider.config.choices import ApplyModeName, SchemaEvolution
from trempy_provider.config.filters import TableFilter
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.transformations import TableTransformation
from trempy_provider.errors import SchemaChangeError
from trempy_provider.postgres.catalog import read_target_table, selection_of
from trempy_provider.postgres.evolution_steps import AddColumn, AllowNull, DropColumn, Step
from trempy_provider.postgres.known_tables import KnownTable
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_evolution import Description, Evolution, Problem
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.tables import Column, quote_name
from trempy_provider.postgres.target_steps import refuse_open_steps, steps_between, take_open_steps
from trempy_provider.postgres.types import create_missing_types
from trempy_provider.replication.messages import ReplicaIdentity

_COLUMN_FIELDS = frozenset({"column_name", "column_names", "depends_on"})


class ReloadNeededError(Exception):
    """The rows that are there are not known any more: the table must be loaded again."""


@dataclass(frozen=True, slots=True)
class ShapeChange:
    """A table before and after a change, with what the stream and the catalog say of it.

    `is_emptied`: it has no rows left, whose values could matter.
    """

    task: ReplicationTask
    state: TableState
    known: KnownTable
    described: Description
    evolution: Evolution
    is_emptied: bool = False

    def follow(self, session: Session) -> bool:
        """Bring the target to the new shape or have somebody do it; return whether it was changed.

        Raise SchemaChangeError naming the column when somebody must, ReloadNeededError when nobody can.
        """
        self._refuse_named_columns()
        match self.task.cdc.schema_evolution:
            case SchemaEvolution.APPLY:
                return self._apply(session)
            case SchemaEvolution.STOP:
                self._stop(session)
            case SchemaEvolution.IGNORE:
                self._ignore(session)
        return False

    def key_columns(self) -> tuple[str, ...]:
        """Return the key by the names its columns have now."""
        numbers = {entry.alias: entry.attnum for entry in self.known.columns}
        names = {entry.attnum: entry.alias for entry in self.evolution.table.columns}
        key = [names.get(numbers.get(name, 0)) for name in self.state.key_columns]
        if None not in key:
            return tuple(name for name in key if name is not None)
        relation, facts = self.described.relation, self.described.facts
        if relation.replica_identity is ReplicaIdentity.FULL:
            return facts.key_columns if set(facts.key_columns) <= set(relation.column_names) else ()
        return tuple(column.name for column in relation.columns if column.is_key)

    @property
    def _problems(self) -> tuple[Problem, ...]:
        problems = self.evolution.problems
        return tuple(problem for problem in problems if not (self.is_emptied and problem.is_of_present))

    def _apply(self, session: Session) -> bool:
        for problem in self._problems:
            raise ReloadNeededError(problem.text)
        steps = self._steps()
        if not steps:
            return False
        self._refuse_to_mix_histories(session, steps)
        create_missing_types(session, self.described.facts.types)
        take_open_steps(session, self.state, steps, former_numbers=self.known.target_numbers)
        return True

    def _refuse_to_mix_histories(self, session: Session, steps: list[Step]) -> None:
        """Let a table be loaded whose versions have values of another column of the same name."""
        added = {step.column for step in steps if isinstance(step, AddColumn)}
        if self.task.cdc.mode is ApplyModeName.SCD2 and added:
            target = read_target_table(session, self.state.target)
            for name in sorted(added & {column.name for column in target.columns}):
                raise ReloadNeededError(f"column {quote_name(name)} was added again")

    def _stop(self, session: Session) -> None:
        if self._problems and not self.evolution.order:
            raise self._reload_by_hand(self._problems[0].text)
        steps = self._steps()
        if steps:
            refuse_open_steps(
                session,
                read_target_table(session, self.state.target),
                steps,
                source=self.state.source,
                former_numbers=self.known.target_numbers,
            )
        for problem in self._problems:
            if problem.retyped is None:
                raise self._reload_by_hand(problem.text)

    def _ignore(self, session: Session) -> None:
        """Let only what would lose rows be changed: a column of the target that refuses to stay empty."""
        steps = self._steps()
        gone = [step.column for step in steps if isinstance(step, DropColumn)]
        target = read_target_table(session, self.state.target) if steps else None
        columns = () if target is None else target.columns
        wanted: list[Step] = [AllowNull(c.name) for c in columns if c.name in gone and _must_be_given(c)]
        wanted += [step for step in steps if isinstance(step, AllowNull)]
        if target is not None and wanted:
            refuse_open_steps(session, target, wanted, source=self.state.source, former_numbers={})

    def _steps(self) -> list[Step]:
        return steps_between(
            self.task, self.state, self.known, self.evolution.table, values=self.evolution.values
        )

    def _refuse_named_columns(self) -> None:
        """Refuse to follow a renamed column that the settings name: what they say of it would be lost."""
        named = _names_in_settings(self.task, self.state)
        for entry in self.evolution.table.columns:
            former = self.known.column(entry.attnum)
            if former is None or former.alias is None or former.alias == entry.alias:
                continue
            if not named.isdisjoint((former.alias, entry.alias)):
                raise SchemaChangeError(
                    f"column {quote_name(former.alias)} of source table {self.state.source}, which the "
                    f"settings name, was renamed to {quote_name(entry.column.name)}",
                    hint="Change the name in the settings, then start the task again.",
                )

    def _reload_by_hand(self, problem: str) -> SchemaChangeError:
        return SchemaChangeError(
            f"source table {self.state.source} has changed: {problem}",
            hint=f"Make the target table like it, then run `trempy reload --table {self.state.source}`.",
        )


def _names_in_settings(task: ReplicationTask, state: TableState) -> set[str]:
    """Return the columns that the settings name for a table, by a pattern of its name too."""
    selection = selection_of(task, state.source)
    names = set() if selection is None else {*(selection.columns or ()), *selection.exclude_columns}
    schema_name, table_name = state.source.schema_name, state.source.table_name
    entries: list[TableFilter | TableTransformation] = [*task.filters, *task.transformations]
    for entry in entries:
        if entry.table_info.matches(schema_name, table_name):
            names |= _column_names(entry.settings.model_dump())
    return names


def _column_names(settings: dict[str, Any]) -> set[str]:
    names: set[str] = set()
    for field, value in settings.items():
        if isinstance(value, dict):
            names |= _column_names(value)
        elif field in _COLUMN_FIELDS and value is not None:
            names |= {value} if isinstance(value, str) else set(value)
    return names


def _must_be_given(column: Column) -> bool:
    has_value = column.default_sql is not None or column.identity or column.generated
    return column.not_null and not has_value

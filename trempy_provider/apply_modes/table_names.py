"""Follow the names of source tables.

Changes find their table by its OID, so a renamed table goes on being written to its target.
With `schema_evolution: apply`, a target table that the task has created takes the new name too, if the
settings say the same of both names.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from psycopg2 import sql

from trempy_provider.config.chaining import Masks, masks_of
from trempy_provider.config.choices import SchemaEvolution
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import SchemaChangeError
from trempy_provider.postgres.catalog import read_table, selection_of
from trempy_provider.postgres.known_tables import KnownTable
from trempy_provider.postgres.namespaces import ensure_schema
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_plan import TablePlan, plan_table
from trempy_provider.postgres.table_states import TableState, update_table_state
from trempy_provider.postgres.tables import QualifiedName

logger = logging.getLogger(__name__)


def follow_name(
    session: Session, task: ReplicationTask, state: TableState, known: KnownTable, name: QualifiedName
) -> TableState:
    """Return the state of a table that is called `name` on the source now.

    Raise SchemaChangeError when the target cannot follow, or must be changed by hand.
    """
    if name == known.name:
        return state
    following = _Renaming(session, task, state, known, name)
    match task.cdc.schema_evolution:
        case SchemaEvolution.APPLY:
            return following.apply()
        case SchemaEvolution.STOP:
            return following.stop()
        case SchemaEvolution.IGNORE:
            return state


class _Renaming:
    def __init__(
        self,
        session: Session,
        task: ReplicationTask,
        state: TableState,
        known: KnownTable,
        name: QualifiedName,
    ) -> None:
        self._session = session
        self._task = task
        self._state = state
        self._former_name = known.name
        self._name = name
        self._before, self._now = (
            plan_table(task, known.replicated(state.source_oid, each), knows_keys=False)
            for each in (known.name, name)
        )

    def apply(self) -> TableState:
        if not self._means_the_same():
            logger.warning(
                "task %s: source table %s is called %s now; change its name in the settings",
                self._task.task_name,
                self._former_name,
                self._name,
            )
            return self._state
        target = self._now.target if self._state.created_by_task else self._state.target
        if target != self._state.target:
            self._rename_target(target)
        return self._take_names(target)

    def stop(self) -> TableState:
        if self._state.source == self._name:  # the settings have been changed
            return self._state
        if self._was_renamed_by_hand() and self._masks(self._former_name) == self._masks(self._name):
            return self._take_names(self._now.target)
        raise SchemaChangeError(
            f"source table {self._former_name} was renamed to {self._name}",
            hint=f"Rename the target table {self._state.target} too; or let the settings name {self._name} "
            "and run `trempy refresh`, to go on with the target table as it is called.",
        )

    def _means_the_same(self) -> bool:
        """Tell whether the settings choose the table under both names and make the same of it."""
        selections = [selection_of(self._task, name) for name in (self._former_name, self._name)]
        return None not in selections and _meaning(self._before) == _meaning(self._now)

    def _masks(self, name: QualifiedName) -> Masks:
        """Return what capture masks of the table under a name: under another one it may not pass bare."""
        columns = [column.name for column in self._before.columns]
        return masks_of(self._task, (name.schema_name, name.table_name), columns)

    def _rename_target(self, target: QualifiedName) -> None:
        if self._was_renamed_by_hand():
            return
        if read_table(self._session, target) is not None:
            raise SchemaChangeError(
                f"source table {self._former_name} was renamed to {self._name}, and target table "
                f"{self._state.target} cannot follow: {target} exists",
                hint=f"Rename {target} on the target, then {self._state.target} to {target}.",
            )
        ensure_schema(self._session, target.schema_name)
        for statement in rename_table_sql(self._state.target, target):
            self._session.execute(statement)

    def _was_renamed_by_hand(self) -> bool:
        former, present = self._state.target, self._now.target
        return read_table(self._session, former) is None and read_table(self._session, present) is not None

    def _take_names(self, target: QualifiedName) -> TableState:
        update_table_state(
            self._session,
            self._task.task_name,
            self._state.source_oid,
            source=self._name,
            target=target,
        )
        return replace(self._state, source=self._name, target=target)


def rename_table_sql(name: QualifiedName, new_name: QualifiedName) -> list[sql.Composed]:
    """Compose the move of a table to another schema and its renaming, as far as needed."""
    statements = []
    if new_name.schema_name != name.schema_name:
        statements.append(
            sql.SQL("alter table {} set schema {}").format(
                name.identifier, sql.Identifier(new_name.schema_name)
            )
        )
    if new_name.table_name != name.table_name:
        moved = QualifiedName(new_name.schema_name, name.table_name)
        statements.append(
            sql.SQL("alter table {} rename to {}").format(
                moved.identifier, sql.Identifier(new_name.table_name)
            )
        )
    return statements


def _meaning(plan: TablePlan) -> tuple[object, ...]:
    """Return what a plan makes of a table, and what name it gives if not the source's."""
    schema_name, table_name = plan.target.schema_name, plan.target.table_name
    given_names = (
        None if schema_name == plan.source.schema_name else schema_name,
        None if table_name == plan.source.table_name else table_name,
    )
    return plan.columns, plan.conditions, plan.problems, given_names

"""Follow the columns of source tables as they change in mid-stream.

Before the first changes in a table's new shape are written, what is known of the table is compared with the
stream's description and the catalog's facts.
By `schema_evolution`, the target then follows (`apply`), or keeps the columns it has (`ignore`), or somebody
must change it first (`stop`).
All of it happens in the transaction that writes those changes; so each change of shape is followed once.

Where the values of rows that are there cannot be known, the table waits for a new load; the others go on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from trempy_provider.apply_modes.relation_view import View, facts_of, view_of
from trempy_provider.apply_modes.shape_change import ReloadNeededError, ShapeChange
from trempy_provider.apply_modes.table_names import follow_name
from trempy_provider.config.choices import SchemaEvolution
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import SchemaChangeError
from trempy_provider.postgres.catalog import read_table
from trempy_provider.postgres.known_tables import (
    KnownTable,
    known_from_facts,
    read_known_tables,
    write_known_table,
)
from trempy_provider.postgres.relation_types import read_relation_types
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.source_facts import SourceFacts
from trempy_provider.postgres.table_evolution import Description, find_evolution, settle
from trempy_provider.postgres.table_states import TableState, update_table_state, wait_for_load
from trempy_provider.postgres.target_steps import steps_between, take_open_steps
from trempy_provider.replication.changes import Shape
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import Relation

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of a table; `view` None: it waits for a new load."""

    state: TableState
    view: View | None
    target_changed: bool = False


class Evolver:
    """Compare what the stream describes with what is known, and act on it; one per session of apply."""

    def __init__(self, session: Session, task: ReplicationTask) -> None:
        self._session = session
        self._task = task
        self._known: dict[int, KnownTable] | None = None
        self._views: dict[int, tuple[tuple[bytes, ...], View]] = {}

    def forget(self) -> None:
        """Forget what was read, after a roll-back or when tables were loaded."""
        self._known = None
        self._views.clear()

    def follow(
        self,
        shape: Shape,
        *,
        state: TableState,
        first_lsn: Lsn,
        commit_lsn: Lsn,
        end_lsn: Lsn,
        is_emptied: bool = False,
    ) -> Followed:
        """Let the target follow a table's shape before changes in it are written.

        The LSNs are those of the transaction of the last of these changes; `first_lsn` is the first one's
        commit: what was read ahead of that holds for all of them.
        `is_emptied`: the changes are a TRUNCATE, which has been done.
        Raise SchemaChangeError naming the column when the target must be changed by hand.
        """
        payloads, view = self._views.get(state.source_oid, ((), None))
        if view is not None and payloads == shape.payloads:
            return self._settle(state, view, first_lsn)
        followed = self._compare(shape, state, first_lsn, (commit_lsn, end_lsn), is_emptied=is_emptied)
        if followed.view is not None:
            self._views[state.source_oid] = shape.payloads, followed.view
        return followed

    def view_of(self, shape: Shape) -> View:
        """Return how changes in a shape are replicated, as far as it has been followed."""
        payloads, view = self._views.get(shape.relation.oid, ((), None))
        return view if view is not None and payloads == shape.payloads else View(shape.relation)

    def _compare(
        self, shape: Shape, state: TableState, first_lsn: Lsn, last: tuple[Lsn, Lsn], *, is_emptied: bool
    ) -> Followed:
        relation, facts = shape.relation, facts_of(shape)
        known = self._tables().get(state.source_oid)
        if facts is None or known is None:
            return self._adopt(relation, facts, state)
        if facts.name is None:
            return self._follow_to_the_end(relation, known, state)
        state = follow_name(self._session, self._task, state, known, facts.name)
        types = read_relation_types(self._session, shape)
        described = Description(relation, types, facts, *last)
        policy = self._task.cdc.schema_evolution
        evolution = find_evolution(
            settle(known, first_lsn),
            described,
            renames=policy is not SchemaEvolution.IGNORE,
            trusts_catalog=policy is not SchemaEvolution.APPLY,
        )
        change = ShapeChange(self._task, state, known, described, evolution, is_emptied)
        try:
            is_changed = change.follow(self._session)
        except ReloadNeededError as error:
            return self._wait_for_load(state, str(error))
        is_changed = is_changed or known.name != facts.name
        return self._note(change, state, is_changed=is_changed)

    def _note(self, change: ShapeChange, state: TableState, *, is_changed: bool) -> Followed:
        """Record the new shape, and the key if it has got other names."""
        table = change.evolution.table
        if table.columns != change.known.columns or not table.target_numbers:
            table = self._with_target_numbers(table, state)
        if _says_more(table, change.known):
            self._write(state, table)
        key_columns = change.key_columns()
        if key_columns != state.key_columns:
            update_table_state(self._session, self._task.task_name, state.source_oid, key_columns=key_columns)
            state = replace(state, key_columns=key_columns)
        view = view_of(change.described.relation, table, change.evolution.order)
        return Followed(state, view, target_changed=is_changed)

    def _settle(self, state: TableState, view: View, first_lsn: Lsn) -> Followed:
        """Take what was read ahead as true once the stream has come there."""
        known = self._tables().get(state.source_oid)
        if known is None or (settled := settle(known, first_lsn)) == known:
            return Followed(state, view)
        is_changed = False
        if self._task.cdc.schema_evolution is SchemaEvolution.APPLY:
            steps = steps_between(self._task, state, known, settled)
            is_changed = bool(steps)
            take_open_steps(self._session, state, steps, former_numbers=known.target_numbers)
        self._write(state, settled)
        return Followed(state, view, target_changed=is_changed)

    def _adopt(self, relation: Relation, facts: SourceFacts | None, state: TableState) -> Followed:
        """Take a table as it comes: it is not known yet, or nothing is told of it."""
        if facts is not None and facts.name is not None:
            known = known_from_facts(facts)
            if relation.column_names == known.travelling_names:
                self._write(state, self._with_target_numbers(known, state))
        return Followed(state, View(relation))

    def _follow_to_the_end(self, relation: Relation, known: KnownTable, state: TableState) -> Followed:
        """Go on with a table that has been dropped since, as long as it is as it was."""
        if relation.column_names == known.travelling_names:
            numbers = tuple(entry.attnum for entry in known.columns if not entry.column.generated)
            return Followed(state, view_of(relation, known, numbers))
        problem = "it was changed and then dropped on the source"
        if self._task.cdc.schema_evolution is SchemaEvolution.STOP:
            raise SchemaChangeError(
                f"source table {state.source} has changed: {problem}",
                hint="Take it out of tables[], or run `trempy refresh` if it was created again.",
            )
        return self._wait_for_load(state, problem)

    def _wait_for_load(self, state: TableState, reason: str) -> Followed:
        """Write no more to a table until it has been loaded again."""
        if not self._task.loads_fully:
            raise SchemaChangeError(
                f"source table {state.source} has changed: {reason}; and the task loads no rows",
                hint="Set replication_type to full_load_and_cdc, run setup, then load the table.",
            )
        logger.warning(
            "task %s: table %s has to be loaded again: %s", self._task.task_name, state.source, reason
        )
        return Followed(wait_for_load(self._session, self._task.task_name, state, reason=reason), None)

    def _with_target_numbers(self, known: KnownTable, state: TableState) -> KnownTable:
        target = read_table(self._session, state.target)
        return known if target is None else known.on_target(target)

    def _tables(self) -> dict[int, KnownTable]:
        if self._known is None:
            self._known = read_known_tables(self._session, self._task.task_name)
        return self._known

    def _write(self, state: TableState, known: KnownTable) -> None:
        write_known_table(self._session, self._task.task_name, state.source_oid, known)
        self._tables()[state.source_oid] = known


def _says_more(table: KnownTable, known: KnownTable) -> bool:
    """Tell whether anything but the moment differs."""
    if replace(table, ahead=None) != replace(known, ahead=None):
        return True
    before, now = known.ahead, table.ahead
    if now is None:
        return before is not None
    as_known = (known.attribute_count, known.storage, known.not_null)
    ahead = (now.attribute_count, now.storage, now.not_null)
    return ahead != (
        as_known if before is None else (before.attribute_count, before.storage, before.not_null)
    )

"""The shapes of changes that were held back while their table was loaded."""

from __future__ import annotations

from trempy_provider.apply_modes.relation_view import View, facts_of, view_of
from trempy_provider.config.choices import SchemaEvolution
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.known_tables import KnownTable
from trempy_provider.postgres.load_snapshot import SnapshotLostError
from trempy_provider.postgres.relation_types import read_relation_types
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_evolution import Description, find_evolution
from trempy_provider.replication.changes import Shape
from trempy_provider.replication.lsn import NO_LSN


class HeldShapes:
    """Compare the shapes of held changes with that of the snapshot, into whose rows they are replayed."""

    def __init__(self, session: Session, task: ReplicationTask, known: KnownTable) -> None:
        self._session = session
        self._ignores = task.cdc.schema_evolution is SchemaEvolution.IGNORE
        self._known = known

    def view(self, shape: Shape) -> View:
        """Return how changes in a shape are replayed.

        Raise SnapshotLostError when the table has changed since the snapshot; the next one has the change.
        """
        facts = facts_of(shape)
        if facts is None:
            return View(shape.relation)
        if facts.name is None:
            raise SnapshotLostError(f"{self._known.name} was dropped since the snapshot was taken")
        types = read_relation_types(self._session, shape)
        described = Description(shape.relation, types, facts, commit_lsn=NO_LSN, end_lsn=NO_LSN)
        evolution = find_evolution(
            self._known, described, renames=not self._ignores, trusts_catalog=self._ignores
        )
        if evolution.problems or self._is_changed(evolution.table):
            raise SnapshotLostError(f"{self._known.name} was changed since the snapshot was taken")
        self._known = evolution.table
        return view_of(shape.relation, evolution.table, evolution.order)

    def _is_changed(self, table: KnownTable) -> bool:
        """Tell whether the columns that are replicated are others now, or have got another name or type."""
        before, now = _replicated(self._known), _replicated(table)
        return before.keys() != now.keys() if self._ignores else before != now


def _replicated(known: KnownTable) -> dict[int, tuple[str, int, int]]:
    return {
        entry.attnum: (entry.alias, entry.column.type_oid, entry.type_modifier)
        for entry in known.columns
        if entry.alias is not None and not entry.column.generated
    }

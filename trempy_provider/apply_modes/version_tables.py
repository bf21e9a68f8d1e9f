"""The temporary tables in which versions are made: of states, and of the versions that follow from them.

They live as long as their session, and are empty after every commit.
"""

from __future__ import annotations

from psycopg2 import sql

from trempy_provider.apply_modes.versioned_table import VersionedColumn, VersionedTable
from trempy_provider.apply_modes.versions import create_states_sql, create_versions_sql
from trempy_provider.postgres.session import Session

_Owner = tuple[tuple[str, ...], tuple[VersionedColumn, ...]]


class VersionTables:
    """The pairs of tables of one session, made when first needed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pairs: dict[_Owner, tuple[sql.Identifier, sql.Identifier]] = {}
        self._filled: set[_Owner] = set()
        self._made_count = 0

    def begin(self) -> None:
        """Note that a new transaction starts: all tables are empty."""
        self._filled.clear()

    def prepare(self, table: VersionedTable) -> None:
        """Make the tables for a target table if they are missing."""
        if _owner(table) not in self._pairs:
            self._pairs[_owner(table)] = self._make(table)

    def pair_of(self, table: VersionedTable) -> tuple[sql.Identifier, sql.Identifier]:
        """Return the tables of states and of versions for a target table, empty."""
        self.prepare(table)
        owner = _owner(table)
        if owner in self._filled:
            self._session.execute(sql.SQL("truncate {}, {}").format(*self._pairs[owner]))
        self._filled.add(owner)
        return self._pairs[owner]

    def forget(self) -> None:
        """Drop all of them: a roll-back may have taken some, or the target's tables have changed."""
        for pair in self._pairs.values():
            self._session.execute(sql.SQL("drop table if exists {}, {}").format(*pair))
        self._pairs.clear()
        self._filled.clear()

    def _make(self, table: VersionedTable) -> tuple[sql.Identifier, sql.Identifier]:
        self._made_count += 1
        states = sql.Identifier("pg_temp", f"trempy_states_{self._made_count}")
        versions = sql.Identifier("pg_temp", f"trempy_versions_{self._made_count}")
        self._session.execute(create_states_sql(table, states))
        self._session.execute(create_versions_sql(table, versions))
        return states, versions


def _owner(table: VersionedTable) -> _Owner:
    return tuple(table.target.strings), table.columns

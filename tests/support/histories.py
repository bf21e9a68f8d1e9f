"""What the history of a table has to be, from what its source showed after every transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.support.databases import Database, DatabasePair, connect
from tests.support.history_model import Histories, Version
from trempy_provider.replication import pgoutput
from trempy_provider.replication.changes import microseconds_of
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.messages import Begin

Rows = dict[Any, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Moment:
    """A transaction of the source, and the rows it left."""

    xid: int
    rows: Rows


@dataclass
class SourceHistory:
    """Record the rows of a table after each transaction; commit times come from a slot of its own.

    `query` selects the rows as the target is to have them, the key first.
    """

    databases: DatabasePair
    query: str
    key_count: int = 1
    moments: list[Moment] = field(default_factory=list)
    slot: str = field(default_factory=lambda: f"watch_{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        superuser = self.databases.source_superuser
        superuser.execute(f"create publication {self.slot} for all tables")
        superuser.execute(f"select pg_create_logical_replication_slot('{self.slot}', 'pgoutput')")
        self.first_rows = self._by_key(self.databases.source_admin.fetch_all(self.query))

    def commit(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with connect(self.databases.source_admin_uri) as connection, connection.cursor() as cursor:
            self._commit(cursor, statements)

    def commit_each(self, transactions: Iterable[Sequence[str]]) -> None:
        """Run many transactions, each of some statements."""
        with connect(self.databases.source_admin_uri) as connection, connection.cursor() as cursor:
            for statements in transactions:
                self._commit(cursor, statements)

    def _commit(self, cursor: Any, statements: Sequence[str]) -> None:
        cursor.execute("begin")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("select pg_current_xact_id()::text::bigint")
        xid = cursor.fetchone()[0]
        cursor.execute(self.query)
        self.moments.append(Moment(xid, self._by_key(cursor.fetchall())))
        cursor.execute("commit")

    def expected(
        self, *, loaded_at: int | None = None, loaded_until: Lsn = NO_LSN
    ) -> dict[Any, list[Version]]:
        """Return the histories, by key; the rows of a load have one version from `loaded_at` on.

        What committed before `loaded_until` is in the loaded rows.
        """
        histories, begins = Histories(), self._begins()
        rows = self.first_rows
        effective = [moment for moment in self.moments if moment.xid in begins]
        for moment in effective:
            if begins[moment.xid].commit_lsn < loaded_until:
                rows = moment.rows
        if loaded_at is not None:
            _leave_all(histories, loaded_at, {}, rows)
        for moment in effective:
            begin = begins[moment.xid]
            if begin.commit_lsn >= loaded_until:
                _leave_all(histories, begin.committed_at, rows, moment.rows)
                rows = moment.rows
        return histories.versions()

    def _begins(self) -> dict[int, Begin]:
        """Return the transactions that changed anything."""
        rows = self.databases.source_superuser.fetch_all(
            "select data from pg_logical_slot_peek_binary_changes"
            f"('{self.slot}', null, null, 'proto_version', '1', 'publication_names', '{self.slot}')"
        )
        messages = [pgoutput.decode(bytes(data)) for (data,) in rows if bytes(data)[:1] == b"B"]
        return {message.xid: message for message in messages if isinstance(message, Begin)}

    def _by_key(self, rows: Sequence[tuple[Any, ...]]) -> Rows:
        return {row[: self.key_count]: row for row in rows}


def _leave_all(histories: Histories, moment: int, before: Rows, after: Rows) -> None:
    for key in before.keys() | after.keys():
        histories.leave(key, moment, after.get(key))


def read_history(
    database: Database,
    query: str,
    *,
    key_count: int = 1,
    columns: Sequence[str] = ("scd_start_date", "scd_end_date", "scd_current"),
) -> dict[Any, list[Version]]:
    """Return the versions of a target table by key, and check what holds for every history.

    `query` ends in its `from` clause and selects the key first.
    """
    select, source = query.split(" from ", 1)
    start, end, current = columns
    rows = database.fetch_all(f"{select}, {start}, {end}, {current} from {source} order by {start}")
    histories: dict[Any, list[Version]] = {}
    for *row, started, ended, flag in rows:
        version = Version(_microseconds(started), _microseconds(ended), tuple(row))
        assert flag == (1 if ended is None else 0)
        assert version.end is None or version.start < version.end
        histories.setdefault(tuple(row[:key_count]), []).append(version)
    for chain in histories.values():
        for earlier, later in pairwise(chain):
            assert earlier.end is not None
            assert earlier.end <= later.start
    return histories


def loaded_at(database: Database, table: str, *, start: str = "scd_start_date") -> int:
    """Return the one time at which the first versions of a load start: the earliest there is."""
    return _microseconds(database.fetch_value(f"select min({start}) from {table}"))


def _microseconds(moment: Any) -> Any:
    return None if moment is None else microseconds_of(moment)

"""The row-by-row oracle: what the target must hold, from a slot of its own, change after change in order.

It knows nothing of batches, net changes, staging and statements.
Keyed tables are dictionaries, tables without a key are bags; a change that contradicts them is an error here,
so the oracle is checked against the source as well.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg2

from sandbox.compare import TEXT_SETTINGS
from tests.model.schema_changes import PREFIX
from tests.support.databases import Database
from trempy_provider.replication import pgoutput
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.messages import (
    UNCHANGED,
    Begin,
    Delete,
    Insert,
    LogicalMessage,
    Relation,
    Truncate,
    Tuple,
    Update,
)

READ_CHANGES = """
select data from pg_logical_slot_get_binary_changes(%s, null, null,
    'proto_version', '1', 'publication_names', %s, 'messages', 'true')
"""
# As COPY's text format writes them.
ESCAPES = {
    b"\\": b"\\\\",
    b"\b": b"\\b",
    b"\f": b"\\f",
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
    b"\v": b"\\v",
}
_TO_ESCAPE = re.compile(b"[" + re.escape(b"".join(ESCAPES)) + b"]")


@dataclass(slots=True)
class OracleTable:
    """One table: its columns as they are now, and its rows."""

    key: tuple[str, ...]
    columns: list[str]
    rows: Counter[Tuple] = field(default_factory=Counter)
    by_key: dict[Tuple, Tuple] = field(default_factory=dict)

    def apply(self, message: Insert | Update | Delete, relation: Relation) -> None:
        """Do what the message says to exactly one row."""
        assert list(relation.column_names) == self.columns, f"{relation.table_name}: {self.columns}"
        if isinstance(message, Insert):
            self._add(message.new)
            return
        if isinstance(message, Delete):
            self._take(message.old.values)
            return
        old = self._take(message.new if message.old is None else message.old.values)
        self._add(
            tuple([was if now is UNCHANGED else now for was, now in zip(old, message.new, strict=True)])
        )

    def truncate(self) -> None:
        self.rows.clear()
        self.by_key.clear()

    def change_shape(self, change: str, column: str, value: str | None) -> None:
        """Add, drop or rename a column, of the rows too."""
        if change == "rename":
            assert value is not None
            self.columns[self.columns.index(column)] = value
            self.key = tuple(value if name == column else name for name in self.key)
            return
        if change == "add":
            self.columns.append(column)
            filling = None if value is None else value.encode()
            self._map(lambda row: (*row, filling))
            return
        position = self.columns.index(column)
        del self.columns[position]
        self._map(lambda row: (*row[:position], *row[position + 1 :]))

    def lines(self) -> Counter[bytes]:
        """Return the rows as COPY writes them, with how often each is there."""
        rows = Counter(self.by_key.values()) if self.key else self.rows
        return Counter({_line(row): count for row, count in rows.items()})

    def _add(self, row: Tuple) -> None:
        assert UNCHANGED not in row
        if not self.key:
            self.rows[row] += 1
            return
        key = self._key_of(row)
        assert key not in self.by_key, f"a row with the key of another: {key!r}"
        self.by_key[key] = row

    def _take(self, row: Tuple) -> Tuple:
        """Remove the row that is identified, and return it."""
        if self.key:
            return self.by_key.pop(self._key_of(row))
        assert self.rows[row], f"no such row: {row!r}"
        self.rows[row] -= 1
        if not self.rows[row]:
            del self.rows[row]
        return row

    def _key_of(self, row: Tuple) -> Tuple:
        return tuple([row[self.columns.index(name)] for name in self.key])

    def _map(self, change: Callable[[Tuple], Tuple]) -> None:
        """Change every row; rows that have become equal are as many as they were together."""
        rows, self.rows = self.rows, Counter()
        for row, count in rows.items():
            self.rows[change(row)] += count
        self.by_key = {key: change(row) for key, row in self.by_key.items()}


class Oracle:
    """The tables of a task as the source's stream tells them; begins before the first row."""

    def __init__(
        self,
        source: Database,
        *,
        name: str,
        keys: Mapping[str, tuple[str, ...]],
        columns: Mapping[str, Sequence[str]],
    ) -> None:
        self._source = source
        self._name = name
        self.tables = {table: OracleTable(keys[table], list(columns[table])) for table in keys}
        self._relations: dict[int, Relation] = {}
        self._end_lsn = NO_LSN
        self._is_old = False
        self.change_count = 0
        named = ", ".join(keys)
        source.execute(f"create publication {name} for table {named}")
        source.fetch_all("select pg_create_logical_replication_slot(%s, 'pgoutput')", [name])

    def read(self) -> None:
        """Apply what has been committed since the last time; after a crash the slot may tell it again."""
        options = " ".join(f"-c {name}={value}" for name, value in TEXT_SETTINGS.items())
        connection = psycopg2.connect(self._source.uri, options=options)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(READ_CHANGES, [self._name, self._name])
                self._apply_all(bytes(data) for (data,) in cursor)
        finally:
            connection.close()

    def _apply_all(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            message = pgoutput.decode(payload)
            if isinstance(message, Begin):
                self._is_old = message.commit_lsn <= self._end_lsn
                self._end_lsn = max(self._end_lsn, Lsn(message.commit_lsn))
            elif isinstance(message, Relation):
                self._relations[message.oid] = message
            elif not self._is_old:
                self._apply(message)

    def _apply(self, message: object) -> None:
        if isinstance(message, Insert | Update | Delete):
            relation = self._relations[message.relation_oid]
            self.tables[f"{relation.schema_name}.{relation.table_name}"].apply(message, relation)
            self.change_count += 1
        elif isinstance(message, Truncate):
            for oid in message.relation_oids:
                relation = self._relations[oid]
                self.tables[f"{relation.schema_name}.{relation.table_name}"].truncate()
        elif isinstance(message, LogicalMessage) and message.prefix == PREFIX:
            told = json.loads(message.content)
            table = self.tables[f"{PREFIX}.{told['table']}"]
            table.change_shape(told["change"], told["column"], told["value"])


def _line(row: Tuple) -> bytes:
    fields = [b"\\N" if value is None else _TO_ESCAPE.sub(lambda m: ESCAPES[m[0]], value) for value in row]
    return b"\t".join(fields)

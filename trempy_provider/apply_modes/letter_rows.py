"""Which changes of a dead letter may still be written: those of rows that nothing has changed since.

What happened to its rows after it was passed over has been noted by `later_changes.py`.
A change is refused when its row has changed since, or a row that its row was made of or became: an UPDATE of
the key joins two rows, and all that is joined is refused together.
All of a table is refused when its rows cannot be told apart with certainty and any has changed; when the
table was truncated since, or its rows are told apart by other columns; and when the letter itself truncates
it and anything of it has changed since.
A truncate of several tables joins them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trempy_provider.apply_modes.applier import Applier
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.replication.changes import Change, Operation, Transaction


@dataclass(slots=True)
class _TableFacts:
    """What is known of one table of the letter."""

    identity_columns: list[str]
    is_exact: bool
    is_changed: bool
    is_replaced: bool
    is_truncated: bool = False  # by the letter

    @property
    def is_refused(self) -> bool:
        return self.is_replaced or (self.is_changed and (self.is_truncated or not self.is_exact))


class LetterRows:
    """Judge the changes of one dead letter; show all of them to `read` first, then ask."""

    def __init__(self, session: Session, dead_letter_id: int, applier: Applier) -> None:
        self._applier = applier
        rows = session.fetch_all(static_sql("read_letter_tables"), {"dead_letter_id": dead_letter_id})
        self._tables = {oid: _TableFacts(*facts) for oid, *facts in rows}
        self._joined_tables: list[tuple[int, ...]] = []
        self._rows: dict[int, _Joined] = {}
        self._changed: dict[int, set[bytes]] = {}
        for oid, table in self._tables.items():
            if table.is_changed:
                parameters = {"dead_letter_id": dead_letter_id, "source_oid": oid}
                digests = session.fetch_all(static_sql("read_changed_rows"), parameters)
                self._changed[oid] = {bytes(digest) for (digest,) in digests}

    @property
    def source_oids(self) -> tuple[int, ...]:
        """The tables of the letter."""
        return tuple(self._tables)

    def read(self, transactions: Iterable[Transaction]) -> None:
        """Take note of what joins rows and tables."""
        for transaction in transactions:
            for change in transaction.changes:
                if change.operation is Operation.TRUNCATE:
                    self._read_truncate(change)
                elif change.operation is Operation.UPDATE:
                    self._read_update(change)

    def close(self) -> None:
        """Settle what follows from everything read."""
        while any(self._refuse_joined(oids) for oids in self._joined_tables):
            pass
        for oid, joined in self._rows.items():
            changed = self._changed.setdefault(oid, set())
            self._changed[oid] = {joined.root(digest) for digest in changed}

    def is_refused(self, change: Change) -> bool:
        """Tell whether a change must not be written, because something newer is there."""
        oids = [shape.relation.oid for shape in change.shapes]
        if any(oid not in self._tables or self._tables[oid].is_refused for oid in oids):
            return True
        if change.operation is Operation.TRUNCATE or not self._tables[oids[0]].is_changed:
            return False
        identity = self._applier.identity_of(change)
        if identity is None or list(identity.columns) != self._tables[oids[0]].identity_columns:
            return True
        changed, joined = self._changed.get(oids[0], set()), self._rows.get(oids[0])
        digests = identity.digests(change)
        return any((digest if joined is None else joined.root(digest)) in changed for digest in digests)

    def _read_truncate(self, change: Change) -> None:
        oids = tuple(shape.relation.oid for shape in change.shapes if shape.relation.oid in self._tables)
        for oid in oids:
            self._tables[oid].is_truncated = True
        self._joined_tables.append(oids)

    def _read_update(self, change: Change) -> None:
        identity = self._applier.identity_of(change)
        if identity is not None:
            before, *after = identity.digests(change)
            for digest in after:
                self._rows.setdefault(change.relation.oid, _Joined()).join(before, digest)

    def _refuse_joined(self, oids: tuple[int, ...]) -> bool:
        """Refuse all tables of a truncate when one of them is; return whether that is news."""
        refused = [oid for oid in oids if self._tables[oid].is_refused]
        if not refused or len(refused) == len(oids):
            return False
        for oid in oids:
            self._tables[oid].is_replaced = True
        return True


class _Joined:
    """Rows that became each other, by the digest that stands for all of them."""

    def __init__(self) -> None:
        self._parents: dict[bytes, bytes] = {}

    def root(self, digest: bytes) -> bytes:
        path = []
        while digest in self._parents:
            path.append(digest)
            digest = self._parents[digest]
        for passed in path:
            self._parents[passed] = digest
        return digest

    def join(self, one: bytes, other: bytes) -> None:
        if self.root(one) != self.root(other):
            self._parents[self.root(one)] = self.root(other)

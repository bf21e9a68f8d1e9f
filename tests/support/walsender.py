"""Write a slot's stream as pgoutput does, and remember what was written.

A relation is described before its first use in the stream, and again when it has been altered since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.support.pgoutput_encoder import encode
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    OldTuple,
    Origin,
    Relation,
    RelationColumn,
    ReplicaIdentity,
    Truncate,
    Type,
    Update,
)

RowChange = Insert | Update | Delete | Truncate
WrittenChange = tuple[RowChange, tuple[Relation, ...]]
TABLES = (16384, 16385, 16386)
_CUSTOM_TYPE = 16999


@dataclass(frozen=True)
class Action:
    """What a session of the source does to tables; `size` is that of a value, in bytes."""

    kind: str
    oids: tuple[int, ...] = (TABLES[0],)
    size: int = 1


@dataclass
class WrittenTransaction:
    """A transaction, its payloads in the stream, and what its changes mean."""

    begin: Begin
    commit: Commit
    payloads: list[bytes] = field(default_factory=list)
    changes: list[WrittenChange] = field(default_factory=list)


class Walsender:
    """Write transactions, each with its own LSNs, xid and values."""

    def __init__(self) -> None:
        self._lsn = 0x1000
        self._xid = 700
        self._value = 0
        self._versions: Counter[int] = Counter()
        self._described: set[int] = set()

    def write(self, actions: Iterable[Action]) -> WrittenTransaction:
        """Return the transaction made of `actions`."""
        written = self._place(self._new_xid())
        self._send(written.begin, written)
        for action in actions:
            self._act(action, written)
        self._send(written.commit, written)
        return written

    def _new_xid(self) -> int:
        self._xid += 1
        return self._xid

    def _place(self, xid: int) -> WrittenTransaction:
        """Return a transaction that commits now."""
        commit_lsn, end_lsn = Lsn(self._lsn + 0x100), Lsn(self._lsn + 0x130)
        self._lsn += 0x130
        committed_at = self._xid * 1_000_000
        return WrittenTransaction(
            Begin(commit_lsn, committed_at, xid), Commit(commit_lsn, end_lsn, committed_at)
        )

    def _send(self, message: Message, written: WrittenTransaction) -> None:
        written.payloads.append(encode(message))

    def _act(self, action: Action, written: WrittenTransaction) -> None:
        if action.kind == "alter":
            self._versions[action.oids[0]] += 1
            self._invalidate(action.oids[0])
        elif action.kind == "origin":
            self._send(Origin(written.begin.commit_lsn, "elsewhere"), written)
        elif action.kind == "message":
            self._send(LogicalMessage(True, written.begin.commit_lsn, "p", b"content"), written)
        else:
            self._change(action, written)

    def _change(self, action: Action, written: WrittenTransaction) -> None:
        oids = action.oids if action.kind == "truncate" else action.oids[:1]
        for oid in oids:
            self._describe(oid, written)
        message = self._message(action, oids)
        self._send(message, written)
        written.changes.append((message, tuple(map(self._relation, oids))))

    def _describe(self, oid: int, written: WrittenTransaction) -> None:
        if not self._is_described(oid):
            self._note_described(oid)
            if oid == TABLES[-1]:
                self._send(Type(_CUSTOM_TYPE, "public", "mood"), written)
            self._send(self._relation(oid), written)

    def _is_described(self, oid: int) -> bool:
        return oid in self._described

    def _note_described(self, oid: int) -> None:
        self._described.add(oid)

    def _invalidate(self, oid: int) -> None:
        self._described.discard(oid)

    def _relation(self, oid: int) -> Relation:
        """Return the relation as it is now; each alteration has added a column."""
        columns = [RelationColumn("id", 23, -1, is_key=True)]
        type_oid = _CUSTOM_TYPE if oid == TABLES[-1] else 25
        added = range(1 + self._versions[oid])
        columns += [RelationColumn(f"column_{i}", type_oid, -1, is_key=False) for i in added]
        return Relation(oid, "public", f"table_{oid}", ReplicaIdentity.DEFAULT, tuple(columns))

    def _message(self, action: Action, oids: tuple[int, ...]) -> RowChange:
        self._value += 1
        key, width = str(self._value).encode(), len(self._relation(oids[0]).columns)
        row = (key, b"x" * action.size, *[None] * (width - 2))
        if action.kind == "insert":
            return Insert(oids[0], row)
        if action.kind == "update":
            return Update(oids[0], None, (key, UNCHANGED, *row[2:]))
        if action.kind == "delete":
            return Delete(oids[0], OldTuple(is_key_only=True, values=(key, *[None] * (width - 1))))
        return Truncate(oids, cascade=False, restart_identity=False)


def write_all(transactions: Iterable[Sequence[Action]]) -> list[WrittenTransaction]:
    """Return the transactions of one stream."""
    walsender = Walsender()
    return [walsender.write(actions) for actions in transactions]


_TABLE = st.sampled_from(TABLES).map(lambda oid: (oid,))
ACTIONS = st.one_of(
    st.builds(
        Action, kind=st.sampled_from(["insert", "update", "delete"]), oids=_TABLE, size=st.integers(0, 60)
    ),
    st.builds(Action, kind=st.just("alter"), oids=_TABLE),
    st.builds(
        Action,
        kind=st.just("truncate"),
        oids=st.lists(st.sampled_from(TABLES), min_size=1, max_size=3, unique=True).map(tuple),
    ),
    st.builds(Action, kind=st.sampled_from(["origin", "message"])),
)
STREAMS = st.lists(st.lists(ACTIONS, max_size=12), max_size=8).map(write_all)

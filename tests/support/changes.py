"""Build relations and changes by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.support.pgoutput_encoder import encode
from trempy_provider.replication.changes import Change, Shape
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    Begin,
    Delete,
    Insert,
    OldTuple,
    Relation,
    RelationColumn,
    ReplicaIdentity,
    Truncate,
    Tuple,
    Update,
    Value,
)

OID = 16384


def make_relation(
    *names: str, key: Sequence[str] = (), oid: int = OID, table_name: str = "t", type_oid: int = 25
) -> Relation:
    """Return a relation of text columns; without a key, its replica identity is FULL."""
    columns = tuple(RelationColumn(name, type_oid, -1, is_key=not key or name in key) for name in names)
    identity = ReplicaIdentity.DEFAULT if key else ReplicaIdentity.FULL
    return Relation(oid, "public", table_name, identity, columns)


def make_begin(*, commit_lsn: int = 0x200, xid: int = 700) -> Begin:
    """Return the start of a transaction."""
    return Begin(commit_lsn=Lsn(commit_lsn), committed_at=0, xid=xid)


def shape_of(relation: Relation) -> Shape:
    """Return a relation with the payload that describes it."""
    return Shape(relation=relation, payloads=(encode(relation),))


def make_change(
    message: Insert | Update | Delete | Truncate,
    *relations: Relation,
    begin: Begin | None = None,
    index: int = 0,
) -> Change:
    """Return a message as a change of the relations it is about."""
    shapes = tuple(map(shape_of, relations))
    return Change(message, shapes, encode(message), begin or make_begin(), index)


def insert(relation: Relation, *new: Value, begin: Begin | None = None) -> Change:
    """Return the insertion of a row."""
    return make_change(Insert(relation.oid, new), relation, begin=begin)


def update(relation: Relation, new: Tuple, *, key: Tuple | None = None, old: Tuple | None = None) -> Change:
    """Return an update; `key` is an old row of which the key alone was sent, `old` a whole one."""
    return make_change(Update(relation.oid, _old(key, old), new), relation)


def delete(relation: Relation, *, key: Tuple | None = None, old: Tuple | None = None) -> Change:
    """Return the deletion of the row of a key, or of a whole row."""
    sent = _old(key, old)
    assert sent is not None
    return make_change(Delete(relation.oid, sent), relation)


def truncate(*relations: Relation, begin: Begin | None = None, restart_identity: bool = False) -> Change:
    """Return a truncate of tables."""
    oids = tuple(relation.oid for relation in relations)
    return make_change(Truncate(oids, False, restart_identity), *relations, begin=begin)


def messages_of(changes: Iterable[Change]) -> list[object]:
    """Return the messages of changes, for comparisons that are easy to read."""
    return [change.message for change in changes]


def _old(key: Tuple | None, old: Tuple | None) -> OldTuple | None:
    if key is not None:
        return OldTuple(is_key_only=True, values=key)
    return None if old is None else OldTuple(is_key_only=False, values=old)

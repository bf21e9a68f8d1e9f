"""The parts of a batch that lanes apply: together they are the batch, apart they have nothing in common."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.pgoutput_encoder import encode
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch, Chunk, ChunkEnd
from trempy_provider.replication.changes import Operation
from trempy_provider.replication.lane_part import LanePart, part_of
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    Begin,
    Commit,
    Insert,
    Relation,
    RelationColumn,
    ReplicaIdentity,
    Truncate,
    Type,
)
from trempy_provider.replication.table_facts import encode_facts, pack_facts
from trempy_provider.replication.transactions import read_transactions

FIRST = LanePart(frozenset({2, 3}), is_rest=True)
SECOND = LanePart(frozenset({2}))
THIRD = LanePart(frozenset({3}))


def relation(oid):
    column = RelationColumn(is_key=True, name="k", type_oid=25, type_modifier=-1)
    return Relation(
        oid=oid,
        schema_name="s",
        table_name=f"t{oid}",
        replica_identity=ReplicaIdentity.DEFAULT,
        columns=(column,),
    )


def described(oid):
    return [
        encode_facts(oid, Lsn(5), pack_facts({"oid": oid})),
        encode(Type(oid=9000 + oid, schema_name="s", type_name=f"y{oid}")),
        encode(relation(oid)),
    ]


def insert(oid, value):
    return encode(Insert(relation_oid=oid, new=(value,)))


def transaction(number, *payloads):
    lsn = Lsn(100 * number)
    begin = encode(Begin(commit_lsn=lsn, committed_at=number, xid=number))
    return [begin, *payloads, encode(Commit(commit_lsn=lsn, end_lsn=Lsn(lsn + 10), committed_at=number))]


def batch(payloads, **fields):
    whole = Batch(
        task_name="t",
        session_number=1,
        sequence=0,
        previous_lsn=Lsn(1),
        first_lsn=Lsn(100),
        end_lsn=Lsn(310),
        transaction_count=3,
        change_count=4,
        transaction_id=3,
        committed_at=3,
        chunk=None,
        payloads=tuple(payloads),
    )
    return replace(whole, **fields)


def changes(batch):
    return [
        (change.begin.xid, change.operation, [shape.relation.oid for shape in change.shapes])
        for transaction in read_transactions(batch)
        for change in transaction.changes
    ]


@pytest.fixture(params=["as made", "as received"])
def as_it_comes(request):
    """Return a function that gives a batch as apply has it."""
    return (lambda it: it) if request.param == "as made" else (lambda it: wire.decode(wire.encode(it)))


def test_each_change_is_in_one_part_with_its_transaction(as_it_comes):
    whole = as_it_comes(
        batch(
            [
                *transaction(1, *described(1), insert(1, b"a"), *described(2), insert(2, b"b")),
                *transaction(2, insert(2, b"c")),
                *transaction(3, *described(3), insert(3, b"d")),
            ]
        )
    )

    first, second, third = (part_of(whole, part) for part in (FIRST, SECOND, THIRD))

    assert changes(first) == [(1, Operation.INSERT, [1])]
    assert changes(second) == [(1, Operation.INSERT, [2]), (2, Operation.INSERT, [2])]
    assert changes(third) == [(3, Operation.INSERT, [3])]
    assert [part.change_count for part in (first, second, third)] == [1, 2, 1]
    assert {(part.previous_lsn, part.end_lsn, part.transaction_count) for part in (first, second, third)} == {
        (1, 310, 3)
    }


def test_part_without_changes_still_tells_where_the_batch_ends():
    whole = batch([*transaction(1, *described(2), insert(2, b"b")), *transaction(3, insert(2, b"c"))])

    part = part_of(whole, THIRD)

    assert [(entry.xid, entry.changes) for entry in read_transactions(part)] == [(3, ())]
    assert part.change_count == 0


def test_each_part_has_the_types_and_facts_of_its_relations_only():
    whole = batch(transaction(3, *described(1), *described(2), insert(1, b"a"), insert(2, b"b")))

    part = part_of(whole, SECOND)

    ((only,),) = [transaction.changes for transaction in read_transactions(part)]
    assert list(only.shapes[0].payloads) == described(2)


def test_truncate_names_the_relations_of_the_part_only(as_it_comes):
    truncate = Truncate(relation_oids=(1, 2, 3), cascade=True, restart_identity=True)
    payloads = [*described(1), *described(2), *described(3), encode(truncate), insert(2, b"x")]
    whole = as_it_comes(batch(transaction(3, *payloads)))

    assert changes(part_of(whole, SECOND)) == [(3, Operation.TRUNCATE, [2]), (3, Operation.INSERT, [2])]
    assert changes(part_of(whole, THIRD)) == [(3, Operation.TRUNCATE, [3])]
    (emptied,) = next(read_transactions(part_of(whole, THIRD))).changes
    assert (emptied.message.cascade, emptied.message.restart_identity) == (True, True)


def test_subtransactions_of_a_chunk_begin_where_their_changes_are():
    payloads = [
        *described(1),
        insert(1, b"a"),
        *described(2),
        insert(2, b"b"),
        insert(1, b"c"),
        insert(2, b"d"),
    ]
    chunk = Chunk(index=0, end=ChunkEnd.OPEN, subtransactions=((0, 50), (8, 51), (9, 52)))
    whole = batch(payloads, chunk=chunk, committed_at=None)

    part = part_of(whole, SECOND)

    assert list(part.payloads) == [*described(2), insert(2, b"b"), insert(2, b"d")]
    assert part.chunk.subtransactions == ((0, 50), (4, 51), (4, 52))


def test_part_of_everything_is_the_batch_itself():
    whole = batch(transaction(3, *described(1), insert(1, b"a")))

    assert part_of(whole, FIRST) is whole


def test_part_of_a_part_is_that_part():
    whole = batch(transaction(3, *described(1), *described(2), insert(1, b"a"), insert(2, b"b")))
    part = part_of(whole, SECOND)

    assert part_of(part, SECOND) == part


def test_payload_that_is_unknown_is_left_for_the_reader():
    whole = batch([*transaction(3, *described(2), insert(2, b"b")), b"", b"?"])

    assert list(part_of(whole, THIRD).payloads)[-2:] == [b"", b"?"]

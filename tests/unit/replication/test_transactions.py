"""Taking batches apart into transactions."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.changes import make_begin, make_change, make_relation, shape_of
from tests.support.generated_messages import MESSAGES
from tests.support.pgoutput_encoder import encode
from trempy_provider.errors import ProtocolError
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch, Chunk, ChunkEnd
from trempy_provider.replication.changes import Change, Shape, Transaction, datetime_of
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    OldTuple,
    Origin,
    Relation,
    StreamStart,
    Truncate,
    Type,
)
from trempy_provider.replication.transactions import batch_of_changes, read_transactions

BEGIN = Begin(Lsn(0x200), committed_at=5, xid=701)
COMMIT = Commit(Lsn(0x200), Lsn(0x230), committed_at=5)
RELATION = make_relation("k", "v", key=("k",))
WIDER = make_relation("k", "v", "w", key=("k",))
OTHER = make_relation("k", oid=16385, table_name="other", key=("k",))
INSERT = Insert(RELATION.oid, (b"1", b"a"))


def batch_of(*messages: Message, chunk: Chunk | None = None, committed_at: int | None = 5) -> Batch:
    return Batch(
        task_name="orders",
        session_number=5,
        sequence=7,
        previous_lsn=Lsn(0x100),
        first_lsn=BEGIN.commit_lsn,
        end_lsn=COMMIT.end_lsn,
        transaction_count=1,
        change_count=0,
        transaction_id=BEGIN.xid,
        committed_at=committed_at,
        chunk=chunk,
        payloads=tuple(map(encode, messages)),
    )


def read(batch: Batch) -> list[Transaction]:
    return list(read_transactions(batch))


def test_transaction_knows_its_place_and_time() -> None:
    (transaction,) = read(batch_of(BEGIN, RELATION, INSERT, COMMIT))

    assert transaction.xid == 701
    assert transaction.commit_lsn == Lsn(0x200)
    assert transaction.end_lsn == Lsn(0x230)
    assert transaction.committed_at == datetime_of(5)


def test_changes_count_from_zero_in_each_transaction() -> None:
    first, second = read(batch_of(BEGIN, RELATION, INSERT, INSERT, COMMIT, BEGIN, INSERT, COMMIT))

    assert [change.index for change in first.changes] == [0, 1]
    assert [change.index for change in second.changes] == [0]


def test_change_carries_its_payload_and_the_shape_at_its_time() -> None:
    wide_insert = Insert(WIDER.oid, (b"2", b"b", b"c"))

    (transaction,) = read(batch_of(BEGIN, RELATION, INSERT, WIDER, wide_insert, COMMIT))

    assert [change.payload for change in transaction.changes] == [encode(INSERT), encode(wide_insert)]
    assert [change.relation for change in transaction.changes] == [RELATION, WIDER]


def test_shape_carries_the_types_described_before_it() -> None:
    mood = Type(16999, "public", "mood")

    (transaction,) = read(
        batch_of(mood, RELATION, OTHER, BEGIN, INSERT, Truncate((OTHER.oid,), False, False), COMMIT)
    )

    assert transaction.changes[0].shapes[0].payloads == (encode(mood), encode(RELATION))
    assert transaction.changes[1].shapes[0].payloads == (encode(OTHER),)


def test_origins_and_logical_messages_are_no_changes() -> None:
    messages = [Origin(Lsn(1), "elsewhere"), LogicalMessage(True, Lsn(1), "p", b"c")]

    (transaction,) = read(batch_of(BEGIN, *messages, COMMIT))

    assert transaction.changes == ()


def test_batch_without_payloads_has_no_transactions() -> None:
    assert read(batch_of()) == []


@pytest.mark.parametrize("index", [0, 3])
@pytest.mark.parametrize(("end", "end_lsn"), [(ChunkEnd.OPEN, None), (ChunkEnd.COMMIT, Lsn(0x230))])
def test_chunk_knows_its_transaction_from_the_header(index: int, end: ChunkEnd, end_lsn: Lsn | None) -> None:
    (transaction,) = read(batch_of(RELATION, INSERT, chunk=Chunk(index, end)))

    assert transaction == Transaction(
        xid=701,
        commit_lsn=Lsn(0x200),
        end_lsn=end_lsn,
        committed_at=datetime_of(5),
        changes=(make_change(INSERT, RELATION, begin=BEGIN),),
    )


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (batch_of(RELATION, INSERT), "a change stands outside a transaction"),
        (batch_of(BEGIN, INSERT, COMMIT), f"relation {RELATION.oid} is not described"),
        (batch_of(BEGIN, Truncate((1,), False, False), COMMIT), "relation 1 is not described"),
        (batch_of(COMMIT), "a commit without a begin"),
        (batch_of(BEGIN, COMMIT, COMMIT), "a commit without a begin"),
        (batch_of(BEGIN, BEGIN, COMMIT), "transaction 701 begins inside transaction 701"),
        (batch_of(BEGIN, COMMIT, chunk=Chunk(1, ChunkEnd.COMMIT)), "begins inside"),
        (batch_of(RELATION, COMMIT, chunk=Chunk(0, ChunkEnd.COMMIT)), "a commit without a begin"),
        (batch_of(INSERT, chunk=Chunk(0, ChunkEnd.OPEN), committed_at=None), "that has not committed"),
        (batch_of(BEGIN), "ends inside transaction 701"),
        (batch_of(BEGIN, StreamStart(5, True), COMMIT), "unexpected StreamStart"),
        (batch_of(chunk=Chunk(1, ChunkEnd.OPEN), committed_at=2**63), "is no timestamp"),
        (batch_of(replace(BEGIN, committed_at=2**63 - 1), COMMIT), "is no timestamp"),
    ],
)
def test_payloads_that_are_no_transactions_are_refused(batch: Batch, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        read(batch)


def test_damaged_payload_is_refused() -> None:
    with pytest.raises(ProtocolError, match="cut short"):
        read(replace(batch_of(BEGIN), payloads=(b"B\0",)))


CHUNKS = st.none() | st.builds(Chunk, st.integers(0, 2), st.sampled_from(ChunkEnd))


@given(st.lists(MESSAGES | st.sampled_from([BEGIN, COMMIT, RELATION, INSERT]), max_size=10), CHUNKS)
def test_any_messages_are_transactions_or_a_protocol_error(
    messages: list[Message], chunk: Chunk | None
) -> None:
    with suppress(ProtocolError):
        read(batch_of(*messages, chunk=chunk))


def changes_of(*pairs: tuple[Insert | Delete | Truncate, tuple[Relation, ...]]) -> list[Change]:
    return [
        make_change(message, *relations, begin=BEGIN, index=index)
        for index, (message, relations) in enumerate(pairs)
    ]


def test_held_changes_are_read_back_as_they_were() -> None:
    changes = changes_of(
        (INSERT, (RELATION,)),
        (Delete(OTHER.oid, OldTuple(True, (b"1",))), (OTHER,)),
        (Truncate((RELATION.oid, OTHER.oid), True, True), (RELATION, OTHER)),
        (INSERT, (RELATION,)),
    )

    batch = wire.decode(wire.encode(batch_of_changes("orders", changes)))
    (transaction,) = read(batch)

    assert transaction.changes == tuple(changes)
    assert (transaction.xid, transaction.commit_lsn) == (BEGIN.xid, BEGIN.commit_lsn)
    assert transaction.committed_at == datetime_of(BEGIN.committed_at)
    assert batch.is_complete


def test_held_changes_of_a_table_altered_between_them_keep_their_shapes() -> None:
    wide_insert = Insert(WIDER.oid, (b"2", b"b", b"c"))
    changes = changes_of((INSERT, (RELATION,)), (wide_insert, (WIDER,)), (INSERT, (RELATION,)))

    (transaction,) = read(batch_of_changes("orders", changes))

    assert [change.relation for change in transaction.changes] == [RELATION, WIDER, RELATION]


def test_held_changes_describe_a_relation_once_with_its_types() -> None:
    mood = encode(Type(16999, "public", "mood"))
    shape = Shape(RELATION, (mood, encode(RELATION)))
    change = replace(make_change(INSERT, RELATION), shapes=(shape,), begin=make_begin())

    batch = batch_of_changes("orders", [change, replace(change, index=1)])

    assert batch.payloads[1:-1] == (mood, *shape_of(RELATION).payloads, encode(INSERT), encode(INSERT))
    assert batch.change_count == 2

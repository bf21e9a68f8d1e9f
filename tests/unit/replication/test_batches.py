"""Collecting a stream's payloads into batches, and taking them apart again."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.generated_messages import MESSAGES
from tests.support.pgoutput_encoder import encode
from tests.support.walsender import (
    STREAMS,
    TABLES,
    Action,
    Walsender,
    WrittenChange,
    WrittenTransaction,
    write_all,
)
from trempy_provider.errors import ProtocolError, SlotLostError
from trempy_provider.replication import wire
from trempy_provider.replication.batch_builder import BatchBuilder
from trempy_provider.replication.batches import Batch, BatchLimits, Chunk, ChunkEnd, PublishedCommit
from trempy_provider.replication.changes import Transaction, datetime_of
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    Begin,
    Commit,
    Insert,
    Message,
    Relation,
    ReplicaIdentity,
    StreamStart,
    Truncate,
    Type,
)
from trempy_provider.replication.transactions import read_transactions

START = Lsn(0x1000)
WIDE = BatchLimits(max_rows=1000, max_bytes=1_000_000)
LIMITS = st.builds(BatchLimits, max_rows=st.integers(1, 8), max_bytes=st.integers(64, 600))
_ROW_MARKERS = (b"I", b"U", b"D", b"T")


def builder_with(
    limits: BatchLimits = WIDE, *, leaves_out_replicated: bool = False, awaited: PublishedCommit | None = None
) -> BatchBuilder:
    return BatchBuilder(
        task_name="orders",
        session_number=5,
        previous_lsn=START,
        limits=limits,
        leaves_out_replicated=leaves_out_replicated,
        awaited=awaited,
    )


def build(
    stream: Iterable[WrittenTransaction], limits: BatchLimits = WIDE, *, takes: Iterable[bool] = ()
) -> list[Batch]:
    """Return all batches of a stream; `takes` says after which transactions a batch is asked for."""
    builder, batches = builder_with(limits), []
    asked = iter(takes)
    for written in stream:
        for payload in written.payloads:
            batches += builder.add(payload)
        if next(asked, False):
            batches += filter(None, [builder.take()])
    batches += filter(None, [builder.take()])
    assert builder.is_empty
    return batches


def add_all(builder: BatchBuilder, payloads: Iterable[bytes]) -> list[Batch]:
    return [batch for payload in payloads for batch in builder.add(payload)]


def read(batch: Batch) -> list[Transaction]:
    """Read one batch alone, after its way through the broker."""
    return list(read_transactions(wire.decode(wire.encode(batch))))


def changes_of(transaction: Transaction) -> list[WrittenChange]:
    return [
        (change.message, tuple(shape.relation for shape in change.shapes)) for change in transaction.changes
    ]


def not_empty(stream: Iterable[WrittenTransaction]) -> list[WrittenTransaction]:
    return [written for written in stream if written.changes]


def insert_actions(count: int, oid: int = TABLES[0], size: int = 1) -> list[Action]:
    return [Action("insert", (oid,), size)] * count


@given(STREAMS, LIMITS, st.lists(st.booleans(), max_size=8))
def test_batches_hold_the_same_transactions_in_the_same_order(
    stream: list[WrittenTransaction], limits: BatchLimits, takes: list[bool]
) -> None:
    batches = build(stream, limits, takes=takes)

    read_back = []
    parts = [(batch, transaction) for batch in batches for transaction in read(batch)]
    for xid, group in groupby(parts, key=lambda part: part[1].xid):
        transactions = [transaction for _, transaction in group]
        assert [transaction.end_lsn for transaction in transactions[:-1]] == [None] * (len(transactions) - 1)
        changes = [change for transaction in transactions for change in changes_of(transaction)]
        last = transactions[-1]
        read_back.append((xid, last.commit_lsn, last.end_lsn, last.committed_at, changes))
    assert read_back == [
        (
            written.begin.xid,
            written.begin.commit_lsn,
            written.commit.end_lsn,
            datetime_of(written.begin.committed_at),
            written.changes,
        )
        for written in not_empty(stream)
    ]


@given(STREAMS, LIMITS, st.lists(st.booleans(), max_size=8))
def test_batches_follow_each_other_without_a_gap(
    stream: list[WrittenTransaction], limits: BatchLimits, takes: list[bool]
) -> None:
    batches = build(stream, limits, takes=takes)

    assert [batch.sequence for batch in batches] == list(range(len(batches)))
    assert len({batch.message_id for batch in batches}) == len(batches)
    assert [batch.previous_lsn for batch in batches] == [START, *[batch.end_lsn for batch in batches]][:-1]
    ends = {written.commit.end_lsn: written.begin.xid for written in stream}
    for batch in batches:
        if batch.is_complete:
            assert ends[batch.end_lsn] == batch.transaction_id
        else:
            assert batch.end_lsn == batch.previous_lsn


@given(STREAMS, LIMITS, st.lists(st.booleans(), max_size=8))
def test_batch_counts_what_it_holds(
    stream: list[WrittenTransaction], limits: BatchLimits, takes: list[bool]
) -> None:
    batches = build(stream, limits, takes=takes)

    for batch in batches:
        transactions = read(batch)
        assert batch.change_count == sum(len(transaction.changes) for transaction in transactions)
        assert batch.transaction_count == sum(item.end_lsn is not None for item in transactions)
        assert batch.first_lsn == transactions[0].commit_lsn
        assert batch.transaction_id == transactions[-1].xid
    assert sum(batch.transaction_count for batch in batches) == len(not_empty(stream))


@given(STREAMS, LIMITS, st.lists(st.integers(1, 40), max_size=12))
def test_many_payloads_at_once_make_the_batches_they_make_one_by_one(
    stream: list[WrittenTransaction], limits: BatchLimits, sizes: list[int]
) -> None:
    payloads = [payload for written in stream for payload in written.payloads]
    one_by_one, at_once = builder_with(limits), builder_with(limits)

    wanted = [*add_all(one_by_one, payloads), *filter(None, [one_by_one.take()])]
    found, rest = [], payloads
    for size in [*sizes, len(payloads)]:
        found += at_once.add_all(rest[:size])
        rest = rest[size:]
    found += filter(None, [at_once.take()])

    assert [replace(batch, payloads=()) for batch in found] == [
        replace(batch, payloads=()) for batch in wanted
    ]
    for mine, theirs in zip(found, wanted, strict=True):
        assert sorted(mine.payloads) == sorted(theirs.payloads)
        assert list(map(_changes, read_transactions(mine))) == list(map(_changes, read_transactions(theirs)))


def _changes(transaction: Transaction) -> tuple[object, ...]:
    return (
        transaction.xid,
        transaction.commit_lsn,
        transaction.end_lsn,
        [(change.payload, change.shapes) for change in transaction.changes],
    )


@given(STREAMS, LIMITS)
def test_chunks_of_a_transaction_are_numbered_and_stand_together(
    stream: list[WrittenTransaction], limits: BatchLimits
) -> None:
    batches = build(stream, limits)

    for (is_chunked, _), group in groupby(
        batches, key=lambda batch: (batch.chunk is not None, batch.transaction_id)
    ):
        if is_chunked:
            chunks = [batch.chunk for batch in group]
            ends = [*[ChunkEnd.OPEN] * (len(chunks) - 1), ChunkEnd.COMMIT]
            assert chunks == [Chunk(index, end) for index, end in enumerate(ends)]


@given(STREAMS, LIMITS)
def test_memory_is_bounded_by_the_limits(stream: list[WrittenTransaction], limits: BatchLimits) -> None:
    builder = builder_with(limits)
    rows_held = bytes_held = 0

    for payload in (payload for written in stream for payload in written.payloads):
        batches = builder.add(payload)

        rows = [*filter(is_row, (p for batch in batches for p in batch.payloads))]
        rows_held += is_row(payload) - len(rows)
        bytes_held += is_row(payload) * len(payload) - sum(map(len, rows))
        assert len(batches) <= 2
        assert rows_held <= 2 * limits.max_rows
        assert bytes_held <= 2 * limits.max_bytes
        for batch in batches:
            assert batch.change_count <= 2 * limits.max_rows
            assert sum(len(p) for p in batch.payloads if is_row(p)) <= 2 * limits.max_bytes + len(payload)


def is_row(payload: bytes) -> bool:
    return payload[:1] in _ROW_MARKERS


@given(STREAMS, LIMITS)
def test_limits_do_not_cut_transactions_that_fit(
    stream: list[WrittenTransaction], limits: BatchLimits
) -> None:
    cut = {batch.transaction_id for batch in build(stream, limits) if batch.chunk is not None}

    for written in stream:
        size = sum(map(len, written.payloads))
        if len(written.changes) < limits.max_rows and size < limits.max_bytes:
            assert written.begin.xid not in cut


@given(st.lists(MESSAGES, max_size=10), LIMITS)
def test_any_sequence_of_messages_gives_batches_or_a_protocol_error(
    messages: list[Message], limits: BatchLimits
) -> None:
    builder = builder_with(limits)

    with suppress(ProtocolError):
        for batch in [*add_all(builder, map(encode, messages)), builder.take()]:
            assert batch is None or read(batch) is not None


@given(st.lists(st.binary(max_size=30), max_size=6), LIMITS)
def test_any_payloads_give_batches_or_a_protocol_error(payloads: list[bytes], limits: BatchLimits) -> None:
    with suppress(ProtocolError):
        add_all(builder_with(limits), payloads)


def test_transaction_of_exactly_the_limit_is_cut_and_ended_by_an_empty_chunk() -> None:
    batches = build(write_all([insert_actions(3)]), BatchLimits(max_rows=3, max_bytes=10_000))

    assert [(batch.change_count, batch.is_complete) for batch in batches] == [(3, False), (0, True)]


def test_transaction_one_below_the_limit_is_a_batch_of_its_own_size() -> None:
    batches = build(write_all([insert_actions(2)]), BatchLimits(max_rows=3, max_bytes=10_000))

    assert [(batch.change_count, batch.chunk) for batch in batches] == [(2, None)]


def test_small_transactions_share_a_batch_until_it_is_full() -> None:
    stream = write_all([insert_actions(1)] * 5)

    batches = build(stream, BatchLimits(max_rows=2, max_bytes=10_000))

    assert [batch.transaction_count for batch in batches] == [2, 2, 1]
    assert [batch.end_lsn for batch in batches] == [stream[i].commit.end_lsn for i in (1, 3, 4)]


def test_large_row_is_published_in_a_batch_of_its_own() -> None:
    batches = build(
        write_all([[Action("insert"), Action("insert", size=5000), Action("insert")]]),
        BatchLimits(max_rows=100, max_bytes=1000),
    )

    assert [batch.change_count for batch in batches] == [2, 1]


def test_waiting_transactions_are_published_before_the_chunk_of_the_next() -> None:
    stream = write_all([insert_actions(1), insert_actions(3)])

    batches = build(stream, BatchLimits(max_rows=2, max_bytes=10_000))

    assert [(batch.transaction_id, batch.chunk is not None) for batch in batches] == [
        (stream[0].begin.xid, False),
        (stream[1].begin.xid, True),
        (stream[1].begin.xid, True),
    ]
    assert batches[1].end_lsn == batches[1].previous_lsn == stream[0].commit.end_lsn
    assert batches[2].end_lsn == stream[1].commit.end_lsn


def test_every_chunk_describes_the_relations_it_uses() -> None:
    actions = insert_actions(2) + insert_actions(2, oid=TABLES[2]) + insert_actions(1)

    batches = build(write_all([actions]), BatchLimits(max_rows=2, max_bytes=10_000))

    markers = [b"".join(payload[:1] for payload in batch.payloads) for batch in batches]
    assert markers == [b"RII", b"YRII", b"RI"]


def test_relation_is_described_once_in_a_batch_of_many_transactions() -> None:
    (batch,) = build(write_all([insert_actions(1)] * 3))

    assert b"".join(payload[:1] for payload in batch.payloads) == b"BRICBICBIC"


def test_relation_altered_within_a_batch_has_both_shapes_in_order() -> None:
    stream = write_all([insert_actions(1), [Action("insert"), Action("alter"), Action("insert")]])
    first_batch, *_ = build(stream, takes=[True])

    _, second_batch = build(stream, takes=[True])

    assert [len(transaction.changes) for transaction in read(first_batch)] == [1]
    (transaction,) = read(second_batch)
    assert [len(change.relation.columns) for change in transaction.changes] == [2, 3]


def test_shape_learned_in_a_chunk_is_that_of_the_following_chunks() -> None:
    actions = [Action("insert"), Action("alter"), *insert_actions(4)]

    batches = build(write_all([actions]), BatchLimits(max_rows=2, max_bytes=10_000))

    widths = [
        [len(change.relation.columns) for change in transaction.changes]
        for batch in batches
        for transaction in read(batch)
    ]
    assert widths == [[2, 3], [3, 3], [3]]


def test_truncate_of_several_tables_describes_them_all() -> None:
    (_, batch) = build(write_all([[Action("truncate", TABLES)]] * 2), takes=[True])

    (transaction,) = read(batch)
    assert [shape.relation.oid for shape in transaction.changes[0].shapes] == list(TABLES)


@pytest.mark.parametrize("actions", [[], [Action("origin")], [Action("message")], [Action("alter")]])
def test_transaction_without_changes_is_left_out(actions: list[Action]) -> None:
    builder = builder_with()

    for payload in Walsender().write(actions).payloads:
        assert builder.add(payload) == []

    assert builder.is_empty
    assert builder.take() is None
    assert builder.last_end_lsn == START


def test_nothing_is_taken_from_an_open_transaction() -> None:
    builder = builder_with()
    *inside, commit = Walsender().write(insert_actions(2)).payloads

    for payload in inside:
        builder.add(payload)

    assert builder.in_transaction
    assert not builder.is_empty
    assert not builder.has_whole_transactions
    assert builder.take() is None
    builder.add(commit)
    assert builder.has_whole_transactions
    assert not builder.in_transaction


def test_batch_taken_while_a_transaction_is_open_leaves_it_whole() -> None:
    builder, (first, second) = builder_with(), write_all([insert_actions(1), insert_actions(2)])
    for payload in [*first.payloads, *second.payloads[:2]]:
        builder.add(payload)

    taken = builder.take()
    for payload in second.payloads[2:]:
        builder.add(payload)
    rest = builder.take()

    assert taken is not None and rest is not None
    assert [changes_of(transaction) for transaction in read(taken)] == [first.changes]
    assert [changes_of(transaction) for transaction in read(rest)] == [second.changes]


def test_last_end_lsn_moves_only_with_batches_that_end_at_a_commit() -> None:
    builder = builder_with(BatchLimits(max_rows=2, max_bytes=10_000))
    written = Walsender().write(insert_actions(3))

    lsns = [builder.last_end_lsn for payload in written.payloads if builder.add(payload)]

    assert lsns == [START, written.commit.end_lsn]


def test_batches_of_one_stream_have_growing_ends() -> None:
    batches = build(write_all([insert_actions(3)] * 4), BatchLimits(max_rows=2, max_bytes=10_000))

    assert all(before.end_lsn <= after.end_lsn for before, after in pairwise(batches))


@pytest.mark.parametrize("awaited", [0, 1, 2])
def test_transaction_published_before_comes_again(awaited: int) -> None:
    stream = write_all([insert_actions(1)] * 3)
    commit = stream[awaited].commit
    builder = builder_with(awaited=PublishedCommit(commit.end_lsn, commit.committed_at))

    add_all(builder, [payload for written in stream for payload in written.payloads])

    assert builder.has_whole_transactions


@pytest.mark.parametrize(("bytes_later", "microseconds_later"), [(8, 0), (0, 1)])
def test_stream_without_a_transaction_published_before_is_another_history(
    bytes_later: int, microseconds_later: int
) -> None:
    stream = write_all([insert_actions(1)] * 2)
    commit = stream[0].commit
    builder = builder_with(
        awaited=PublishedCommit(Lsn(commit.end_lsn + bytes_later), commit.committed_at + microseconds_later)
    )

    with pytest.raises(SlotLostError, match="another history"):
        add_all(builder, [payload for written in stream for payload in written.payloads])


BEGIN = encode(Begin(Lsn(0x1100), 0, 701))
COMMIT = encode(Commit(Lsn(0x1100), Lsn(0x1130), 0))
RELATION = encode(Relation(1, "s", "t", ReplicaIdentity.DEFAULT, ()))
INSERT = encode(Insert(1, ()))


@pytest.mark.parametrize(
    ("payloads", "message"),
    [
        ([COMMIT], "has no begin"),
        ([BEGIN, COMMIT, COMMIT], "has no begin"),
        ([BEGIN, BEGIN], "transaction 701 begins inside transaction 701"),
        ([INSERT], "outside a transaction"),
        ([RELATION], "outside a transaction"),
        ([BEGIN, RELATION, INSERT, COMMIT, INSERT], "outside a transaction"),
        ([encode(Truncate((1,), False, False))], "outside a transaction"),
        ([BEGIN, encode(Truncate((), False, False))], "names no relation"),
        ([BEGIN, INSERT], "relation 1 arrived before its description"),
        ([BEGIN, RELATION, encode(Truncate((1, 2), False, False))], "relation 2 arrived before"),
        ([BEGIN, encode(StreamStart(5, True))], "starts inside transaction 701"),
        ([b"Z"], "unexpected pgoutput message b'Z'"),
        ([b""], "unexpected pgoutput message b''"),
        ([BEGIN[:-1]], "cut short"),
        ([BEGIN, COMMIT + b"x"], "after its end"),
    ],
)
@pytest.mark.parametrize("max_bytes", [1, 1_000_000])
def test_stream_that_makes_no_sense_is_refused(payloads: list[bytes], message: str, max_bytes: int) -> None:
    builder = builder_with(BatchLimits(max_rows=100, max_bytes=max_bytes))

    with pytest.raises(ProtocolError, match=message):
        add_all(builder, payloads)


def test_type_belongs_to_the_relation_that_follows_it() -> None:
    builder = builder_with(BatchLimits(max_rows=1, max_bytes=1_000_000))
    mood = encode(Type(7, "public", "mood"))

    chunks = [batch for payload in [BEGIN, mood, RELATION, INSERT, INSERT] for batch in builder.add(payload)]

    assert [batch.payloads for batch in chunks] == [
        (mood, RELATION, INSERT),
        (mood, RELATION, INSERT),
    ]

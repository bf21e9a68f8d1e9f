"""Transactions in progress: published in chunks, applied at their commit, without what was rolled back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.generated_messages import MESSAGES, STREAMED_MESSAGES
from tests.support.pgoutput_encoder import encode
from tests.support.streaming_walsender import RECORDINGS, Recording, Step, write_steps
from tests.support.walsender import TABLES, Action, WrittenChange
from tests.unit.replication.test_batches import LIMITS, WIDE, add_all, builder_with, changes_of, is_row
from trempy_provider.errors import ProtocolError
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch, BatchLimits, ChunkEnd, committed_chunk
from trempy_provider.replication.changes import Transaction
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.messages import (
    Insert,
    Origin,
    Relation,
    ReplicaIdentity,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
)
from trempy_provider.replication.transactions import read_transactions

TINY = BatchLimits(max_rows=2, max_bytes=1_000_000)
INSERT = Action("insert")


class Receiver:
    """Hold chunks until their transaction has ended, as apply does."""

    def __init__(self) -> None:
        self.transactions: list[tuple[int, Lsn, Lsn | None, list[WrittenChange]]] = []
        self.held: defaultdict[int, list[Batch]] = defaultdict(list)
        self._rolled_back: defaultdict[int, set[int]] = defaultdict(set)

    def receive(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self._receive(wire.decode(wire.encode(batch)))

    def _receive(self, batch: Batch) -> None:
        xid = batch.transaction_id
        if batch.chunk is None:
            for transaction in read_transactions(batch):
                self._take([transaction])
            return
        assert batch.chunk.index == len(self.held[xid])
        self.held[xid].append(batch)
        self._rolled_back[xid] |= set(batch.chunk.rolled_back)
        if batch.chunk.end is not ChunkEnd.OPEN:
            parts, rolled_back = self.held.pop(xid), self._rolled_back.pop(xid)
            if batch.chunk.end is ChunkEnd.COMMIT:
                chunks = [committed_chunk(part, last=batch, rolled_back=rolled_back) for part in parts]
                self._take([transaction for chunk in chunks for transaction in read_transactions(chunk)])

    def _take(self, parts: list[Transaction]) -> None:
        last = parts[-1]
        changes = [change for part in parts for change in changes_of(part)]
        assert {(part.xid, part.commit_lsn) for part in parts} == {(last.xid, last.commit_lsn)}
        self.transactions.append((last.xid, last.commit_lsn, last.end_lsn, changes))


def build(recording: Recording, limits: BatchLimits = WIDE, *, takes: Iterable[bool] = ()) -> list[Batch]:
    """Return all batches of a stream; `takes` says after which payloads a batch is asked for."""
    builder, batches, waiting, asked = builder_with(limits), [], [], iter(takes)
    for payload in recording.payloads:
        waiting.append(payload)
        if next(asked, False):
            batches += [*builder.add_all(waiting), *filter(None, [builder.take()])]
            waiting = []
    return [*batches, *builder.add_all(waiting), *filter(None, [builder.take()])]


@given(RECORDINGS, LIMITS, st.lists(st.booleans(), max_size=40))
def test_what_is_committed_arrives_whole_and_in_commit_order(
    recording: Recording, limits: BatchLimits, takes: list[bool]
) -> None:
    receiver = Receiver()

    receiver.receive(build(recording, limits, takes=takes))

    arrived = [transaction for transaction in receiver.transactions if transaction[3]]
    assert arrived == [
        (written.begin.xid, written.begin.commit_lsn, written.commit.end_lsn, written.changes)
        for written in recording.committed
        if written.changes
    ]


@given(RECORDINGS, LIMITS, st.lists(st.booleans(), max_size=40))
def test_batches_follow_each_other_and_end_at_commits(
    recording: Recording, limits: BatchLimits, takes: list[bool]
) -> None:
    batches = build(recording, limits, takes=takes)

    ends = [NO_LSN, *(written.commit.end_lsn for written in recording.committed)]
    assert [batch.sequence for batch in batches] == list(range(len(batches)))
    for before, batch in pairwise(batches):
        assert batch.previous_lsn == before.end_lsn
        assert batch.is_complete or batch.end_lsn == batch.previous_lsn
    assert all(batch.end_lsn in ends for batch in batches if batch.is_complete)


@given(RECORDINGS, LIMITS)
def test_memory_is_bounded_however_many_transactions_are_in_progress(
    recording: Recording, limits: BatchLimits
) -> None:
    builder = builder_with(limits)
    rows_held = bytes_held = 0

    for payload in recording.payloads:
        rows = [row for batch in builder.add(payload) for row in batch.payloads if is_row(row)]
        rows_held += is_row(payload) - len(rows)
        bytes_held += is_row(payload) * len(payload) - sum(map(len, rows))

        # what was rolled back is counted here until the end, so this is no bound for it
        if not any(isinstance_abort(payload) for payload in recording.payloads):
            assert rows_held <= 3 * limits.max_rows
            assert bytes_held <= 3 * limits.max_bytes + 4 * len(recording.payloads)


def isinstance_abort(payload: bytes) -> bool:
    return payload[:1] == b"A"


@given(st.lists(STREAMED_MESSAGES | MESSAGES, max_size=12), LIMITS)
def test_any_sequence_of_messages_gives_batches_or_a_protocol_error(
    messages: list[object], limits: BatchLimits
) -> None:
    with suppress(ProtocolError):
        Receiver().receive(add_all(builder_with(limits), [encode(message) for message in messages]))  # type: ignore[arg-type]


XID, SUBXID = 701, 702
RELATION = encode(Relation(1, "s", "t", ReplicaIdentity.DEFAULT, (), XID))
STARTED = [encode(StreamStart(XID, True)), RELATION]
STOP = encode(StreamStop())
COMMITTED = encode(StreamCommit(XID, Lsn(0x1100), Lsn(0x1130), 7))


def row(xid: int = XID) -> bytes:
    return encode(Insert(1, (), xid))


def test_transaction_in_progress_is_published_before_it_commits() -> None:
    batches = add_all(builder_with(TINY), [*STARTED, row(), row(), row()])

    (batch,) = batches
    assert batch.chunk is not None
    assert (batch.chunk.index, batch.chunk.end, batch.committed_at) == (0, ChunkEnd.OPEN, None)
    assert (batch.first_lsn, batch.end_lsn, batch.transaction_count) == (NO_LSN, batch.previous_lsn, 0)
    assert b"".join(payload[:1] for payload in batch.payloads) == b"RII"


def test_commit_ends_it_with_what_is_left() -> None:
    *_, last = add_all(builder_with(TINY), [*STARTED, row(), row(), row(), STOP, COMMITTED])

    assert last.chunk is not None
    assert (last.chunk.index, last.chunk.end, last.committed_at) == (1, ChunkEnd.COMMIT, 7)
    assert (last.first_lsn, last.end_lsn, last.transaction_count) == (Lsn(0x1100), Lsn(0x1130), 1)
    assert last.change_count == 1


def test_small_transaction_in_progress_shares_a_batch_with_others() -> None:
    recording = write_steps(
        [
            Step("segment", (INSERT,), transaction=1),
            Step("plain", (INSERT,)),
            Step("commit", transaction=1),
            Step("plain", (INSERT,)),
        ]
    )

    (batch,) = build(recording)

    assert (batch.chunk, batch.transaction_count) == (None, 3)
    assert b"".join(payload[:1] for payload in batch.payloads) == b"BRICBRICBIC"


def test_transactions_committed_meanwhile_are_published_before_the_last_chunk() -> None:
    recording = write_steps(
        [
            Step("segment", (INSERT,) * 3, transaction=1),
            Step("plain", (INSERT,)),
            Step("commit", transaction=1),
        ]
    )

    batches = build(recording, TINY)

    assert [(batch.chunk is not None, batch.is_complete) for batch in batches] == [
        (True, False),
        (False, True),
        (True, True),
    ]


def test_roll_back_of_a_published_transaction_is_published() -> None:
    *_, last = add_all(
        builder_with(TINY), [*STARTED, row(), row(), STOP, encode(StreamAbort(XID, XID, None, None))]
    )

    assert last.chunk is not None
    assert (last.chunk.index, last.chunk.end, last.payloads) == (1, ChunkEnd.ROLLBACK, ())
    assert not last.is_complete


def test_roll_back_of_what_was_not_published_leaves_nothing() -> None:
    builder = builder_with(WIDE)

    batches = add_all(builder, [*STARTED, row(), STOP, encode(StreamAbort(XID, XID, None, None))])

    assert batches == []
    assert builder.is_empty


def test_rolled_back_subtransaction_is_left_out_of_the_chunk_and_named_for_earlier_ones() -> None:
    aborted = encode(StreamAbort(XID, SUBXID, None, None))
    start = encode(StreamStart(XID, False))

    chunks = add_all(
        builder_with(TINY), [*STARTED, row(), row(SUBXID), row(SUBXID), STOP, aborted, start, row(), row()]
    )

    assert [batch.change_count for batch in chunks] == [2, 1]
    assert [batch.chunk and batch.chunk.rolled_back for batch in chunks] == [(), (SUBXID,)]
    assert chunks[0].chunk is not None
    assert chunks[0].chunk.subtransactions == ((1, XID), (2, SUBXID))


def test_subtransactions_are_not_named_where_there_are_none() -> None:
    (batch,) = add_all(builder_with(TINY), [*STARTED, row(), row()])

    assert batch.chunk is not None
    assert batch.chunk.subtransactions == ()


def test_description_in_a_rolled_back_subtransaction_serves_what_follows() -> None:
    relation = encode(Relation(1, "s", "t", ReplicaIdentity.DEFAULT, (), SUBXID))
    receiver = Receiver()

    receiver.receive(
        add_all(
            builder_with(TINY),
            [
                encode(StreamStart(XID, True)),
                relation,
                row(SUBXID),
                row(),
                STOP,
                encode(StreamAbort(XID, SUBXID, None, None)),
                COMMITTED,
            ],
        )
    )

    ((xid, _, _, changes),) = receiver.transactions
    assert xid == XID
    assert len(changes) == 1


def test_description_belongs_to_its_transaction_until_the_commit() -> None:
    builder = builder_with(WIDE)
    add_all(builder, [*STARTED, row(), STOP])

    with pytest.raises(ProtocolError, match="before its description"):
        add_all(builder, [encode(StreamStart(XID + 5, True)), row(XID + 5)])


def test_of_two_descriptions_the_one_sent_last_counts_whichever_commits_last() -> None:
    recording = write_steps(
        [
            Step("segment", (INSERT,), transaction=1),
            Step("plain", (Action("alter"), INSERT)),
            Step("commit", transaction=1),
            Step("plain", (INSERT,)),
        ]
    )
    receiver = Receiver()

    receiver.receive(build(recording))

    widths = [
        [len(relations[0].columns) for _, relations in changes] for *_, changes in receiver.transactions
    ]
    assert widths == [[3], [2], [3]]


def test_transactions_in_progress_share_the_limits() -> None:
    limits = BatchLimits(max_rows=4, max_bytes=1_000_000)
    steps = [Step("segment", (INSERT,), transaction=number) for number in (1, 2, 3, 1, 2, 3)]

    batches = build(write_steps(steps), limits)

    assert batches
    assert all(batch.change_count <= 2 for batch in batches)


def test_replicated_transactions_are_left_out_on_request() -> None:
    recording = write_steps(
        [
            Step("plain", (Action("origin"), INSERT, Action("insert", (TABLES[1],)))),
            Step("plain", (INSERT,)),
        ]
    )
    builder = builder_with(BatchLimits(max_rows=1, max_bytes=1), leaves_out_replicated=True)
    receiver = Receiver()

    receiver.receive(add_all(builder, recording.payloads))

    assert [changes for *_, changes in receiver.transactions] == [recording.committed[1].changes]


@pytest.mark.parametrize(
    ("payloads", "message"),
    [
        ([STOP], "stops that has not started"),
        ([encode(StreamStart(XID, False))], "has no first segment"),
        ([COMMITTED], "has no first segment"),
        ([*STARTED, encode(StreamStart(5, True))], "starts inside transaction 701"),
        ([*STARTED, COMMITTED], "commits inside transaction 701"),
        ([*STARTED, encode(StreamAbort(XID, XID, None, None))], "rolled back inside transaction 701"),
        ([*STARTED, STOP, encode(StreamStart(XID, True))], "two first segments"),
        ([*STARTED, STOP, row()], "outside a transaction"),
        ([encode(StreamStart(XID, True)), row()], "before its description"),
        ([*STARTED, encode(Origin(Lsn(1), "o")), b"b"], "unexpected pgoutput message b'b'"),
    ],
)
def test_segments_that_make_no_sense_are_refused(payloads: list[bytes], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        add_all(builder_with(WIDE), payloads)


@pytest.mark.parametrize("xid", [XID, SUBXID])
def test_roll_back_of_what_was_never_sent_is_nothing(xid: int) -> None:
    """PostgreSQL 18 tells it of a transaction that it knew to be rolled back before it sent anything."""
    assert builder_with(TINY).add(encode(StreamAbort(XID, xid, None, None))) == []

"""Masks replace the text of a payload's values, and nothing else."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.changes import make_relation
from tests.support.pgoutput_encoder import encode
from trempy_provider.errors import ProtocolError
from trempy_provider.replication import pgoutput
from trempy_provider.replication.batch_builder import BatchBuilder
from trempy_provider.replication.batches import BatchLimits
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.masking import masked_relation
from trempy_provider.replication.messages import (
    UNCHANGED,
    Begin,
    BinaryValue,
    Commit,
    Delete,
    Insert,
    OldTuple,
    Relation,
    StreamCommit,
    StreamStart,
    StreamStop,
    Type,
    Update,
)

RELATION = make_relation("id", "sécret", "note", key=("id",), type_oid=1043)
VALUES = st.none() | st.just(UNCHANGED) | st.binary(max_size=5)
ROWS = st.tuples(VALUES, VALUES, VALUES)


def shout(value: bytes) -> bytes:
    return b"masked " + value


def masked_row(row):
    return (row[0], shout(row[1]) if isinstance(row[1], bytes) else row[1], row[2])


def masks():
    _, column_masks = masked_relation(encode(RELATION), RELATION, {"sécret": shout})
    assert column_masks is not None
    return column_masks


@given(ROWS, ROWS, st.booleans(), st.sampled_from(["insert", "key", "old", "plain", "delete"]))
def test_values_of_masked_columns_are_replaced_in_every_tuple(new, old, key_only, kind):
    before, after = OldTuple(key_only, old), OldTuple(key_only, masked_row(old))
    oid = RELATION.oid
    payload, expected = {
        "insert": (Insert(oid, new), Insert(oid, masked_row(new))),
        "plain": (Update(oid, None, new), Update(oid, None, masked_row(new))),
        "key": (Update(oid, before, new), Update(oid, after, masked_row(new))),
        "old": (
            Update(oid, replace(before, is_key_only=False), new),
            Update(oid, replace(after, is_key_only=False), masked_row(new)),
        ),
        "delete": (Delete(oid, before), Delete(oid, after)),
    }[kind]

    assert pgoutput.decode(masks().applied_to(encode(payload))) == expected


def test_a_masked_column_is_described_as_text():
    payload, _ = masked_relation(encode(RELATION), RELATION, {"sécret": shout})

    described = pgoutput.decode(payload)

    assert isinstance(described, Relation)
    assert [column.type_oid for column in described.columns] == [1043, 25, 1043]
    assert [column.name for column in described.columns] == ["id", "sécret", "note"]
    assert replace(described, columns=()) == replace(RELATION, columns=())


def test_nothing_is_changed_without_masks():
    assert masked_relation(encode(RELATION), RELATION, {}) == (encode(RELATION), None)


@given(st.binary(max_size=40))
def test_broken_payloads_are_refused(garbage):
    payload = encode(Insert(RELATION.oid, (b"1", b"s", b"n")))[:-1] + garbage
    with contextlib.suppress(ProtocolError):
        masks().applied_to(payload)


@pytest.mark.parametrize("row", [(b"1", BinaryValue(b"\1"), b""), (b"1", b"2")])
def test_a_value_that_cannot_be_masked_is_refused(row):
    with pytest.raises(ProtocolError):
        masks().applied_to(encode(Insert(RELATION.oid, row)))


def masking_builder(*, max_rows: int) -> BatchBuilder:
    return BatchBuilder(
        task_name="t",
        session_number=1,
        previous_lsn=NO_LSN,
        limits=BatchLimits(max_rows=max_rows, max_bytes=10**6),
        masks_of=lambda relation: {"sécret": shout},
    )


def test_a_transaction_in_progress_is_masked_by_its_own_description():
    other = make_relation("sécret", "id", key=("id",))
    builder = masking_builder(max_rows=1)
    payloads = [
        StreamStart(7, True),
        replace(RELATION, xid=7),
        Insert(RELATION.oid, (b"1", b"A", b"n"), xid=7),
        StreamStop(),
        StreamStart(8, True),
        Type(99, "public", "t", xid=8),
        replace(other, xid=8),
        Insert(RELATION.oid, (b"B", b"1"), xid=8),
        StreamStop(),
        StreamStart(7, False),
        Insert(RELATION.oid, (b"2", b"C", b"n"), xid=7),
        StreamStop(),
        StreamCommit(7, Lsn(10), Lsn(20), 0),
        StreamCommit(8, Lsn(30), Lsn(40), 0),
    ]

    batches = [batch for message in payloads for batch in builder.add(encode(message))]

    messages = [pgoutput.decode(payload) for batch in batches for payload in batch.payloads]
    rows = [message.new for message in messages if isinstance(message, Insert)]
    assert sorted(rows) == [(b"1", b"masked A", b"n"), (b"2", b"masked C", b"n"), (b"masked B", b"1")]


def test_changes_taken_many_at_once_are_masked():
    builder = masking_builder(max_rows=100)
    payloads = [
        message
        for number in range(1, 5)
        for message in (
            Begin(Lsn(10 * number), 0, number),
            *([RELATION] if number == 1 else []),
            Insert(RELATION.oid, (b"1", b"A", b"n")),
            Insert(RELATION.oid, (b"2", b"B", b"n")),
            Commit(Lsn(10 * number), Lsn(10 * number + 5), 0),
        )
    ]

    found = [*builder.add_all(list(map(encode, payloads)))]
    last = builder.take()

    assert not found and last is not None
    messages = [pgoutput.decode(payload) for payload in last.payloads]
    rows = [message.new for message in messages if isinstance(message, Insert)]
    assert rows == [(b"1", b"masked A", b"n"), (b"2", b"masked B", b"n")] * 4

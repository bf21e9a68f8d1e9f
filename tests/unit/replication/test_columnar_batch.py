"""Which batches come as arrays, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.changes import delete, insert, make_begin, make_relation, shape_of, truncate, update
from tests.support.pgoutput_encoder import encode
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.columnar_batch import FEWEST_CHANGES, read_columnar
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import Commit, Relation
from trempy_provider.replication.table_facts import encode_facts
from trempy_provider.replication.transactions import batch_of_changes

ORDERS = make_relation("id", "v", key=("id",), oid=20)
LINES = make_relation("id", key=("id",), oid=10, table_name="lines")
BEGIN = make_begin()


def many(count: int = FEWEST_CHANGES) -> list[Change]:
    return [insert(ORDERS, str(number).encode(), b"v", begin=BEGIN) for number in range(count)]


def batch_of(changes: Sequence[Change]) -> Batch:
    return batch_of_changes("orders", changes)


def test_rows_are_counted_by_table_and_operation():
    changes = [*many(), insert(LINES, b"1"), update(ORDERS, (b"1", b"w")), delete(LINES, key=(b"1",))]

    columnar = read_columnar(batch_of(changes))

    assert columnar is not None
    found = {table.shape.relation.table_name: table.counts for table in columnar.tables}
    assert found == {
        "t": {Operation.INSERT: FEWEST_CHANGES, Operation.UPDATE: 1},
        "lines": {Operation.INSERT: 1, Operation.DELETE: 1},
    }
    assert [table.shape for table in columnar.tables] == [shape_of(ORDERS), shape_of(LINES)]
    assert columnar.last == BEGIN


@pytest.mark.parametrize(
    "changes",
    [many(FEWEST_CHANGES - 1), [*many(), truncate(ORDERS)]],
    ids=["few changes", "a truncate"],
)
def test_batches_that_gain_nothing_or_have_an_order_have_no_such_form(changes):
    assert read_columnar(batch_of(changes)) is None


def test_a_table_described_again_in_the_same_way_has_the_same_form():
    batch = batch_of(many())
    described = next(place for place, payload in enumerate(batch.payloads) if payload[:1] == b"R")
    oid = int.from_bytes(batch.payloads[described][1:5], "big")
    before, after = (encode_facts(oid, Lsn(lsn), b"facts") for lsn in (0x100, 0x900))
    payloads = list(batch.payloads)
    payloads[described:described] = [before]
    payloads[-1:-1] = [after, batch.payloads[described]]

    once, again = read_columnar(batch), read_columnar(replace(batch, payloads=tuple(payloads)))

    assert once is not None and again is not None
    assert [table.counts for table in again.tables] == [table.counts for table in once.tables]


def test_a_table_described_in_two_ways_has_no_such_form():
    batch = batch_of(many())
    payloads = [*batch.payloads[:-1], encode(_widened(ORDERS)), batch.payloads[-1]]
    twice = replace(batch, payloads=tuple(payloads))

    assert read_columnar(twice) is None


def _widened(relation: Relation) -> Relation:
    return make_relation(*relation.column_names, "more", key=("id",), oid=relation.oid)


def test_the_last_transaction_is_the_one_that_begins_last():
    later = make_begin(commit_lsn=0x900, xid=701)
    first = batch_of(many())
    payloads = (*first.payloads, encode(later), encode(Commit(later.commit_lsn, later.commit_lsn, 0)))
    both = replace(first, payloads=payloads)

    columnar = read_columnar(both)

    assert columnar is not None
    assert columnar.last == later

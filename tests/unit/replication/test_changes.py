"""Changes and times as values."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.changes import delete, insert, make_relation, truncate, update
from tests.support.generated_messages import TIMESTAMPS
from trempy_provider.errors import ProtocolError
from trempy_provider.replication.changes import Operation, datetime_of, microseconds_of
from trempy_provider.replication.messages import UNCHANGED, OldTuple

RELATION = make_relation("k", "v", key=("k",))


def test_insert_has_a_new_row_only() -> None:
    change = insert(RELATION, b"1", b"a")

    assert (change.operation, change.new, change.old) == (Operation.INSERT, (b"1", b"a"), None)
    assert change.key_before((0,)) == change.key_after((0,)) == (b"1",)


def test_insert_that_lacks_values_is_the_update_by_which_a_row_came_to_pass_a_row_filter() -> None:
    change = insert(RELATION, b"1", UNCHANGED)

    assert (change.operation, change.new, change.old) == (Operation.UPDATE, (b"1", UNCHANGED), None)


def test_update_of_the_same_key_finds_its_row_by_the_new_one() -> None:
    change = update(RELATION, (b"1", UNCHANGED))

    assert change.operation is Operation.UPDATE
    assert change.key_before((0,)) == change.key_after((0,)) == (b"1",)


def test_update_of_a_key_finds_its_row_by_the_old_one() -> None:
    change = update(RELATION, (b"2", b"a"), key=(b"1", None))

    assert change.key_before((0,)) == (b"1",)
    assert change.key_after((0,)) == (b"2",)
    assert change.old == OldTuple(is_key_only=True, values=(b"1", None))


def test_key_that_was_not_sent_again_is_the_old_one() -> None:
    change = update(RELATION, (UNCHANGED, b"a"), key=(b"long", None))

    assert change.key_before((0,)) == change.key_after((0,)) == (b"long",)


def test_delete_has_an_old_row_only() -> None:
    change = delete(RELATION, key=(b"1", None))

    assert (change.operation, change.new) == (Operation.DELETE, None)
    assert change.key_before((0,)) == (b"1",)


def test_key_keeps_the_order_asked_for() -> None:
    change = insert(make_relation("a", "b", "c"), b"1", b"2", b"3")

    assert change.key_before((2, 0)) == (b"3", b"1")
    assert change.key_before(()) == ()


def test_truncate_has_no_rows_and_all_its_relations() -> None:
    other = make_relation("k", oid=16385)

    change = truncate(RELATION, other)

    assert (change.operation, change.new, change.old) == (Operation.TRUNCATE, None, None)
    assert [shape.relation for shape in change.shapes] == [RELATION, other]
    assert change.relation == RELATION


def test_protocol_time_counts_from_2000_in_utc() -> None:
    assert datetime_of(0) == datetime(2000, 1, 1, tzinfo=timezone.utc)
    assert datetime_of(-1).year == 1999
    assert datetime_of(1).tzinfo is timezone.utc


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_time_survives_the_protocol(moment: datetime) -> None:
    assert datetime_of(microseconds_of(moment)) == moment


@given(TIMESTAMPS)
def test_any_timestamp_is_a_time_or_a_protocol_error(microseconds: int) -> None:
    try:
        moment = datetime_of(microseconds)
    except ProtocolError:
        return

    assert microseconds_of(moment) == microseconds


@pytest.mark.parametrize("microseconds", [2**63 - 1, -(2**63), 10**30])
def test_time_outside_the_calendar_is_refused(microseconds: int) -> None:
    with pytest.raises(ProtocolError, match="is no timestamp"):
        datetime_of(microseconds)

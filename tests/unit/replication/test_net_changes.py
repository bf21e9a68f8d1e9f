"""The net of many changes has the effect of applying them one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.changes import delete, insert, make_relation, update
from tests.support.table_model import KeyedTable, KeylessTable
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, Tuple
from trempy_provider.replication.net_changes import NetGroup, Step, net_steps

KEY = (2, 0)  # neither the first columns nor in the table's order
RELATION = make_relation("b", "v", "a", "w", key=("a", "b"))
KEYLESS = make_relation("x", "y")
PLAIN = make_relation("k", "v", key=("k",))

Key = tuple[bytes, bytes]
KEYS = st.tuples(st.sampled_from([b"1", b"2"]), st.sampled_from([b"x", b"y"]))
CELLS = st.sampled_from([b"", b"p", b"q", None])


@dataclass(frozen=True)
class Intent:
    """What somebody tries to do to a table; `keeps` says which values an update leaves alone."""

    operation: str
    key: Key
    new_key: Key
    cells: tuple[bytes | None, bytes | None]
    keeps: tuple[bool, bool]
    key_is_toasted: bool


INTENTS = st.builds(
    Intent,
    operation=st.sampled_from(["insert", "update", "move", "delete"]),
    key=KEYS,
    new_key=KEYS,
    cells=st.tuples(CELLS, CELLS),
    keeps=st.tuples(st.booleans(), st.booleans()),
    key_is_toasted=st.booleans(),
)
ROWS = st.dictionaries(KEYS, st.tuples(CELLS, CELLS), max_size=4).map(
    lambda rows: [row_of(key, cells) for key, cells in rows.items()]
)


def row_of(key: Key, cells: tuple[bytes | None, bytes | None]) -> Tuple:
    (a, b), (v, w) = key, cells
    return (b, v, a, w)


def key_only(key: Key) -> Tuple:
    return row_of(key, (None, None))


def make_change(intent: Intent, present: Tuple | None, *, identity_is_full: bool) -> Change:
    """Return the change that the walsender would send; `present` is the row on the source, if any."""
    key = intent.key
    whole = present or row_of(key, intent.cells)
    if intent.operation == "insert":
        return insert(RELATION, *row_of(key, intent.cells))
    if intent.operation == "delete":
        return delete(RELATION, old=whole) if identity_is_full else delete(RELATION, key=key_only(key))
    new_key = intent.new_key if intent.operation == "move" else key
    new = _new_row(intent, new_key, whole)
    if identity_is_full:
        return update(RELATION, new, old=whole)
    return update(RELATION, new, key=key_only(key) if new_key != key or UNCHANGED in new[::2] else None)


def _new_row(intent: Intent, new_key: Key, present: Tuple) -> Tuple:
    """Return the row after an update; a value that is kept is sent as such when it is NULL."""
    cells = zip(intent.cells, intent.keeps, present[1::2], strict=True)
    v, w = ((None if before is None else UNCHANGED) if kept else cell for cell, kept, before in cells)
    a, b = new_key
    if intent.key_is_toasted and new_key == intent.key:
        return (UNCHANGED, v, a, w)
    return (b, v, a, w)


def possible_changes(rows: list[Tuple], intents: list[Intent], *, identity_is_full: bool) -> list[Change]:
    """Return the changes of those intents that are possible, each after those before it."""
    source, changes = KeyedTable(rows, KEY), []
    for intent in intents:
        change = make_change(intent, source.rows.get(intent.key), identity_is_full=identity_is_full)
        source.apply(change)
        if not source.errors:
            changes.append(change)
        source.errors.clear()
    return changes


def one_by_one(rows: Iterable[Tuple], changes: Iterable[Change]) -> KeyedTable:
    table = KeyedTable(rows, KEY)
    for change in changes:
        table.apply(change)
    return table


def step_by_step(rows: Iterable[Tuple], changes: Iterable[Change]) -> KeyedTable:
    table = KeyedTable(rows, KEY)
    for step in net_steps(changes, key_positions=KEY):
        table.apply_step(step)
    return table


def steps_of(*changes: Change, key_positions: tuple[int, ...] = (0,)) -> list[Step]:
    return list(net_steps(changes, key_positions=key_positions))


def changes_in(steps: Iterable[Step]) -> list[Change]:
    return [change for step in steps for change in (step.changes if isinstance(step, NetGroup) else [step])]


def nets_of(step: Step) -> list[tuple[Operation, Tuple]]:
    assert isinstance(step, NetGroup)
    return [(net.operation, net.row) for net in step.net_changes]


@given(ROWS, st.lists(INTENTS, max_size=15), st.booleans())
def test_net_of_possible_changes_equals_applying_them_one_by_one(
    rows: list[Tuple], intents: list[Intent], identity_is_full: bool
) -> None:
    changes = possible_changes(rows, intents, identity_is_full=identity_is_full)

    net = step_by_step(rows, changes)

    assert net.rows == one_by_one(rows, changes).rows
    assert net.errors == []
    assert net.undone_groups == 0


@given(ROWS, st.lists(INTENTS, max_size=15))
def test_contradicting_changes_fail_as_they_do_one_by_one(rows: list[Tuple], intents: list[Intent]) -> None:
    changes = [make_change(intent, None, identity_is_full=False) for intent in intents]
    expected = one_by_one(rows, changes)
    # A row that comes and goes within a group is not looked for on the target.
    assume(all(change.operation is not Operation.INSERT for change in expected.errors))

    net = step_by_step(rows, changes)

    assert net.rows == expected.rows
    assert list(map(id, net.errors)) == list(map(id, expected.errors))


@given(st.lists(INTENTS, max_size=15), st.booleans())
def test_steps_hold_every_change_once_and_in_order(intents: list[Intent], identity_is_full: bool) -> None:
    changes = [make_change(intent, None, identity_is_full=identity_is_full) for intent in intents]

    steps = list(net_steps(changes, key_positions=KEY))

    assert list(map(id, changes_in(steps))) == list(map(id, changes))


@given(ROWS, st.lists(INTENTS, max_size=15), st.booleans())
def test_group_holds_each_key_once_and_knows_it(
    rows: list[Tuple], intents: list[Intent], identity_is_full: bool
) -> None:
    changes = possible_changes(rows, intents, identity_is_full=identity_is_full)

    for step in net_steps(changes, key_positions=KEY):
        if isinstance(step, NetGroup):
            keys = [tuple(net.row[position] for position in KEY) for net in step.net_changes]
            assert len(set(keys)) == len(keys)
            assert all(UNCHANGED not in key for key in keys)
            for net in step.net_changes:
                assert net.operation is Operation.UPDATE or UNCHANGED not in net.row
                assert not (identity_is_full and UNCHANGED in net.row)


CELL = st.sampled_from([b"1", b"2", None])
PAIRS = st.tuples(CELL, CELL)


@given(st.lists(PAIRS, max_size=4), st.lists(st.tuples(st.sampled_from("iud"), PAIRS, PAIRS), max_size=12))
def test_net_of_changes_without_a_key_equals_applying_them_one_by_one(
    rows: list[Tuple], intents: list[tuple[str, Tuple, Tuple]]
) -> None:
    changes = [
        insert(KEYLESS, *new)
        if kind == "i"
        else delete(KEYLESS, old=old)
        if kind == "d"
        else update(KEYLESS, (new[0], UNCHANGED), old=old)
        for kind, old, new in intents
    ]
    expected, net = KeylessTable(rows), KeylessTable(rows)

    for change in changes:
        expected.apply(change)
    for step in net_steps(changes, key_positions=()):
        net.apply_step(step)

    assert +net.rows == +expected.rows
    assert list(map(id, net.errors)) == list(map(id, expected.errors))


def test_nothing_gives_no_steps() -> None:
    assert steps_of() == []


@pytest.mark.parametrize(
    ("changes", "net"),
    [
        ([insert(PLAIN, b"1", b"a")], [(Operation.INSERT, (b"1", b"a"))]),
        (
            [insert(PLAIN, b"1", b"a"), update(PLAIN, (b"1", b"b"))],
            [(Operation.INSERT, (b"1", b"b"))],
        ),
        (
            [insert(PLAIN, b"1", b"a"), update(PLAIN, (b"1", UNCHANGED))],
            [(Operation.INSERT, (b"1", b"a"))],
        ),
        (
            [update(PLAIN, (b"1", b"b")), update(PLAIN, (b"1", UNCHANGED))],
            [(Operation.UPDATE, (b"1", b"b"))],
        ),
        (
            [update(PLAIN, (b"1", UNCHANGED)), update(PLAIN, (b"1", None))],
            [(Operation.UPDATE, (b"1", None))],
        ),
        (
            [update(PLAIN, (b"1", UNCHANGED)), update(PLAIN, (b"1", UNCHANGED))],
            [(Operation.UPDATE, (b"1", UNCHANGED))],
        ),
        (
            [update(PLAIN, (b"1", b"b")), delete(PLAIN, key=(b"1", None))],
            [(Operation.DELETE, (b"1", None))],
        ),
        (
            [delete(PLAIN, key=(b"1", None)), insert(PLAIN, b"1", b"c")],
            [(Operation.UPDATE, (b"1", b"c"))],
        ),
        (
            [
                delete(PLAIN, key=(b"1", None)),
                insert(PLAIN, b"1", b"c"),
                delete(PLAIN, key=(b"1", None)),
            ],
            [(Operation.DELETE, (b"1", None))],
        ),
        (
            [insert(PLAIN, b"1", b"a"), delete(PLAIN, key=(b"1", None))],
            [(Operation.DELETE, (b"1", None))],
        ),
        (
            [insert(PLAIN, b"1", b"a"), delete(PLAIN, key=(b"1", None)), insert(PLAIN, b"1", b"z")],
            [(Operation.INSERT, (b"1", b"z"))],
        ),
    ],
)
def test_changes_of_a_key_are_merged(changes: list[Change], net: list[tuple[Operation, Tuple]]) -> None:
    (step,) = steps_of(*changes)

    assert nets_of(step) == net
    assert changes_in([step]) == changes


def test_unchanged_value_is_filled_from_a_whole_old_row() -> None:
    (step,) = steps_of(update(PLAIN, (b"1", UNCHANGED), old=(b"1", b"long")))

    assert nets_of(step) == [(Operation.UPDATE, (b"1", b"long"))]


def test_unchanged_value_is_not_filled_where_a_partition_sent_its_key_only() -> None:
    (step,) = steps_of(update(PLAIN, (UNCHANGED, UNCHANGED), old=(b"long", None)))

    assert nets_of(step) == [(Operation.UPDATE, (b"long", UNCHANGED))]


def test_unchanged_key_is_filled_from_the_old_key_and_nothing_else() -> None:
    (step,) = steps_of(update(PLAIN, (UNCHANGED, UNCHANGED), key=(b"long", None)))

    assert nets_of(step) == [(Operation.UPDATE, (b"long", UNCHANGED))]


def test_merged_change_remembers_what_it_was_made_of() -> None:
    first, second = insert(PLAIN, b"1", b"a"), update(PLAIN, (b"1", b"b"))

    (step,) = steps_of(first, second)

    assert isinstance(step, NetGroup)
    assert step.net_changes[0].changes == [first, second]


def test_change_of_a_key_stands_alone_between_groups() -> None:
    before, after = insert(PLAIN, b"1", b"a"), insert(PLAIN, b"1", b"again")
    move = update(PLAIN, (b"2", b"a"), key=(b"1", None))

    first, second, third = steps_of(before, move, after)

    assert (nets_of(first), nets_of(third)) == (
        [(Operation.INSERT, (b"1", b"a"))],
        [(Operation.INSERT, (b"1", b"again"))],
    )
    assert second is move


def test_row_whose_key_holds_null_stands_alone() -> None:
    change = insert(PLAIN, None, b"a")

    assert steps_of(change) == [change]


FIRST_INSERT, SECOND_INSERT = insert(PLAIN, b"1", b"a"), insert(PLAIN, b"1", b"b")
FIRST_DELETE, SECOND_DELETE = delete(PLAIN, key=(b"1", None)), delete(PLAIN, key=(b"1", None))
UPDATE = update(PLAIN, (b"1", b"c"))


@pytest.mark.parametrize(
    "changes",
    [
        [FIRST_INSERT, SECOND_INSERT],
        [UPDATE, SECOND_INSERT],
        [FIRST_DELETE, SECOND_DELETE],
        [FIRST_DELETE, UPDATE],
        [FIRST_INSERT, FIRST_DELETE, SECOND_DELETE],
        [FIRST_INSERT, FIRST_DELETE, UPDATE],
    ],
)
def test_change_that_contradicts_those_before_it_stands_alone(changes: list[Change]) -> None:
    group, contradiction = steps_of(*changes)

    assert changes_in([group]) == changes[:-1]
    assert contradiction is changes[-1]


def test_change_after_a_contradiction_is_not_merged_with_it() -> None:
    steps = steps_of(FIRST_INSERT, SECOND_INSERT, FIRST_DELETE)

    assert [isinstance(step, NetGroup) for step in steps] == [True, False, True]
    assert nets_of(steps[2]) == [(Operation.DELETE, (b"1", None))]


def test_without_a_key_only_runs_of_inserts_are_grouped() -> None:
    one, two = insert(KEYLESS, b"1", b"1"), insert(KEYLESS, b"1", b"1")
    gone, back = delete(KEYLESS, old=(b"1", b"1")), insert(KEYLESS, b"2", b"2")

    steps = steps_of(one, two, gone, back, key_positions=())

    assert nets_of(steps[0]) == [(Operation.INSERT, (b"1", b"1"))] * 2
    assert steps[1] is gone
    assert nets_of(steps[2]) == [(Operation.INSERT, (b"2", b"2"))]


def test_hot_key_is_written_once() -> None:
    changes = [update(PLAIN, (b"1", str(i).encode())) for i in range(1000)]

    (step,) = steps_of(*changes)

    assert nets_of(step) == [(Operation.UPDATE, (b"1", b"999"))]

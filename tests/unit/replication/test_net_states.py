"""The states in which transactions leave keys make the histories that the single changes make."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.changes import delete, insert, update
from tests.support.history_changes import KEY, PLAIN, at, possible, started, write_one_by_one
from tests.support.history_model import Histories
from trempy_provider.replication.messages import UNCHANGED, Tuple
from trempy_provider.replication.net_changes import overlay
from trempy_provider.replication.net_states import KeyState, StateGroup, state_groups

KEYS = st.sampled_from([b"1", b"2", b"3"])
CELLS = st.sampled_from([b"", b"p", None, UNCHANGED])
STEPS = st.tuples(
    st.sampled_from(["insert", "update", "move", "delete"]),
    KEYS,
    KEYS,
    st.tuples(CELLS, CELLS),
    st.sampled_from([0, 0, 1, 2]),  # microseconds to the commit before; 0: the same transaction, or a tie
    st.booleans(),  # does what follows come in another group?
)


def write_group(histories: Histories, group: StateGroup) -> None:
    """Do what the statements do with a group: first fill, then write."""
    by_number = {state.number: state for state in group.states}
    rows = [_filled(histories, state, by_number) for state in group.states]
    for state, row in zip(group.states, rows, strict=True):
        histories.leave(state.row[:1], state.committed_at, row if state.is_present else None)


def _filled(histories: Histories, state: KeyState, by_number: dict[int, KeyState]) -> Tuple:
    if state.carried_from is None:
        assert UNCHANGED not in state.row
        return state.row
    return overlay(histories.row_of(by_number[state.carried_from].row[:1]), state.row)


@given(st.lists(STEPS, max_size=20), st.booleans())
def test_states_in_any_groups_make_the_histories_of_single_changes(steps, identity_is_full) -> None:
    groups, rows = possible(steps, identity_is_full=identity_is_full)
    expected, actual = started(rows), started(rows)

    for changes in groups:
        for change in changes:
            write_one_by_one(expected, change)
        for group in state_groups(changes, key_positions=KEY):
            write_group(actual, group)

    assert actual.versions() == expected.versions()


@given(st.lists(STEPS, max_size=20), st.booleans())
def test_group_has_one_state_per_key_and_moment_in_order(steps, identity_is_full) -> None:
    groups, _ = possible(steps, identity_is_full=identity_is_full)

    for changes in groups:
        for group in state_groups(changes, key_positions=KEY):
            moments = [(state.row[:1], state.committed_at) for state in group.states]
            assert len(set(moments)) == len(moments)
            assert [state.number for state in group.states] == sorted(s.number for s in group.states)
            assert list(map(id, group.changes)) == list(map(id, changes))


def test_values_not_sent_come_from_the_state_before() -> None:
    first = at(1, update(PLAIN, (b"1", b"a", UNCHANGED)))
    second = at(2, update(PLAIN, (b"1", UNCHANGED, b"b")))

    (group,) = state_groups([first, second], key_positions=KEY)

    assert [state.row for state in group.states] == [(b"1", b"a", UNCHANGED), (b"1", b"a", b"b")]
    assert [state.carried_from for state in group.states] == [1, None]


def test_values_not_sent_follow_a_row_to_its_new_keys() -> None:
    first = at(1, update(PLAIN, (b"2", b"a", UNCHANGED), key=(b"1", None, None)))
    second = at(2, update(PLAIN, (b"3", b"b", UNCHANGED), key=(b"2", None, None)))
    back = at(2, insert(PLAIN, b"1", b"c", b"c"))

    (group,) = state_groups([first, second, back], key_positions=KEY)

    states = {(state.row[0], state.committed_at): state for state in group.states}
    origin = states[b"1", 1].number
    assert states[b"2", 1].carried_from == states[b"3", 2].carried_from == origin
    assert not states[b"2", 2].is_present
    assert states[b"1", 2].row == (b"1", b"c", b"c")


def test_update_of_a_row_known_to_be_gone_begins_another_group() -> None:
    gone = at(1, delete(PLAIN, key=(b"1", None, None)))
    late = at(2, update(PLAIN, (b"1", b"a", UNCHANGED)))

    first, second = state_groups([gone, late], key_positions=KEY)

    assert (first.changes, second.changes) == ((gone,), (late,))
    assert second.states[0].carried_from == second.states[0].number


def test_hot_key_has_one_state_per_transaction() -> None:
    changes = [at(i // 10, update(PLAIN, (b"1", b"%d" % i, b"w"))) for i in range(1000)]

    (group,) = state_groups(changes, key_positions=KEY)

    assert [state.row[1] for state in group.states] == [b"%d" % i for i in range(9, 1000, 10)]


def test_nothing_gives_no_groups() -> None:
    assert list(state_groups([], key_positions=KEY)) == []

"""Following confirms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trempy_provider.broker.confirms import ConfirmTracker
from trempy_provider.errors import ProtocolError


def tracker_of(*tokens: str, size_bytes: int = 10) -> ConfirmTracker:
    tracker = ConfirmTracker()
    for token in tokens:
        tracker.published(token, size_bytes=size_bytes)
    return tracker


def test_nothing_is_confirmed_at_first() -> None:
    tracker = tracker_of("a", "b")

    assert tracker.token is None
    assert (tracker.unconfirmed_count, tracker.unconfirmed_bytes) == (2, 20)


def test_confirms_in_order_move_the_token() -> None:
    tracker = tracker_of("a", "b", "c")

    tracker.confirm(1, multiple=False)
    tracker.confirm(2, multiple=False)

    assert tracker.token == "b"
    assert (tracker.unconfirmed_count, tracker.unconfirmed_bytes) == (1, 10)


def test_confirm_behind_a_hole_does_not_move_the_token() -> None:
    tracker = tracker_of("a", "b", "c")

    tracker.confirm(1, multiple=False)
    tracker.confirm(3, multiple=False)

    assert tracker.token == "a"
    assert tracker.unconfirmed_count == 1


def test_filled_hole_moves_the_token_over_what_was_confirmed_early() -> None:
    tracker = tracker_of("a", "b", "c")

    tracker.confirm(3, multiple=False)
    tracker.confirm(2, multiple=False)
    tracker.confirm(1, multiple=False)

    assert tracker.token == "c"
    assert (tracker.unconfirmed_count, tracker.unconfirmed_bytes) == (0, 0)


def test_multiple_confirms_everything_up_to_its_tag() -> None:
    tracker = tracker_of("a", "b", "c", "d")

    tracker.confirm(3, multiple=True)

    assert tracker.token == "c"
    assert tracker.unconfirmed_count == 1


def test_multiple_with_tag_zero_confirms_everything() -> None:
    tracker = tracker_of("a", "b")

    tracker.confirm(0, multiple=True)

    assert tracker.token == "b"


def test_repeated_confirm_changes_nothing() -> None:
    tracker = tracker_of("a", "b")

    tracker.confirm(1, multiple=False)
    tracker.confirm(1, multiple=True)

    assert tracker.token == "a"
    assert tracker.unconfirmed_count == 1


def test_confirm_of_a_message_never_published_is_refused() -> None:
    with pytest.raises(ProtocolError, match="confirmed message 2; published: 1"):
        tracker_of("a").confirm(2, multiple=False)


@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=12))
def test_token_is_always_the_end_of_the_contiguous_confirmed_prefix(confirms: list[tuple[int, bool]]) -> None:
    tracker = tracker_of(*"abcdefgh")
    confirmed: set[int] = set()

    for tag, multiple in confirms:
        tracker.confirm(tag, multiple=multiple)
        confirmed |= set(range(1, tag + 1)) if multiple else {tag}

        prefix = next(tag for tag in range(9) if tag + 1 not in confirmed)
        assert tracker.token == ("abcdefgh"[prefix - 1] if prefix else None)
        assert tracker.unconfirmed_count == 8 - len(confirmed)
        assert tracker.unconfirmed_bytes == 10 * tracker.unconfirmed_count

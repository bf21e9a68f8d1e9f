"""Columns are told apart by number: a rename is no drop, and what is not certain is not guessed."""

import pytest

from trempy_provider.replication.attributes import Attribute, Numbering, find_readings

INT, TEXT = 23, 25


def columns(words: str) -> list[Attribute]:
    return [Attribute(*_name_and_type(word)) for word in words.split()]


def numbered(words: str) -> dict[int, Attribute | None]:
    """Return `1:id 2:- 3:b` by number; `-` is a dropped column, `b=text` one of another type than int."""
    pairs = [word.split(":") for word in words.split()]
    return {int(number): None if name == "-" else Attribute(*_name_and_type(name)) for number, name in pairs}


def _name_and_type(word: str) -> tuple[str, int]:
    name, _, type_name = word.partition("=")
    return name, TEXT if type_name == "text" else INT


def readings(described: str, *, before: str, after: str, count_before: int | None = None):
    known = {number: entry for number, entry in numbered(before).items() if entry is not None}
    count = max(known) if count_before is None else count_before
    return find_readings(columns(described), Numbering(known, count, numbered(after)))


@pytest.mark.parametrize(
    ("described", "before", "after", "expected"),
    [
        ("id a", "1:id 2:a", "1:id 2:a", (1, 2)),
        ("id a b", "1:id 2:a", "1:id 2:a 3:b", (1, 2, 3)),
        ("id b", "1:id 2:a", "1:id 2:b", (1, 2)),
        ("b a", "1:a 2:b", "1:b 2:a", (1, 2)),
        ("id", "1:id 2:a", "1:id 2:-", (1,)),
        ("id b", "1:id 2:a 3:b", "1:id 2:- 3:b", (1, 3)),
        ("id b c", "1:id 2:a 3:b", "1:id 2:- 3:b 4:c", (1, 3, 4)),
        ("id b=text", "1:id 2:a", "1:id 2:- 3:b=text", (1, 3)),
    ],
    ids=["same", "added", "renamed", "swapped", "dropped", "dropped_before_others", "replaced", "other_type"],
)
def test_columns_are_told_apart_when_the_catalog_is_as_described(described, before, after, expected):
    assert readings(described, before=before, after=after) == [expected]


@pytest.mark.parametrize(
    ("described", "before", "after", "expected"),
    [
        ("id a", "1:id", "1:id 2:a 3:b 4:c", (1, 2)),
        ("id b", "1:id 2:a", "1:id 2:c", (1, 2)),
        ("id a", "1:id 2:a", "1:id 2:- 3:b", (1, 2)),
        ("id", "1:id 2:a", "1:id 2:- 3:a", (1,)),
        ("id x", "1:id", "1:id 2:-", (1, 2)),
        ("id b=text c", "1:id 2:b=text", "1:id 2:- 3:a 4:b=text", (1, 2, 3)),
    ],
    ids=[
        "added_since",
        "renamed_since",
        "dropped_since",
        "added_again_since",
        "added_and_dropped_since",
        "added_and_renamed_since",
    ],
)
def test_columns_are_told_apart_when_the_catalog_is_newer_than_the_stream(described, before, after, expected):
    assert readings(described, before=before, after=after) == [expected]


def test_column_dropped_and_added_again_is_certain_once_the_drop_was_seen():
    assert readings("id a", before="1:id", after="1:id 2:- 3:a", count_before=2) == [(1, 3)]


def test_column_dropped_and_added_again_unseen_has_two_readings():
    assert readings("id a", before="1:id 2:a", after="1:id 2:- 3:a") == [(1, 2), (1, 3)]


def test_description_that_contradicts_the_catalog_has_no_reading():
    assert readings("id a b c", before="1:id", after="1:id 2:a") == []
    assert readings("", before="1:id", after="1:id") == []


def test_number_of_readings_is_bounded():
    gone = " ".join(f"{number}:-" for number in range(2, 80))
    known = " ".join(f"{number}:c{number}" for number in range(2, 80))
    described = " ".join(f"c{number}" for number in range(2, 41))

    found = readings(f"id {described}", before=f"1:id {known}", after=f"1:id {gone}")

    assert len(found) != 1

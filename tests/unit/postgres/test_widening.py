"""A type that was only given more room, and one whose values may be others."""

import pytest

from trempy_provider.postgres.widening import is_widened

INT2, INT4, INT8, TEXT, BPCHAR, VARCHAR, NUMERIC, DATE, TIMESTAMP = (
    21,
    23,
    20,
    25,
    1042,
    1043,
    1700,
    1082,
    1114,
)


def varchar(length: int) -> tuple[int, int]:
    return VARCHAR, length + 4


def numeric(precision: int, scale: int) -> tuple[int, int]:
    return NUMERIC, (precision << 16 | scale) + 4


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((INT4, -1), (INT8, -1)),
        ((INT2, -1), (NUMERIC, -1)),
        (varchar(10), varchar(20)),
        (varchar(10), (VARCHAR, -1)),
        (varchar(10), (TEXT, -1)),
        ((BPCHAR, 9), (TEXT, -1)),
        (numeric(10, 2), numeric(12, 2)),
        (numeric(10, 2), (NUMERIC, -1)),
        ((DATE, -1), (TIMESTAMP, -1)),
    ],
)
def test_type_with_more_room_keeps_its_values(before, after):
    assert is_widened(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((INT8, -1), (INT4, -1)),
        ((INT4, -1), (TEXT, -1)),
        ((INT4, -1), numeric(10, 2)),
        ((TEXT, -1), varchar(10)),
        (varchar(20), varchar(10)),
        (numeric(10, 2), numeric(12, 3)),
        (numeric(12, 2), numeric(10, 2)),
    ],
)
def test_type_with_other_room_may_change_values(before, after):
    assert not is_widened(before, after)

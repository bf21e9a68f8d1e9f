from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trempy_provider.config.loader import load_task
from trempy_provider.config.tables import TableSelection, matches_pattern, patterns_overlap

PATTERNS = st.text(alphabet="ab*", max_size=8)
NAMES = st.text(alphabet="ab", max_size=8)


def selection(schema: str, table: str) -> TableSelection:
    return TableSelection(schema_name=schema, table_name=table)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("orders", "orders", True),
        ("orders", "Orders", False),
        ("*", "anything", True),
        ("log_*", "log_2024", True),
        ("log_*", "log_", True),
        ("log_*", "catalog_1", False),
        ("*_log", "audit_log", True),
        ("a*b*c", "a1b2c", True),
        ("a*b*c", "a1c2b", False),
        ("ab*ba", "aba", False),
        ("a.c", "abc", False),
        ("a?", "ab", False),
        ("[ab]", "a", False),
        ("a%", "ab", False),
        ("*", "two\nlines", True),
    ],
)
def test_only_the_star_has_a_meaning_in_a_pattern(pattern: str, name: str, expected: bool) -> None:
    assert matches_pattern(pattern, name) is expected


@pytest.mark.timeout(5)
def test_pattern_of_many_stars_is_matched_in_no_time() -> None:
    assert not matches_pattern("*a" * 31, "a" * 62 + "b")


@given(PATTERNS, NAMES)
def test_matching_agrees_with_a_regular_expression(pattern: str, name: str) -> None:
    expression = "".join(".*" if character == "*" else character for character in pattern)

    assert matches_pattern(pattern, name) == bool(re.fullmatch(expression, name))


@given(PATTERNS, PATTERNS, NAMES)
def test_patterns_that_match_a_common_name_overlap(left: str, right: str, name: str) -> None:
    if matches_pattern(left, name) and matches_pattern(right, name):
        assert patterns_overlap(left, right)


@given(PATTERNS, NAMES)
def test_pattern_overlaps_a_name_exactly_when_it_matches(pattern: str, name: str) -> None:
    assert (
        patterns_overlap(pattern, name) == patterns_overlap(name, pattern) == matches_pattern(pattern, name)
    )


@pytest.mark.parametrize(("left", "right"), [("a*", "*b"), ("*", "*"), ("a*c", "ab*")])
def test_patterns_overlap_when_some_name_matches_both(left: str, right: str) -> None:
    assert patterns_overlap(left, right)


@pytest.mark.parametrize(("left", "right"), [("a*", "b*"), ("*a", "*b"), ("", "a*")])
def test_patterns_without_a_common_name_do_not_overlap(left: str, right: str) -> None:
    assert not patterns_overlap(left, right)


def test_schema_and_table_both_have_to_match() -> None:
    tables = selection("shop", "log_*")

    assert tables.is_pattern
    assert tables.matches("shop", "log_1")
    assert not tables.matches("other", "log_1")
    assert not tables.matches("shop", "orders")


def test_own_entry_of_a_table_wins_over_a_pattern_listed_before() -> None:
    settings = {
        "task": {"task_name": "shop"},
        "tables": [
            {"schema_name": "shop", "table_name": "*", "priority": 3},
            {"schema_name": "*", "table_name": "orders", "priority": 4},
            {"schema_name": "shop", "table_name": "orders", "priority": 0},
        ],
    }

    task = load_task(settings, origin="test")

    chosen = [task.selection_of("shop", name) for name in ("orders", "lines")]
    assert [entry.priority for entry in chosen if entry] == [0, 3]
    assert task.selection_of("other", "lines") is None


def test_filter_may_name_a_table_or_a_pattern_that_a_pattern_covers() -> None:
    references = [("shop", "log_2024"), ("shop", "log_*"), ("*", "*_2024")]
    settings = {
        "task": {"task_name": "shop"},
        "tables": [{"schema_name": "shop", "table_name": "log_*"}],
        "filters": [
            {
                "table_info": {"schema_name": schema, "table_name": table},
                "settings": {"filter_type": "is_not_null", "column_name": "id"},
            }
            for schema, table in references
        ],
    }

    task = load_task(settings, origin="test")

    assert [entry.table_info.matches("shop", "log_2023") for entry in task.filters] == [False, True, False]


def test_columns_say_what_leaves_the_source() -> None:
    only = TableSelection(schema_name="s", table_name="t", columns=("a",))
    without = TableSelection(schema_name="s", table_name="t", exclude_columns=("a",))

    assert [only.selects_column(name) for name in "ab"] == [True, False]
    assert [without.selects_column(name) for name in "ab"] == [False, True]

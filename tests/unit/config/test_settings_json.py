from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trempy_provider.config.loader import load_task
from trempy_provider.errors import SettingsError

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children) | st.dictionaries(st.text() | st.sampled_from(["task", "tables"]), children)
    ),
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param(" \n", "empty", id="white space"),
        pytest.param('{\n  "task": {,}\n}', "line 2 column 12", id="comma"),
        pytest.param('{"task": 1', "line 1 column 11", id="cut off"),
        pytest.param("{'task': 1}", "line 1 column 2", id="single quotes"),
        pytest.param('{"task": NaN}', "NaN", id="NaN"),
        pytest.param('{"task": -Infinity}', "-Infinity", id="infinity"),
        pytest.param("[1, 2]", "wrong type; seen [1, 2]; allowed: an object", id="list"),
        pytest.param("null", "wrong type; seen null", id="null"),
        pytest.param("[" * 100_000, "nested too deeply", id="deep"),
        pytest.param('{"a":' * 60 + "1" + "}" * 60, "nested too deeply", id="rather deep"),
        pytest.param(b'{"task": "\xff"}', "not UTF-8: byte 11", id="bytes"),
    ],
)
def test_text_that_is_not_a_json_object_is_refused_with_its_place(text: str | bytes, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_task(text, origin="Variable trempy_task_orders")

    assert "Variable trempy_task_orders" in str(caught.value)
    assert words in str(caught.value)


def test_every_key_that_is_written_twice_is_refused() -> None:
    text = """{"task": {"task_name": "a", "owner": "x", "task_name": "b"},
               "tables": [{"schema_name": "s", "table_name": "t"},
                          {"schema_name": "s", "table_name": "t", "table_name": "u"}]}"""

    with pytest.raises(SettingsError) as caught:
        load_task(text, origin="orders.json")

    assert [problem.path for problem in caught.value.problems] == ["task.task_name", "tables[1].table_name"]
    assert "is written twice" in str(caught.value)


def test_number_of_thousands_of_digits_is_refused_without_being_computed() -> None:
    text = '{"task": {"task_name": "a", "interval_seconds": ' + "9" * 10_000 + '}, "tables": []}'

    with pytest.raises(SettingsError, match=r"task\.interval_seconds: wrong type"):
        load_task(text, origin="orders.json")


def test_odd_keys_are_quoted_in_paths() -> None:
    tables = '[{"schema_name": "s", "table_name": "t"}]'
    text = f'{{"task": {{"task_name": "a", "x y": 1, "a.b": 2}}, "tables": {tables}}}'

    with pytest.raises(SettingsError) as caught:
        load_task(text, origin="orders.json")

    assert {problem.path for problem in caught.value.problems} == {'task["x y"]', 'task["a.b"]'}


@given(JSON_VALUES)
def test_any_value_is_a_task_or_a_settings_error(value: object) -> None:
    with contextlib.suppress(SettingsError):
        load_task(value, origin="fuzz")  # type: ignore[arg-type]


@given(st.text() | st.binary())
def test_any_text_is_a_task_or_a_settings_error(text: str | bytes) -> None:
    with pytest.raises(SettingsError):
        load_task(text, origin="fuzz")

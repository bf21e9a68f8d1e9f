from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trempy_provider.config.date_format import DateFormatError, DateFormatPart, parse_date_format
from trempy_provider.config.math_expression import (
    MAX_LENGTH,
    ColumnValue,
    MathExpressionError,
    Negation,
    Node,
    Number,
    Operation,
    Operator,
    parse_math_expression,
)
from trempy_provider.config.schedule import ScheduleError, check_schedule


def written(node: Node) -> str:
    """Write a tree with a pair of parentheses for every operation."""
    match node:
        case Number(text):
            return text
        case ColumnValue():
            return "value"
        case Negation(operand):
            return f"(-{written(operand)})"
        case Operation(operator, left, right):
            return f"({written(left)} {operator.value} {written(right)})"


TREES = st.recursive(
    st.just(ColumnValue()) | st.integers(1, 10**9).map(lambda number: Number(str(number))),
    lambda nodes: nodes.map(Negation) | st.builds(Operation, st.sampled_from(Operator), nodes, nodes),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("value", "value"),
        (" value+1 ", "(value + 1)"),
        ("value - 1 - 2", "((value - 1) - 2)"),
        ("1 + value * 2", "(1 + (value * 2))"),
        ("(1 + value) * 2", "((1 + value) * 2)"),
        ("value / 12 * 2", "((value / 12) * 2)"),
        ("2 * value ^ 2", "(2 * (value ^ 2))"),
        ("value ^ 2 ^ 3", "((value ^ 2) ^ 3)"),
        ("-value ^ 2", "((-value) ^ 2)"),
        ("2 ^ -value", "(2 ^ (-value))"),
        ("+value - -1", "(value - (-1))"),
        ("value * .5 + 5. - 1.25e-3", "(((value * .5) + 5.) - 1.25e-3)"),
        ("value\n*\t2", "(value * 2)"),
        ("value+value", "(value + value)"),
    ],
)
def test_expression_is_grouped_as_postgresql_groups_it(text: str, meaning: str) -> None:
    assert written(parse_math_expression(text)) == meaning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not use `value`"),
        ("1 + 1", "does not use `value`"),
        ("value +", "ends where"),
        ("value value", "`value` at position 7 too many"),
        ("(value", "position 1 that is not closed"),
        ("value)", "`)` at position 6 too many"),
        ("()value", "`)` at position 2 where a value is needed"),
        ("* value", "`*` at position 1"),
        ("value ** 2", "`*` at position 8"),
        ("value % 2", "position 7: '%'"),
        ("value + é", "position 9: 'é'"),
        ("value\u00a0+ 1", "position 6"),
        ("Value + value", "`Value` at position 1"),
        ("pg_sleep(value)", "`pg_sleep` at position 1"),
        ("value / 0", "divides by zero at position 7"),
        ("value / (0)", "divides by zero"),
        ("value * 1e999", "out of range at position 9"),
        ("value" + " " * MAX_LENGTH, "characters long"),
        ("(" * 60 + "value" + ")" * 60, "nested more than 50 deep"),
        ("-" * 60 + "value", "nested more than 50 deep"),
    ],
)
def test_text_that_is_no_expression_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(MathExpressionError) as caught:
        parse_math_expression(text)

    assert words in str(caught.value)


@given(TREES)
def test_tree_that_is_written_out_is_read_back(tree: Node) -> None:
    text = written(tree)
    if "value" not in text or len(text) > MAX_LENGTH:
        return

    assert parse_math_expression(text) == tree


@given(st.text() | st.text(alphabet="value+-*/^() 0123456789.eE", max_size=200))
def test_any_text_is_an_expression_or_an_expression_error(text: str) -> None:
    try:
        tree = parse_math_expression(text)
    except MathExpressionError:
        return
    assert "value" in written(tree)


@given(st.integers(1, MAX_LENGTH // 2 - 4), st.sampled_from("+-*^"))
def test_long_chain_is_read_without_exhausting_the_stack(count: int, operator: str) -> None:
    text = f"value{operator}1" + f"{operator}1" * count

    assert repr(parse_math_expression(text)).count("Operation(") == count + 1


def test_strftime_codes_become_patterns_and_the_rest_stays_text() -> None:
    assert parse_date_format("%d/%m às %H%%%-d%.3f") == (
        DateFormatPart("DD", is_pattern=True),
        DateFormatPart("/", is_pattern=False),
        DateFormatPart("MM", is_pattern=True),
        DateFormatPart(" às ", is_pattern=False),
        DateFormatPart("HH24", is_pattern=True),
        DateFormatPart("%", is_pattern=False),
        DateFormatPart("FMDD", is_pattern=True),
        DateFormatPart(".MS", is_pattern=True),
    )


@pytest.mark.parametrize("text", ["%", "%Y%", "%Q", "%-", "%_d", "%c", "%z", "%9f", "% d", "abc", ""])
def test_format_that_postgresql_cannot_write_is_refused(text: str) -> None:
    with pytest.raises(DateFormatError):
        parse_date_format(text)


@given(st.text() | st.text(alphabet="%-.YmdHMSf36 ", max_size=30))
def test_any_text_is_a_date_format_or_a_format_error(text: str) -> None:
    try:
        parts = parse_date_format(text)
    except DateFormatError:
        return
    assert any(part.is_pattern for part in parts)


@pytest.mark.parametrize(
    "text", ["", "@once", "@continuous", "* * * *", "* * * * * *", "- * * * *", "1- * * * *"]
)
def test_text_that_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        check_schedule(text)


@pytest.mark.parametrize(
    "text",
    ["*-5 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "1,,2 * * * *", "*/00 * * * *"],
)
def test_cron_field_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="field"):
        check_schedule(text)

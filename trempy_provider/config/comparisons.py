"""How filters compare: each function returns an expression that is true, false or null.

Both sides of a task have to agree, whatever collation a column has on either of them.
So text is equal when its bytes are, and one text is greater than another by the collation that both sides
have in common.
Only immutable built-in operators and functions are used: PostgreSQL takes them in a publication too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from trempy_provider.config.compilation import CompileContext, TypedValue, UnsuitableTypeError, typed_literal
from trempy_provider.config.expressions import Expression, Literal, SqlText, compose, join
from trempy_provider.config.value_types import TEXT, Kind

DATE_KINDS = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
DATE_WORDS = "date, timestamp or timestamp with time zone"
TEXT_WORDS = "a type of text"


def literal_text(value: str | float | bool) -> str:
    """Return a value of the settings as PostgreSQL reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def compared(value: TypedValue, operator: str, operand: str | float | bool) -> Expression:
    """Compare for equality: `operator` is `=` or `<>`."""
    return compose(
        "{value} {operator} {operand}",
        value=_exact(value),
        operator=SqlText(operator),
        operand=typed_literal(literal_text(operand), value.type),
    )


def ordered(
    value: TypedValue,
    operator: str,
    operand: str | float,
    *,
    context: CompileContext,
) -> Expression:
    """Compare by order: `operator` is `<`, `<=`, `>` or `>=`."""
    return compose(
        "{value} {operator} {operand}",
        value=_sortable(value, context),
        operator=SqlText(operator),
        operand=typed_literal(literal_text(operand), value.type),
    )


def listed(value: TypedValue, operator: str, operands: Iterable[str | float | bool]) -> Expression:
    """Look a value up in a list: `operator` is `in` or `not in`."""
    return compose(
        "{value} {operator} ({operands})",
        value=_exact(value),
        operator=SqlText(operator),
        operands=join(", ", (typed_literal(literal_text(operand), value.type) for operand in operands)),
    )


def ranged(
    value: TypedValue,
    operator: str,
    ends: tuple[str | float, str | float],
    *,
    context: CompileContext,
) -> Expression:
    """Compare with a range, ends included: `operator` is `between` or `not between`."""
    return compose(
        "{value} {operator} {lower} and {upper}",
        value=_sortable(value, context),
        operator=SqlText(operator),
        lower=typed_literal(literal_text(ends[0]), value.type),
        upper=typed_literal(literal_text(ends[1]), value.type),
    )


def searched(template: str, value: TypedValue, text: str) -> Expression:
    """Look for literal text; the template has the holes `value` and `text`."""
    if value.type.kind is not Kind.TEXT:
        raise UnsuitableTypeError(value.type, wanted=TEXT_WORDS)
    searchable = compose('{value}::text collate "C"', value=value.sql)
    return compose(template, value=searchable, text=typed_literal(text, TEXT))


def by_day(value: TypedValue, operator: str, *days: date) -> Expression:
    """Compare the date part, in UTC, with a day, or with a range of days."""
    operands = join(" and ", (compose("{day}::date", day=Literal(day.isoformat())) for day in days))
    return compose(
        "{value} {operator} {operands}",
        value=day_of(value),
        operator=SqlText(operator),
        operands=operands,
    )


def day_of(value: TypedValue) -> Expression:
    """Return the date part of a date or timestamp, in UTC."""
    if value.type.kind not in DATE_KINDS:
        raise UnsuitableTypeError(value.type, wanted=DATE_WORDS)
    if value.type.kind is Kind.TIMESTAMPTZ:
        return compose("({value} at time zone 'UTC')::date", value=value.sql)
    return compose("{value}::date", value=value.sql)


def time_of(value: TypedValue) -> Expression:
    """Return a date or timestamp as a timestamp without time zone, in UTC."""
    if value.type.kind not in DATE_KINDS:
        raise UnsuitableTypeError(value.type, wanted=DATE_WORDS)
    if value.type.kind is Kind.TIMESTAMPTZ:
        return compose("({value} at time zone 'UTC')", value=value.sql)
    return compose("{value}::timestamp", value=value.sql)


def _exact(value: TypedValue) -> Expression:
    return compose('{value} collate "C"', value=value.sql) if value.type.kind is Kind.TEXT else value.sql


def _sortable(value: TypedValue, context: CompileContext) -> Expression:
    if value.type.kind is not Kind.TEXT:
        return value.sql
    return compose("{value} collate {collation}", value=value.sql, collation=context.collation_name)

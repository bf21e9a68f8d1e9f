"""The values a literal column may have, by its type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

from trempy_provider.config import value_types
from trempy_provider.config.choices import LiteralType
from trempy_provider.config.value_types import ValueType

LITERAL_TYPES: Mapping[LiteralType, ValueType] = MappingProxyType(
    {
        LiteralType.SMALLINT: value_types.SMALLINT,
        LiteralType.INTEGER: value_types.INTEGER,
        LiteralType.BIGINT: value_types.BIGINT,
        LiteralType.REAL: value_types.REAL,
        LiteralType.DOUBLE_PRECISION: value_types.DOUBLE_PRECISION,
        LiteralType.NUMERIC: value_types.NUMERIC,
        LiteralType.CHARACTER_VARYING: value_types.CHARACTER_VARYING,
        LiteralType.VARCHAR: value_types.CHARACTER_VARYING,
        LiteralType.TEXT: value_types.TEXT,
        LiteralType.BOOLEAN: value_types.BOOLEAN,
        LiteralType.DATE: value_types.DATE,
        LiteralType.TIMESTAMP: value_types.TIMESTAMP,
    }
)
_BOOLEAN_TEXTS = frozenset({"true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0"})
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?", re.ASCII)


def check_literal(value: str | float | bool | None, *, value_type: LiteralType) -> str | None:
    """Return what the type allows if it does not allow the value, or None if it does."""
    if value is None:
        return None
    accepts, words = _RULES[value_type]
    return None if accepts(value) else words


def _whole_number(bits: int) -> tuple[Callable[[object], bool], str]:
    limit = 1 << (bits - 1)

    def accepts(value: object) -> bool:
        number = _number(value)
        return number is not None and number.is_finite() and number % 1 == 0 and -limit <= number < limit

    return accepts, f"a whole number from {-limit} to {limit - 1}"


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        return Decimal(str(value).strip())
    except InvalidOperation:
        return None


def _is_number(value: object) -> bool:
    return _number(value) is not None


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in _BOOLEAN_TEXTS)


def _is_text(value: object) -> bool:
    return isinstance(value, str | int | float)


def _is_date(value: object) -> bool:
    return isinstance(value, str) and " " not in value and "T" not in value and _is_timestamp(value)


def _is_timestamp(value: object) -> bool:
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value.partition(".")[0])
    except ValueError:
        return False
    return True


_NUMBER = (_is_number, "a number")
_TEXT = (_is_text, "text")
_RULES: Mapping[LiteralType, tuple[Callable[[object], bool], str]] = MappingProxyType(
    {
        LiteralType.SMALLINT: _whole_number(16),
        LiteralType.INTEGER: _whole_number(32),
        LiteralType.BIGINT: _whole_number(64),
        LiteralType.REAL: _NUMBER,
        LiteralType.DOUBLE_PRECISION: _NUMBER,
        LiteralType.NUMERIC: _NUMBER,
        LiteralType.CHARACTER_VARYING: _TEXT,
        LiteralType.VARCHAR: _TEXT,
        LiteralType.TEXT: _TEXT,
        LiteralType.BOOLEAN: (_is_boolean, "true or false"),
        LiteralType.DATE: (_is_date, "an ISO date such as 2024-12-31"),
        LiteralType.TIMESTAMP: (_is_timestamp, "an ISO timestamp such as 2024-12-31 23:59:59"),
    }
)

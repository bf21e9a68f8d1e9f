"""The kinds of value that settings are made of.

Every type here refuses in its own words (see `refused`) and says in its JSON Schema what it allows: in a
standard keyword where one exists, and in `$comment` for people.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema
from pydantic_core import PydanticCustomError

NAME_MAX_BYTES = 63  # NAMEDATALEN - 1 (PostgreSQL's pg_config_manual.h)
SECONDS_MAX = 366 * 24 * 3600

NAME_WORDS = f"a name of 1 to {NAME_MAX_BYTES} bytes"
SCALAR_WORDS = "text, a number, true or false"
ORDERED_WORDS = "text or a number"
DAY_WORDS = "an ISO date such as 2024-12-31 (a time of day may follow and is ignored)"

_DAY_PATTERN = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?$"
_CONNECTION_ID_PATTERN = r"^[\w#!()\-.:/\\]{1,200}$"


class SettingsModel(BaseModel):
    """An object of the settings: immutable, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


def refused(reason: str, *, field: str | None = None, allowed: str | None = None) -> PydanticCustomError:
    """Return the error for a validator to raise; `field` names the key if it is not the value itself."""
    context = {"reason": reason, "field": field, "allowed": allowed}
    return PydanticCustomError("refused", "{reason}", context)


def check_text(value: object) -> str:
    """Return the text, or refuse what PostgreSQL cannot hold as text."""
    if not isinstance(value, str):
        raise refused("wrong type")
    if "\0" in value:
        raise refused("contains a NUL character, which PostgreSQL's text cannot hold")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused("contains half of a surrogate pair, which is not a character") from None
    return value


def check_name(value: object) -> str:
    """Return the identifier; every character but NUL may be in it, as between double quotes in SQL."""
    name = check_text(value)
    if not name:
        raise refused("is empty", allowed=NAME_WORDS)
    if len(name.encode()) > NAME_MAX_BYTES:
        raise refused(f"is {len(name.encode())} bytes long", allowed=NAME_WORDS)
    return name


def check_scalar(value: object) -> str | int | float | bool:
    """Return a value that can be written as a SQL literal."""
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise refused("is not a finite number")
        return value
    return check_text(value)


def check_ordered(value: object) -> str | int | float:
    """Return a value that has a greater and a smaller one."""
    if isinstance(value, bool):
        raise refused("wrong type")
    return check_scalar(value)


def check_day(value: object) -> date:
    """Return the date part of an ISO date or timestamp."""
    text = value.isoformat() if isinstance(value, date) else check_text(value)
    try:
        if re.fullmatch(_DAY_PATTERN, text, re.ASCII):
            return datetime.fromisoformat(_with_whole_microseconds(text)).date()
    except ValueError:
        pass
    raise refused("not a date", allowed=DAY_WORDS)


def check_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names, none of them twice."""
    twice = first_repeated(names)
    if twice is not None:
        raise refused(f'"{twice}" is listed twice')
    return names


def first_repeated(names: Collection[str]) -> str | None:
    """Return the first name that has been there before."""
    before: set[str] = set()
    for name in names:
        if name in before:
            return name
        before.add(name)
    return None


def _with_whole_microseconds(text: str) -> str:
    # Python 3.10's fromisoformat takes three or six digits only.
    seconds, dot, fraction = text.partition(".")
    return f"{seconds}.{fraction:0<6}" if dot else text


def _check_connection_id(value: object) -> str:
    text = check_text(value)
    if not re.fullmatch(_CONNECTION_ID_PATTERN, text):
        raise refused("not a connection id")
    return text


Name = Annotated[
    str,
    BeforeValidator(check_name),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": NAME_MAX_BYTES, "$comment": NAME_WORDS},
    ),
]
Text = Annotated[str, BeforeValidator(check_text), WithJsonSchema({"type": "string"})]
Flag = StrictBool
Scalar = Annotated[
    str | int | float | bool,
    BeforeValidator(check_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"], "$comment": SCALAR_WORDS}),
]
Ordered = Annotated[
    str | int | float,
    BeforeValidator(check_ordered),
    WithJsonSchema({"type": ["string", "number"], "$comment": ORDERED_WORDS}),
]
Day = Annotated[
    date,
    BeforeValidator(check_day),
    WithJsonSchema({"type": "string", "pattern": _DAY_PATTERN, "$comment": DAY_WORDS}),
]
Priority = Annotated[int, Field(strict=True, ge=0, le=4)]
ConnectionId = Annotated[
    str,
    BeforeValidator(_check_connection_id),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _CONNECTION_ID_PATTERN,
            "$comment": "an Airflow connection id: 1 to 200 letters, digits or #!()-_.:/\\",
        }
    ),
]

"""Settings as JSON text: what Python's parser lets pass and a reader would trip over is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from trempy_provider.config.fields import first_repeated
from trempy_provider.config.wording import child_path
from trempy_provider.errors import FieldProblem

MAX_DEPTH = 50


class JsonTextError(ValueError):
    """The text is not JSON; the message names line and column."""


class _RepeatingObject(dict[str, object]):
    """An object of which a key was written twice."""

    repeated_key: str


def parse_json(text: str | bytes) -> object:
    """Return the value of the text, or raise JsonTextError."""
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise JsonTextError(f"not UTF-8: byte {error.start + 1} cannot be decoded") from error
    if not decoded.strip():
        raise JsonTextError("empty")
    try:
        value = json.loads(
            decoded,
            object_pairs_hook=_object,
            parse_float=_exact_number,
            parse_int=_whole_number,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        raise JsonTextError(f"not JSON: {reason} at line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        raise JsonTextError("nested too deeply") from error
    if _depth(value) > MAX_DEPTH:
        raise JsonTextError("nested too deeply")
    return value


def repeated_keys(value: object, *, path: str = "") -> Iterator[FieldProblem]:
    """Yield every object of which a key was written twice."""
    if isinstance(value, _RepeatingObject):
        yield FieldProblem(child_path(path, value.repeated_key), "is written twice in the same object")
    if isinstance(value, dict):
        for key, child in value.items():
            yield from repeated_keys(child, path=child_path(path, key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from repeated_keys(child, path=child_path(path, i))


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [child for parent in level for child in _children(parent)]
    return depth


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    twice = first_repeated([key for key, _ in pairs])
    if twice is None:
        return dict(pairs)
    repeating = _RepeatingObject(pairs)
    repeating.repeated_key = twice
    return repeating


def _exact_number(text: str) -> float | str:
    # A number that a float would round stays the text it was: PostgreSQL reads every digit.
    number = float(text)
    try:
        return number if Decimal(text) == Decimal(repr(number)) else text
    except InvalidOperation:
        return text


def _whole_number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:  # Python refuses to convert thousands of digits
        return text


def _refuse_constant(name: str) -> object:
    raise JsonTextError(f"not JSON: {name} is not a JSON number")

"""What differs between two settings, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """A field whose value differs; None stands for one that is not there."""

    path: str
    before: Any
    after: Any


def find_differences(before: object, after: object, path: str = "") -> Iterator[Difference]:
    """Yield the innermost fields that differ, in the order of `before`, then of what is new in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            inner = f"{path}.{name}" if path else str(name)
            yield from find_differences(before.get(name, ABSENT), after.get(name, ABSENT), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old, new = (values[index] if index < len(values) else ABSENT for values in (before, after))
            yield from find_differences(old, new, f"{path}[{index}]")
    elif type(before) is not type(after) or before != after:
        yield Difference(path, None if before is ABSENT else before, None if after is ABSENT else after)

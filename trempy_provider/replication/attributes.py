"""Find out which columns of a table the stream speaks of.

pgoutput names columns but does not number them; the number (pg_attribute.attnum) tells a renamed column from
one that was dropped and another that was added.
The stream's description is of one moment.
What is known beside it: the columns at an earlier moment, and the catalog at a later one, in which dropped
columns keep their numbers and new ones always get higher numbers.

Columns stand in the order of their numbers.
So as long as no column was dropped, their places tell them apart; after drops, several readings may fit.
See "pg_attribute" in PostgreSQL's manual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

_READINGS_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column at some moment: its name and type."""

    name: str
    type_oid: int
    type_modifier: int = -1


_Judge = Callable[[Attribute, Attribute | None, Attribute | None], bool]


@dataclass(frozen=True, slots=True)
class Numbering:
    """What is known of a table's columns by number.

    `before` are those of the earlier moment, of which there had been `count_before` in all, dropped ones too.
    `after` are those of the later moment, None for dropped ones.
    """

    before: Mapping[int, Attribute]
    count_before: int
    after: Mapping[int, Attribute | None]


def find_readings(described: Sequence[Attribute], numbering: Numbering) -> list[tuple[int, ...]]:
    """Return the ways to number the columns described: one when it is certain, none when all contradict.

    Left out is what would take more renaming than others: first that a column was called neither as before
    nor as after, then that it had neither of these types.
    """
    readings = list(dict.fromkeys(islice(_readings(described, numbering), _READINGS_LIMIT)))
    for may_have_been in (_had_name, _had_type):
        likely = [reading for reading in readings if _fits(reading, described, numbering, may_have_been)]
        if likely:
            return likely
    return readings


def _readings(described: Sequence[Attribute], numbering: Numbering) -> Iterator[tuple[int, ...]]:
    """Yield the ways to choose as many columns as are described.

    Up to the highest number there was at that moment, columns that are still there were there, and columns
    dropped since may have been.
    """
    numbers = sorted(number for number in numbering.after if _may_be_described(number, numbering))
    first_end = sum(number <= numbering.count_before for number in numbers)
    for end in range(first_end, len(numbers) + 1):
        present = numbers[:end]
        certain = [number for number in present if numbering.after[number] is not None]
        dropped = [number for number in present if numbering.after[number] is None]
        missing = len(described) - len(certain)
        if 0 <= missing <= len(dropped) and comb(len(dropped), missing) <= _READINGS_LIMIT:
            for chosen in combinations(dropped, missing):
                yield tuple(sorted((*certain, *chosen)))


def _may_be_described(number: int, numbering: Numbering) -> bool:
    return number in numbering.before or number > numbering.count_before


def _fits(
    reading: Iterable[int], described: Sequence[Attribute], numbering: Numbering, may_have_been: _Judge
) -> bool:
    return all(
        may_have_been(column, numbering.before.get(number), numbering.after[number])
        for number, column in zip(reading, described, strict=True)
    )


def _had_name(column: Attribute, before: Attribute | None, after: Attribute | None) -> bool:
    """Tell whether a column was called before, or is called after, as it is described.

    What one dropped since was called last is not known; but it had a type.
    """
    if after is None:
        return before is None or before.type_oid == column.type_oid
    return column.name == after.name or (before is not None and column.name == before.name)


def _had_type(column: Attribute, before: Attribute | None, after: Attribute | None) -> bool:
    known = [attribute.type_oid for attribute in (before, after) if attribute is not None]
    return not known or column.type_oid in known

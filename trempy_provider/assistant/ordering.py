"""The order in which tables are loaded: what is referred to comes before what refers to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trempy_provider.assistant.catalogue import TableFacts
from trempy_provider.postgres.tables import QualifiedName

PRIORITY_COUNT = 5  # priorities go from 0 to 4


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """The level of each table, 0 for those that refer to none of the others, and tables in a circle."""

    levels: Mapping[QualifiedName, int]
    circular: tuple[QualifiedName, ...] = ()

    @property
    def depth(self) -> int:
        """Return the number of levels."""
        return max(self.levels.values(), default=-1) + 1

    def priority_of(self, name: QualifiedName) -> int:
        """Return a table's priority; more levels than priorities are squeezed, in order."""
        level = self.levels[name]
        return level if self.depth <= PRIORITY_COUNT else level * PRIORITY_COUNT // self.depth


def order_by_references(tables: Sequence[TableFacts]) -> LoadOrder:
    """Return the levels; tables that refer to each other in a circle share the first level they can have."""
    remaining = {table.name: set(table.references) for table in tables}
    for name, references in remaining.items():
        references.intersection_update(remaining)
        references.discard(name)
    levels: dict[QualifiedName, int] = {}
    circular: list[QualifiedName] = []
    level = 0
    while remaining:
        ready = [name for name, references in remaining.items() if not references & remaining.keys()]
        if not ready:
            ready = _smallest_circle(remaining)
            circular += ready
        levels.update(dict.fromkeys(ready, level))
        for name in ready:
            del remaining[name]
        level += 1
    return LoadOrder(levels, tuple(circular))


def listed_names(names: Sequence[QualifiedName]) -> str:
    """Return the first names for people, and how many there are more."""
    listed = ", ".join(map(str, names[:5]))
    return listed if len(names) <= 5 else f"{listed} and {len(names) - 5} more"


def _smallest_circle(references: Mapping[QualifiedName, set[QualifiedName]]) -> list[QualifiedName]:
    """Return a set of tables that refer to nothing outside of it; there is a circle in it."""
    closures = [_closure(name, references) for name in references]
    return min((sorted(closure) for closure in closures), key=lambda closure: (len(closure), closure))


def _closure(
    start: QualifiedName, references: Mapping[QualifiedName, set[QualifiedName]]
) -> frozenset[QualifiedName]:
    reached, pending = {start}, [start]
    while pending:
        for name in references[pending.pop()] & references.keys():
            if name not in reached:
                reached.add(name)
                pending.append(name)
    return frozenset(reached)

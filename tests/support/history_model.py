"""Histories of rows as lists of versions: what the mode scd2 has to make of the states of keys."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Version:
    """A row from `start` on, up to but without `end`; None while it is current."""

    start: int
    end: int | None
    row: Any


@dataclass(slots=True)
class Histories:
    """The versions of every key, in order of time; moments are whole microseconds."""

    chains: dict[Hashable, list[Version]] = field(default_factory=dict)

    def row_of(self, key: Hashable) -> Any:
        """Return the current row of a key, None without one."""
        chain = self.chains.get(key)
        return chain[-1].row if chain and chain[-1].end is None else None

    def leave(self, key: Hashable, moment: int, row: Any) -> None:
        """Let a transaction that committed at `moment` leave a key with a row, or with None."""
        chain = self.chains.setdefault(key, [])
        if chain and chain[-1].end is None and chain[-1].start == moment:
            chain.pop()
        if chain and chain[-1].end == moment:
            chain[-1] = replace(chain[-1], end=None)
        if self.row_of(key) == row:
            return
        start = moment
        if chain and chain[-1].end is None:
            start = max(moment, chain[-1].start + 1)
            chain[-1] = replace(chain[-1], end=start)
        elif chain:
            start = max(moment, chain[-1].end or moment)
        if row is not None:
            chain.append(Version(start, None, row))

    def versions(self) -> dict[Hashable, list[Version]]:
        """Return the versions of the keys that have any."""
        return {key: list(chain) for key, chain in self.chains.items() if chain}

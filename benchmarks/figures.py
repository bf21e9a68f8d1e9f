"""Figures of several rounds: medians, spread, and the ratio that counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds of the product and of a peer, round by round; the ratio is how much faster the product is."""

    name: str
    peer: str
    product_seconds: tuple[float, ...]
    peer_seconds: tuple[float, ...]
    must_reach: float | None
    changes: int
    notes: str = ""

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round, in which both ran one after the other."""
        return [peer / mine for mine, peer in zip(self.product_seconds, self.peer_seconds, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(self.ratios)

    @property
    def is_reached(self) -> bool:
        """Tell whether the ratio is what it must be."""
        return self.must_reach is None or self.ratio >= self.must_reach

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "ratios": self.ratios, "ratio": self.ratio, "is_reached": self.is_reached}


def table_text(comparisons: Sequence[Comparison]) -> str:
    """Return the comparisons as a table for people."""
    head = ("benchmark", "against", "product k/s", "peer k/s", "ratio", "min – max", "must reach", "")
    rows = [head, *map(_row, comparisons)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _row(comparison: Comparison) -> tuple[str, ...]:
    mine, theirs = median(comparison.product_seconds), median(comparison.peer_seconds)
    return (
        comparison.name,
        comparison.peer,
        f"{comparison.changes / mine / 1000:,.1f}",
        f"{comparison.changes / theirs / 1000:,.1f}",
        f"{comparison.ratio:.2f}",
        f"{min(comparison.ratios):.2f} – {max(comparison.ratios):.2f}",
        "" if comparison.must_reach is None else f"{comparison.must_reach:.2f}",
        ("" if comparison.is_reached else "NOT REACHED ") + comparison.notes,
    )

"""What benchmarks find: comparisons with a peer, single figures, and what could not be run."""

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
        return {
            "kind": "comparison",
            **asdict(self),
            "product_median_seconds": median(self.product_seconds),
            "peer_median_seconds": median(self.peer_seconds),
            "ratios": self.ratios,
            "ratio": self.ratio,
            "is_reached": self.is_reached,
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity, measured once or in several rounds; their median counts."""

    name: str
    unit: str
    values: tuple[float, ...]
    at_most: float | None = None
    notes: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def is_reached(self) -> bool:
        """Tell whether the quantity is as small as it must be."""
        return self.at_most is None or self.value <= self.at_most

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"kind": "figure", **asdict(self), "value": self.value, "is_reached": self.is_reached}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A benchmark, or a peer of one, that this machine cannot run; the reason says what is missing."""

    name: str
    reason: str
    is_reached: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"kind": "skipped", "name": self.name, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Failed:
    """A benchmark that did not come to its end, such as one whose source and target differ."""

    name: str
    reason: str
    is_reached: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"kind": "failed", "name": self.name, "reason": self.reason}


Finding = Comparison | Figure | Skipped | Failed


def findings_text(findings: Sequence[Finding]) -> str:
    """Return the findings as tables for people, one for each kind."""
    comparisons = [_comparison_row(entry) for entry in findings if isinstance(entry, Comparison)]
    figures = [_figure_row(entry) for entry in findings if isinstance(entry, Figure)]
    rest = [(entry, "skipped" if isinstance(entry, Skipped) else "FAILED") for entry in findings
            if isinstance(entry, Skipped | Failed)]  # fmt: skip
    parts = [
        _table_text((_COMPARISON_HEAD, *comparisons)) if comparisons else "",
        _table_text((_FIGURE_HEAD, *figures)) if figures else "",
        "\n".join(f"{word}: {entry.name}: {entry.reason}" for entry, word in rest),
    ]
    return "\n\n".join(part for part in parts if part)


_COMPARISON_HEAD = ("benchmark", "against", "product k/s", "peer k/s", "ratio", "min – max", "must reach", "")
_FIGURE_HEAD = ("benchmark", "value", "min – max", "at most", "")


def _comparison_row(comparison: Comparison) -> tuple[str, ...]:
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


def _figure_row(figure: Figure) -> tuple[str, ...]:
    spread = f"{min(figure.values):,.2f} – {max(figure.values):,.2f}" if len(figure.values) > 1 else ""
    return (
        figure.name,
        f"{figure.value:,.2f} {figure.unit}",
        spread,
        "" if figure.at_most is None else f"{figure.at_most:g}",
        ("" if figure.is_reached else "NOT REACHED ") + figure.notes,
    )


def _table_text(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)

"""The demo's last screen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from sandbox.demo.traffic import TrafficCounts


@dataclass(slots=True)
class LiveFacts:
    """What was seen of the task while the shop was busy."""

    seconds: float = 0.0
    transactions: int = 0
    changes: int = 0
    lag_seconds: list[float] = field(default_factory=list)
    lag_bytes: list[int] = field(default_factory=list)

    def describe_throughput(self) -> str:
        """Say how much was applied per second."""
        return (
            f"{self.changes / self.seconds:,.0f} changes/s in {self.transactions / self.seconds:,.0f}"
            f" transactions/s, for {self.seconds:.0f} s"
        )

    def describe_lag(self) -> str:
        """Say how far the target was behind: half the time, in the worst twentieth, at worst."""
        if len(self.lag_seconds) < 2:
            return "not measured"
        worst_twentieth = quantiles(self.lag_seconds, n=20)[-1]
        return (
            f"median {median(self.lag_seconds):.2f} s, 95 % below {worst_twentieth:.2f} s,"
            f" at most {max(self.lag_seconds):.2f} s"
            f" (median {median(self.lag_bytes) / 1024:,.0f} KiB of WAL, {len(self.lag_seconds)} samples)"
        )


def describe_traffic(counts: TrafficCounts) -> str:
    """Say what the shop did."""
    kinds = ", ".join(f"{count:,} × {kind}" for kind, count in counts.by_kind.most_common(5))
    return (
        f"{counts.committed:,} transactions committed, {counts.rolled_back:,} rolled back,"
        f" {counts.committed / max(counts.seconds, 0.001):,.0f}/s for {counts.seconds:.0f} s ({kinds}, …)"
    )


def format_table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows in columns: numbers to the right, the rest to the left."""
    lines = [tuple(heading), *(tuple(map(_cell, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    rule = tuple("─" * width for width in widths)
    return "\n".join(
        "  " + "  ".join(map(_align, line, widths)).rstrip() for line in (lines[0], rule, *lines[1:])
    )


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _align(text: str, width: int) -> str:
    return text.rjust(width) if text.replace(",", "").isdigit() else text.ljust(width)

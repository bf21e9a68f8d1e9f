"""`python -m benchmarks [NAME …]`: run benchmarks, print a table, write JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.capture import capture_alone
from benchmarks.catch_up import catch_up
from benchmarks.figures import Comparison, table_text
from benchmarks.full_load import LOADS, full_load
from benchmarks.latency import latency
from benchmarks.stage import Stage, open_stage
from benchmarks.workloads import WORKLOADS

Benchmark = Callable[..., list[Comparison]]
_LATENCY_SECONDS = 60.0


def _catch_up(workload: str) -> Benchmark:
    def run(stage: Stage, *, rounds: int, scale: float) -> list[Comparison]:
        return [catch_up(stage, workload, rounds=rounds, scale=scale)]

    return run


def _full_load(table: str) -> Benchmark:
    def run(stage: Stage, *, rounds: int, scale: float) -> list[Comparison]:
        return full_load(stage, table, rounds=rounds, scale=scale)

    return run


def _capture_alone(workload: str) -> Benchmark:
    def run(stage: Stage, *, rounds: int, scale: float) -> list[Comparison]:
        return [capture_alone(stage, workload, rounds=rounds, scale=scale)]

    return run


def _latency(rate: int) -> Benchmark:
    def run(stage: Stage, *, rounds: int, scale: float) -> list[Comparison]:
        for measured in latency(stage, rate=rate, seconds=_LATENCY_SECONDS * scale):
            print(measured, flush=True)
        return []

    return run


BENCHMARKS: dict[str, Benchmark] = {
    **{f"full-load-{name}": _full_load(name) for name in LOADS},
    **{f"catch-up-{name}": _catch_up(name) for name in WORKLOADS},
    **{f"capture-{name}": _capture_alone(name) for name in ("a", "d")},
    **{f"latency-{rate}": _latency(rate) for rate in (50, 500)},
}


def main() -> int:
    """Run what was asked for; return 1 when a ratio is not reached."""
    arguments = _arguments()
    comparisons: list[Comparison] = []
    with open_stage() as stage:
        print(stage.description, flush=True)
        for name in arguments.names or BENCHMARKS:
            measured = BENCHMARKS[name](stage, rounds=arguments.rounds, scale=arguments.scale)
            comparisons += measured
            if measured:
                print(table_text(measured), flush=True)
    print("\n" + table_text(comparisons))
    if arguments.json:
        report = [comparison.as_dict() for comparison in comparisons]
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(comparison.is_reached for comparison in comparisons) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME", help="all by default")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of product and peer in turn")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the workload")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

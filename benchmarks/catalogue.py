"""All benchmarks by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from benchmarks.capture import capture_alone
from benchmarks.catch_up import catch_up
from benchmarks.figures import Finding
from benchmarks.full_load import full_load
from benchmarks.latency import latency
from benchmarks.loads import LOADS
from benchmarks.stage import Stage
from benchmarks.workloads import WORKLOADS


class Run(Protocol):
    """Run a benchmark on servers that are up; raise AssertionError when source and target differ."""

    def __call__(self, stage: Stage, /, *, rounds: int, scale: float) -> Sequence[Finding]:
        """Return what was measured; `scale` 1 is the full size."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark, and the scale at which it takes its share of ten minutes when all of them run."""

    what: str
    run: Run
    scale_among_all: float


def _benchmarks() -> dict[str, Benchmark]:
    """Return the benchmarks in the order in which they run."""
    found = {f"full-load-{name}": Benchmark(f"full load: {name}", partial(full_load, name=name), 0.1)
             for name in LOADS}  # fmt: skip
    for name, workload in WORKLOADS.items():
        found[f"catch-up-{name}"] = Benchmark(f"catch-up: {workload.what}", partial(catch_up, name=name), 0.1)
    for name, workload in WORKLOADS.items():
        run = partial(catch_up, name=name, pure_python=True)
        found[f"pure-python-{name}"] = Benchmark(f"catch-up without arrays: {workload.what}", run, 0.02)
    for name in ("a", "d"):
        run = partial(capture_alone, name=name)
        found[f"capture-{name}"] = Benchmark(f"capture alone: {WORKLOADS[name].what}", run, 0.1)
    for rate in (50, 500):
        run = partial(latency, rate=rate)
        found[f"latency-{rate}"] = Benchmark(f"commit to visible at {rate} transactions/s", run, 0.1)
    return found


BENCHMARKS = _benchmarks()

"""All benchmarks by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from benchmarks.airflow_parsing import parsing
from benchmarks.airflow_share import airflow_share
from benchmarks.at_rest import at_rest
from benchmarks.capture import capture_alone
from benchmarks.catch_up import catch_up
from benchmarks.figures import Finding
from benchmarks.full_load import full_load
from benchmarks.lanes import lanes
from benchmarks.latency import latency
from benchmarks.loads import LOADS
from benchmarks.memory import large_transaction
from benchmarks.modes import MODES, mode
from benchmarks.scaling import scaling_changes, scaling_tables, scaling_tasks
from benchmarks.stage import Stage
from benchmarks.steady import steady
from benchmarks.workloads import WORKLOADS


class Run(Protocol):
    """Run a benchmark on servers that are up; raise AssertionError when source and target differ."""

    def __call__(self, stage: Stage, /, *, rounds: int, scale: float) -> Sequence[Finding]:
        """Return what was measured; `scale` 1 is the full size."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark, and its scale when all of them run."""

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
    for name, chosen in MODES.items():
        what = f"catch-up d, {chosen.what} beside plain upsert"
        found[f"mode-{name}"] = Benchmark(what, partial(mode, name=name), 0.1)
    for name in ("a", "b", "d"):
        run = partial(capture_alone, name=name)
        found[f"capture-{name}"] = Benchmark(f"capture alone: {WORKLOADS[name].what}", run, 0.1)
    for rate in (50, 500):
        run = partial(latency, rate=rate)
        found[f"latency-{rate}"] = Benchmark(f"commit to visible at {rate} transactions/s", run, 0.1)
    return found | {
        "lanes": Benchmark("catch-up of two groups of tables, two lanes beside one", lanes, 0.1),
        "steady": Benchmark("the highest rate held for five minutes", steady, 0.02),
        "large-transaction": Benchmark(
            "memory for one transaction of 5 million changes", large_transaction, 0.02
        ),
        "scaling-changes": Benchmark("cost per change, 10 thousand to 10 million", scaling_changes, 0.01),
        "scaling-tables": Benchmark("cost per change, 1 to 1,000 tables", scaling_tables, 0.1),
        "scaling-tasks": Benchmark("cost per change, 1 to 50 tasks", scaling_tasks, 0.2),
        "at-rest": Benchmark("ten quiet tasks", at_rest, 0.2),
        "airflow-share": Benchmark("lease start, deferral and resume in Airflow", airflow_share, 0.2),
        "airflow-parsing": Benchmark("parsing DAGs of 1, 50 and 500 tasks", parsing, 1.0),
    }


BENCHMARKS = _benchmarks()

"""What ten tasks cost while nothing changes."""

from __future__ import annotations

import time

from benchmarks.costs import measure_cpu
from benchmarks.figures import Figure, Finding
from benchmarks.fleet import following
from benchmarks.product import HALVES, Product, peak_figures
from benchmarks.stage import Stage
from tests.support.wait import wait_until

_TASKS = 10
_SECONDS = 60.0
_SETTLE_SECONDS = 10.0
_AT_MOST_PERCENT = 1.0


def at_rest(stage: Stage, *, rounds: int, scale: float) -> list[Finding]:
    """Measure capture and apply of ten tasks in processes of their own, waiting for changes."""
    with stage.databases() as databases:
        databases.source_admin.execute("create schema bench")
        products = []
        for number in range(_TASKS):
            table = f"bench.t{number}"
            databases.source_admin.execute(
                f"create table {table} (id int primary key); insert into {table} values (1)"
            )
            products.append(Product(stage, databases, (table,), task_name=f"bench_{number}"))
        with following(stage, products) as fleet:
            databases.source_admin.execute(
                "; ".join(f"insert into bench.t{number} values (2)" for number in range(_TASKS))
            )
            for number in range(_TASKS):
                query = f"select count(*) = 2 from bench.t{number}"
                wait_until(
                    lambda query=query: databases.target.fetch_value(query),  # type: ignore[misc]
                    timeout_seconds=300,
                    what="each task to follow",
                )
            time.sleep(_SETTLE_SECONDS)
            started = time.monotonic()
            with measure_cpu(fleet.process_groups) as shares:
                time.sleep(max(_SECONDS * scale, 2.0))
            seconds = time.monotonic() - started
    percent = {name: 100 * used / seconds for name, used in shares.seconds.items()}
    title = f"{_TASKS} quiet tasks"
    return [
        Figure(
            f"{title}: all captures and applies",
            "% of a core",
            (sum(percent[name] for name in HALVES),),
            at_most=_AT_MOST_PERCENT,
        ),
        *(Figure(f"{title}: {name}", "% of a core", (value,)) for name, value in percent.items()),
        *peak_figures(title, *products),
    ]

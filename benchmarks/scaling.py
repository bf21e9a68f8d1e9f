"""What a change costs, in CPU time of all processes, by the number of changes, tables and tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count

from benchmarks.costs import CpuShares
from benchmarks.equality import assert_equal
from benchmarks.figures import Figure, Finding
from benchmarks.fleet import Fleet, following
from benchmarks.product import HALVES, Product, peak_figures
from benchmarks.stage import Stage
from tests.support.databases import Database

_FLAT_WITHIN_PERCENT = 15.0
_FEWEST_CHANGES = 200_000  # for one figure, if need be in several backlogs
_WARM_UP_CHANGES = 10_000  # by then all processes have started
_ROWS_PER_TRANSACTION = 200
_CHANGES_PER_TASK = 20_000


def scaling_changes(stage: Stage, *, rounds: int, scale: float) -> list[Finding]:
    """Measure backlogs of 10 thousand to 10 million inserts into one table."""
    numbers = count(1)
    costs: dict[str, list[float]] = {}
    with stage.databases() as databases:
        _make_tables(databases.source_admin, 1)
        product = Product(stage, databases, ("bench.t0", "bench.m0"))
        with following(stage, [product]) as fleet:
            _cost(fleet, databases.source_admin, numbers, changes=_WARM_UP_CHANGES)
            for size in _steps(10_000, 10_000_000 * scale):
                turns = max(_FEWEST_CHANGES // size, 1)
                costs[f"{size:,} changes"] = [
                    _cost(fleet, databases.source_admin, numbers, changes=size) for _ in range(turns)
                ]
            assert_equal(databases.source_superuser, databases.target_superuser, product.tables)
    title = "scaling by changes"
    return [*_figures(title, costs), *peak_figures(title, product)]


def scaling_tables(stage: Stage, *, rounds: int, scale: float) -> list[Finding]:
    """Measure tasks of 1 to 1,000 tables; each transaction inserts into the next of them."""
    costs: dict[str, list[float]] = {}
    findings: list[Figure] = []
    for tables in _steps(1, 1_000 * scale):
        with stage.databases() as databases:
            _make_tables(databases.source_admin, tables)
            names = tuple(f"bench.t{number}" for number in range(tables))
            product = Product(stage, databases, (*names, "bench.m0"))
            with following(stage, [product]) as fleet:
                changes = max(int(_FEWEST_CHANGES * scale), 10_000)
                cost = partial(_cost, fleet, databases.source_admin, count(1), changes=changes, tables=tables)
                cost(changes=_WARM_UP_CHANGES)
                costs[f"{tables:,} tables"] = [cost() for _ in range(rounds)]
                assert_equal(databases.source_superuser, databases.target_superuser, product.tables)
        findings = peak_figures("scaling by tables", product)
    return [*_figures("scaling by tables", costs), *findings]


def scaling_tasks(stage: Stage, *, rounds: int, scale: float) -> list[Finding]:
    """Measure 1 to 50 tasks with a table each; PostgreSQL decodes everything for each of their slots.

    So what counts is what the tasks' own processes use.
    """
    costs: dict[str, list[float]] = {}
    peaks: list[Figure] = []
    for tasks in (1, 10, 50):
        if tasks > max(50 * scale, 2):
            continue
        with stage.databases() as databases:
            _make_tables(databases.source_admin, tasks, markers=tasks)
            products = [
                Product(stage, databases, (f"bench.t{n}", f"bench.m{n}"), task_name=f"bench_{n}")
                for n in range(tasks)
            ]
            with following(stage, products) as fleet:
                changes = _CHANGES_PER_TASK * tasks
                cost = partial(
                    _cost,
                    fleet,
                    databases.source_admin,
                    count(1),
                    changes=changes,
                    tables=tasks,
                    groups=HALVES,
                )
                cost()
                costs[f"{tasks} tasks"] = [cost() for _ in range(rounds)]
                names = [table for product in products for table in product.tables]
                assert_equal(databases.source_superuser, databases.target_superuser, names)
        peaks = peak_figures("scaling by tasks", *products)
    return [*_figures("scaling by tasks", costs), *peaks]


def _figures(title: str, costs: dict[str, list[float]]) -> list[Figure]:
    """Return the cost of each step, and how far the steps' medians are apart."""
    figures = [
        Figure(f"{title}: {step}", "µs CPU per change", tuple(values)) for step, values in costs.items()
    ]
    lowest, highest = (edge(figure.value for figure in figures) for edge in (min, max))
    spread = Figure(
        f"{title}: dearest step above the cheapest",
        "%",
        (100 * (highest / lowest - 1),),
        at_most=_FLAT_WITHIN_PERCENT,
    )
    return [*figures, spread]


def _cost(
    fleet: Fleet,
    owner: Database,
    numbers: Iterator[int],
    *,
    changes: int,
    tables: int = 1,
    groups: Sequence[str] | None = None,
) -> float:
    """Return the microseconds of CPU per change of one backlog."""
    markers = [f"bench.m{number}" for number in range(len(fleet.products))]

    def make_changes() -> int:
        number = next(numbers)
        owner.execute("call bench.work(%s, %s)", (changes // _ROWS_PER_TRANSACTION, tables))
        for marker in markers:
            owner.execute(f"update {marker} set n = {number}")
        return number

    shares = fleet.cost_of(make_changes, markers=markers)
    return _seconds(shares, groups) * 1e6 / changes


def _seconds(shares: CpuShares, groups: Sequence[str] | None) -> float:
    return sum(seconds for name, seconds in shares.seconds.items() if groups is None or name in groups)


def _make_tables(owner: Database, tables: int, *, markers: int = 1) -> None:
    owner.execute("create schema bench")
    for number in range(tables):
        owner.execute(
            f"create table bench.t{number} (id bigint generated by default as identity primary key, n int, note text)"
        )
    for number in range(markers):
        owner.execute(
            f"create table bench.m{number} (id int primary key, n bigint); insert into bench.m{number} values (1, 0)"
        )
    owner.execute(
        "create procedure bench.work(turns int, tables int) language plpgsql as $body$ begin"
        " for turn in 1..turns loop"
        f" execute format('insert into bench.t%s (n, note) select g, ''note '' || g from generate_series(1,"
        f" {_ROWS_PER_TRANSACTION}) g', turn % tables); commit;"
        " end loop; end $body$"
    )


def _steps(first: int, last: float) -> list[int]:
    """Return first, ten times that, and so on up to `last`; always the first."""
    return [first * 10**power for power in range(7) if power == 0 or first * 10**power <= last]

"""Catch up from a backlog: product and native replication read the same WAL, in turn, round after round."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.costs import CpuShares
from benchmarks.equality import assert_equal
from benchmarks.figures import Comparison, Finding
from benchmarks.marker import CREATE_MARKER, MARKER_TABLE, set_marker
from benchmarks.native import NativeReplication, make_same_tables
from benchmarks.product import Product, peak_figures
from benchmarks.stage import Stage
from benchmarks.workloads import WORKLOADS, Workload
from tests.support.databases import Database, DatabasePair, database_pair

MUST_REACH = {"a": 1.3, "b": 1.05, "c": 1.0, "d": 1.7, "h": 4.0, "w": 1.0}


PURE_PYTHON = "benchmarks.pure_python"


def catch_up(
    stage: Stage, name: str, *, rounds: int, scale: float, pure_python: bool = False
) -> list[Finding]:
    """Measure one workload; raise AssertionError when a target differs from the source.

    With `pure_python` apply takes no batch as arrays, and the ratio is only reported.
    """
    workload = WORKLOADS[name]
    tables = (*workload.tables, MARKER_TABLE)
    with stage.databases() as databases, database_pair(stage.source, stage.target) as other:
        databases.source_admin.execute("create schema bench; " + workload.create_sql(scale) + CREATE_MARKER)
        databases.source_superuser.execute("vacuum analyze")
        product = Product(stage, databases, tables)
        product.prepare()
        if pure_python:
            product.module = PURE_PYTHON
        native = _prepare_native(databases, other, tables)
        race = _Race(stage, workload, databases.source_admin, product, native)
        try:
            for number in range(1, rounds + 1):
                race.run(number, scale=scale)
            for target in (databases.target_superuser, other.target_superuser):
                assert_equal(databases.source_superuser, target, tables)
        finally:
            native.drop()
            product.run("teardown")
    comparison = race.comparison(must_reach=None if pure_python else MUST_REACH[name])
    return [comparison, *peak_figures(comparison.name, product)]


@dataclass
class _Race:
    """Rounds of one workload: its changes are made once, then both catch up, the first one in turn."""

    stage: Stage
    workload: Workload
    owner: Database
    product: Product
    native: NativeReplication
    changes: int = 0
    mine: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    my_shares: list[CpuShares] = field(default_factory=list)
    their_shares: list[CpuShares] = field(default_factory=list)

    def run(self, number: int, *, scale: float) -> None:
        """Make the changes, then let both catch up."""
        self.changes = self.workload.run(self.stage, self.owner, scale)
        set_marker(self.owner, number)
        sides = (self._run_product, self._run_native)
        for side in sides if number % 2 else reversed(sides):
            side(number)

    def comparison(self, *, must_reach: float | None) -> Comparison:
        """Return what was measured."""
        way = "catch-up" if self.product.module != PURE_PYTHON else "catch-up in pure Python"
        return Comparison(
            name=f"{way} {self.workload.name}: {self.workload.what}",
            peer="native",
            product_seconds=tuple(self.mine),
            peer_seconds=tuple(self.theirs),
            must_reach=must_reach,
            changes=self.changes,
            notes=f"CPU seconds: {self.my_shares[-1]}; native: {self.their_shares[-1]}",
        )

    def _run_product(self, number: int) -> None:
        seconds, shares = self.product.catch_up(number)
        self.mine.append(seconds)
        self.my_shares.append(shares)

    def _run_native(self, number: int) -> None:
        seconds, shares = self.native.catch_up(self.stage, number)
        self.theirs.append(seconds)
        self.their_shares.append(shares)


def _prepare_native(
    databases: DatabasePair, other: DatabasePair, tables: tuple[str, ...]
) -> NativeReplication:
    target = other.target_superuser
    make_same_tables(databases.target_superuser, target, tables)
    native = NativeReplication(databases, target, tables=", ".join(tables))
    native.start()
    return native

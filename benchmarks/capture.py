"""Capture alone: the slot's changes into the broker, beside pg_recvlogical into a file."""

from __future__ import annotations

import subprocess
import time
from functools import partial

from benchmarks.equality import assert_equal
from benchmarks.figures import Comparison, Finding
from benchmarks.product import Product
from benchmarks.stage import Stage
from benchmarks.workloads import WORKLOADS
from tests.support.databases import DatabasePair

_SLOT = "bench_recvlogical"
_MUST_REACH = 1.5


def capture_alone(stage: Stage, name: str, *, rounds: int, scale: float) -> list[Finding]:
    """Measure one workload; both end by themselves once everything committed before is durably out."""
    workload = WORKLOADS[name]
    changes = 0
    with stage.databases() as databases:
        databases.source_admin.execute("create schema bench; " + workload.create_sql(scale))
        databases.source_superuser.execute("vacuum analyze")
        product = Product(stage, databases, workload.tables)
        product.prepare()
        databases.source_superuser.execute("create publication bench_all for all tables")
        databases.source_superuser.execute(
            f"select pg_create_logical_replication_slot('{_SLOT}', 'pgoutput')"
        )
        sides = {"product": partial(_capture, product), "peer": partial(_receive, stage, databases)}
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        try:
            for number in range(rounds):
                changes = workload.run(stage, databases.source_admin, scale)
                for side in sides if number % 2 else reversed(sides):
                    seconds[side].append(sides[side]())
            product.run("apply", "--until-caught-up")
            assert_equal(databases.source_superuser, databases.target_superuser, workload.tables)
        finally:
            databases.source_superuser.execute(f"select pg_drop_replication_slot('{_SLOT}')")
            product.run("teardown")
    comparison = Comparison(
        name=f"capture alone {name}: {workload.what}",
        peer="pg_recvlogical",
        product_seconds=tuple(seconds["product"]),
        peer_seconds=tuple(seconds["peer"]),
        must_reach=_MUST_REACH,
        changes=changes,
    )
    return [comparison, *product.peak_figures(comparison.name)]


def _capture(product: Product) -> float:
    started = time.monotonic()
    product.run("capture", "--until-caught-up")
    return time.monotonic() - started


def _receive(stage: Stage, databases: DatabasePair) -> float:
    """Let pg_recvlogical write everything up to now into a file, and confirm it."""
    end = databases.source_superuser.fetch_value("select pg_current_wal_flush_lsn()")
    command = [
        str(stage.source.bin_dir / "pg_recvlogical"),
        "--start",
        f"--slot={_SLOT}",
        f"--dbname={databases.source_superuser.uri}",
        f"--endpos={end}",
        "--option=proto_version=1",
        "--option=publication_names=bench_all",
        "--no-loop",
        f"--file={stage.folder / 'recvlogical'}",
    ]
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - started

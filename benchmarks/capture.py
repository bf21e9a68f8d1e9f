"""Capture alone: the slot's changes into the broker, beside readers that need not keep them so safely."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from functools import partial

from benchmarks.debezium import PUBLICATION, SLOT, missing_debezium, receive_by_debezium
from benchmarks.equality import assert_equal
from benchmarks.figures import Comparison, Finding, Skipped
from benchmarks.marker import CREATE_MARKER, MARKER_TABLE, set_marker
from benchmarks.product import Product, peak_figures
from benchmarks.stage import Stage
from benchmarks.workloads import WORKLOADS
from tests.support.databases import DatabasePair

_RECEIVER_SLOT = "bench_recvlogical"
_MUST_REACH = {"pg_recvlogical": 1.5, "Debezium": 4.0}


def capture_alone(stage: Stage, *, name: str, rounds: int, scale: float) -> list[Finding]:
    """Measure one workload against pg_recvlogical, which writes a file, and Debezium, which keeps nothing.

    All end once everything committed before is out, the product's in a durable queue.
    """
    workload = WORKLOADS[name]
    title = f"capture alone {name}: {workload.what}"
    missing = missing_debezium()
    tables = (*workload.tables, MARKER_TABLE)
    with stage.databases() as databases:
        databases.source_admin.execute("create schema bench; " + workload.create_sql(scale) + CREATE_MARKER)
        databases.source_superuser.execute("vacuum analyze")
        product = Product(stage, databases, tables)
        product.prepare()
        sides: dict[str, Callable[[], float]] = {
            "product": partial(_capture, product),
            "pg_recvlogical": partial(_receive, stage, databases),
        }
        if missing is None:
            sides["Debezium"] = partial(receive_by_debezium, stage, databases)
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        slots = [_RECEIVER_SLOT, *([SLOT] if missing is None else [])]
        databases.source_superuser.execute(f"create publication {PUBLICATION} for all tables")
        for slot in slots:
            databases.source_superuser.execute(
                "select pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,)
            )
        changes = 0
        try:
            for number in range(1, rounds + 1):
                changes = workload.run(stage, databases.source_admin, scale)
                set_marker(databases.source_admin, number)
                for side in sides if number % 2 else reversed(sides):
                    seconds[side].append(sides[side]())
            product.run("apply", "--until-caught-up")
            assert_equal(databases.source_superuser, databases.target_superuser, tables)
        finally:
            for slot in slots:
                databases.source_superuser.execute("select pg_drop_replication_slot(%s)", (slot,))
            product.run("teardown")
    comparisons = [
        Comparison(
            name=title,
            peer=peer,
            product_seconds=tuple(seconds["product"]),
            peer_seconds=tuple(seconds[peer]),
            must_reach=_MUST_REACH[peer],
            changes=changes,
        )
        for peer in sides
        if peer != "product"
    ]
    skipped = [] if missing is None else [Skipped(f"{title} against Debezium", missing)]
    return [*comparisons, *skipped, *peak_figures(title, product)]


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
        f"--slot={_RECEIVER_SLOT}",
        f"--dbname={databases.source_superuser.uri}",
        f"--endpos={end}",
        "--option=proto_version=1",
        f"--option=publication_names={PUBLICATION}",
        "--no-loop",
        f"--file={stage.folder / 'recvlogical'}",
    ]
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - started

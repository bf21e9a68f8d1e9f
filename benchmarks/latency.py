"""Latency from the commit on the source until the row is visible on the target, at a steady rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from statistics import median, quantiles

import psycopg2

from benchmarks.native import NativeReplication
from benchmarks.product import Product
from benchmarks.stage import Stage
from tests.support.databases import Database, database_pair
from tests.support.wait import wait_until

_CREATE = "create schema bench; create table bench.ticks (id bigint primary key, note text)"
_TABLE = "bench.ticks"
_POLL_SECONDS = 0.0005
_SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from commit to visibility."""

    who: str
    rate: int
    milliseconds: tuple[float, ...]

    def __str__(self) -> str:
        values = self.milliseconds
        return (
            f"latency at {self.rate} tx/s, {self.who}: median {median(values):.1f} ms, "
            f"p99 {quantiles(values, n=100)[98]:.1f} ms, worst {max(values):.1f} ms"
        )


def latency(stage: Stage, *, rate: int, seconds: float) -> list[Latency]:
    """Measure product and native replication, one after the other."""
    measured = []
    with stage.databases() as databases, database_pair(stage.source, stage.target) as other:
        databases.source_admin.execute(_CREATE)
        product = Product(stage, databases, (_TABLE,))
        product.write_settings()
        product.run("setup")
        product.run("full-load")
        with _following(product):
            measured.append(
                Latency("product", rate, _measure(databases.source_admin, databases.target, rate, seconds))
            )
        product.run("teardown")
        databases.source_admin.execute("truncate bench.ticks")
        other.target_superuser.execute(_CREATE)
        native = NativeReplication(databases, other.target_superuser, tables=_TABLE)
        native.start()
        native.enable()
        measured.append(
            Latency("native", rate, _measure(databases.source_admin, other.target_superuser, rate, seconds))
        )
        native.drop()
    return measured


@contextmanager
def _following(product: Product) -> Iterator[None]:
    halves = [product.start(name) for name in ("capture", "apply")]
    try:
        yield
    finally:
        for process in halves:
            process.terminate()
        for process in halves:
            process.communicate()


def _measure(source: Database, target: Database, rate: int, seconds: float) -> tuple[float, ...]:
    committed: dict[int, float] = {}
    seen: dict[int, float] = {}
    source.execute("insert into bench.ticks values (0, 'the first one')")
    wait_until(
        lambda: target.fetch_value("select count(*) from bench.ticks"),
        timeout_seconds=120,
        what="the first row to arrive",
    )
    count = int(rate * (seconds + _SETTLE_SECONDS))
    watcher = threading.Thread(target=_watch, args=(target, count, seen))
    watcher.start()
    connection = psycopg2.connect(source.uri)
    connection.autocommit = True
    started = time.monotonic()
    with connection.cursor() as cursor:
        for number in range(1, count + 1):
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            cursor.execute("insert into bench.ticks values (%s, 'tick')", (number,))
            committed[number] = time.monotonic()
    connection.close()
    watcher.join(60)
    first = int(rate * _SETTLE_SECONDS)
    return tuple(1000 * (seen[number] - committed[number]) for number in range(first + 1, count + 1))


def _watch(target: Database, count: int, seen: dict[int, float]) -> None:
    """Look for new rows again and again, and note when each was first seen."""
    connection = psycopg2.connect(target.uri)
    connection.autocommit = True
    last, deadline = 0, time.monotonic() + 600
    with connection.cursor() as cursor:
        while last < count and time.monotonic() < deadline:
            cursor.execute("select id from bench.ticks where id > %s order by id", (last,))
            rows, now = cursor.fetchall(), time.monotonic()
            for (number,) in rows:
                seen[number] = now
                last = number
            if not rows:
                time.sleep(_POLL_SECONDS)
    with suppress(psycopg2.Error):
        connection.close()

"""Latency from the commit on the source until the row is visible on the target, at a steady rate."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.equality import assert_equal
from benchmarks.figures import Figure, Finding
from benchmarks.native import NativeReplication
from benchmarks.product import Product, peak_figures
from benchmarks.stage import Stage
from tests.support.databases import Database, connect, database_pair
from tests.support.wait import wait_until

_CREATE = "create schema bench; create table bench.ticks (id bigint primary key, note text)"
_TABLE = "bench.ticks"
_POLL_SECONDS = 0.0005
_SETTLE_SECONDS = 3.0


_SECONDS = 60.0
_TURNS = 2  # what counts is the number of rows, not of turns
_AT_MOST = {"median": 8.0, "p99": 25.0, "worst": 250.0}


def latency(stage: Stage, *, rate: int, rounds: int, scale: float) -> list[Finding]:
    """Measure product and native replication in turn, a minute each in all."""
    seconds = _SECONDS * scale / _TURNS
    samples: dict[str, list[float]] = {"product": [], "native": []}
    ticks = _Ticks(rate, seconds)
    with stage.databases() as databases, database_pair(stage.source, stage.target) as other:
        databases.source_admin.execute(_CREATE)
        product = Product(stage, databases, (_TABLE,))
        product.prepare()
        other.target_superuser.execute(_CREATE)
        native = NativeReplication(databases, other.target_superuser, tables=_TABLE)
        native.start()
        try:
            for _ in range(_TURNS):
                with product.following():
                    samples["product"] += ticks.measure(databases.source_admin, databases.target)
                native.enable()
                samples["native"] += ticks.measure(databases.source_admin, other.target_superuser)
                native.disable()
            product.run("apply", "--until-caught-up")
            assert_equal(databases.source_superuser, databases.target_superuser, [_TABLE])
        finally:
            native.drop()
            product.run("teardown")
    name = f"latency at {rate} tx/s"
    figures = [
        figure for who, values in samples.items() for figure in _figures(f"{name}, {who}", who, values)
    ]
    return [*figures, *peak_figures(name, product)]


def _figures(name: str, who: str, milliseconds: list[float]) -> list[Figure]:
    found = {
        "median": median(milliseconds),
        "p99": quantiles(milliseconds, n=100)[98],
        "worst": max(milliseconds),
    }
    limits = _AT_MOST if who == "product" else {}
    return [Figure(f"{name}: {what}", "ms", (value,), limits.get(what)) for what, value in found.items()]


@dataclass
class _Ticks:
    """Rows that are inserted one by one at a steady rate, numbered on and on."""

    rate: int
    seconds: float
    last: int = 0

    def measure(self, source: Database, target: Database) -> list[float]:
        """Return the milliseconds from commit to visibility, row by row, once the pace has settled."""
        first = self._settle(source, target)
        count = max(int(self.rate * self.seconds), 2) + int(self.rate * _SETTLE_SECONDS)
        self.last = first + count
        seen: dict[int, float] = {}
        watcher = threading.Thread(target=_watch, args=(target, first, self.last, seen))
        watcher.start()
        committed = self._insert(source, first)
        watcher.join(60)
        measured = range(first + int(self.rate * _SETTLE_SECONDS) + 1, self.last + 1)
        return [1000 * (seen[number] - committed[number]) for number in measured]

    def _settle(self, source: Database, target: Database) -> int:
        """Insert a row and wait for it: then everything has started."""
        self.last += 1
        source.execute("insert into bench.ticks values (%s, 'the first one')", (self.last,))
        wait_until(
            lambda: target.fetch_value("select max(id) from bench.ticks") == self.last,
            timeout_seconds=120,
            what="the first row to arrive",
        )
        return self.last

    def _insert(self, source: Database, first: int) -> dict[int, float]:
        committed: dict[int, float] = {}
        with connect(source.uri) as connection, connection.cursor() as cursor:
            started = time.monotonic()
            for number in range(first + 1, self.last + 1):
                time.sleep(max(0.0, started + (number - first) / self.rate - time.monotonic()))
                cursor.execute("insert into bench.ticks values (%s, 'tick')", (number,))
                committed[number] = time.monotonic()
        return committed


def _watch(target: Database, first: int, last: int, seen: dict[int, float]) -> None:
    """Look for new rows again and again, and note when each was first seen."""
    newest, deadline = first, time.monotonic() + 600
    with connect(target.uri) as connection, connection.cursor() as cursor:
        while newest < last and time.monotonic() < deadline:
            cursor.execute("select id from bench.ticks where id > %s order by id", (newest,))
            rows, now = cursor.fetchall(), time.monotonic()
            for (number,) in rows:
                seen[number] = now
                newest = number
            if not rows:
                time.sleep(_POLL_SECONDS)

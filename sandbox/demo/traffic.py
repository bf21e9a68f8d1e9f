"""The shop's traffic: several connections doing realistic transactions at a steady rate until told to stop.

    SHOP_URI=postgresql://… python -m sandbox.demo.traffic --report .demo/traffic.json --rate 150

The URI is in the environment, so that no process list shows its password.
SIGTERM and SIGINT let the transactions under way finish; the report then says what was done.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg2

from sandbox.demo.transactions import WEIGHTS, PaymentDeclinedError, Shopper

URI_VARIABLE = "SHOP_URI"
CONNECTIONS = 3
RATE = 150.0  # transactions per second, of all connections together
REPORT_SECONDS = 1.0
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
LATE_SECONDS = 1.0  # a connection further behind its plan gives up catching up


@dataclass(slots=True)
class TrafficCounts:
    """What the traffic has done so far."""

    committed: int = 0
    rolled_back: int = 0
    changed_rows: int = 0
    seconds: float = 0.0
    by_kind: Counter[str] = field(default_factory=Counter)
    error: str | None = None


class Traffic:
    """Threads with a connection each; counts are shared under a lock."""

    def __init__(self, uri: str, *, rate: float = RATE, connections: int = CONNECTIONS, seed: int = 0):
        self._uri = uri
        self._rate = rate / connections
        self._seed = seed
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._counts = TrafficCounts()
        self._started = time.monotonic()
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), name=f"shopper-{number}")
            for number in range(connections)
        ]

    def start(self) -> None:
        """Start the connections."""
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> TrafficCounts:
        """Finish the transactions under way, close the connections, and return the final counts."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        return self.counts()

    def is_running(self) -> bool:
        """Tell whether it has neither been stopped nor failed."""
        return not self._stopped.is_set()

    def counts(self) -> TrafficCounts:
        """Return the counts so far."""
        with self._lock:
            seconds = round(time.monotonic() - self._started, 3)
            return replace(self._counts, seconds=seconds, by_kind=self._counts.by_kind.copy())

    def _serve(self, number: int) -> None:
        try:
            self._serve_until_stopped(random.Random(f"{self._seed} {number}"))
        except psycopg2.Error as error:
            with self._lock:
                self._counts.error = str(error).strip().splitlines()[0]
            self._stopped.set()

    def _serve_until_stopped(self, numbers: random.Random) -> None:
        connection = psycopg2.connect(self._uri, application_name="shop traffic")
        try:
            with connection.cursor() as cursor:
                cursor.execute("select product_id::text from warehouse.products")
                shopper = Shopper(cursor, numbers, [row[0] for row in cursor.fetchall()])
                connection.commit()
                self._shop(connection, shopper)
        finally:
            connection.close()

    def _shop(self, connection: "psycopg2.extensions.connection", shopper: Shopper) -> None:
        kinds, weights = tuple(WEIGHTS), tuple(WEIGHTS.values())
        planned_at = time.monotonic()
        while not self._stopped.wait(max(planned_at - time.monotonic(), 0)):
            (kind,) = shopper.random.choices(kinds, weights)
            shopper.changed_rows = 0
            try:
                kind(shopper)
                connection.commit()
            except (PaymentDeclinedError, psycopg2.errors.DeadlockDetected):
                connection.rollback()
                self._count("rolled back", shopper, committed=False)
            else:
                self._count(kind.__name__.replace("_", " "), shopper, committed=True)
            planned_at = max(planned_at, time.monotonic() - LATE_SECONDS)
            planned_at += shopper.random.expovariate(self._rate)

    def _count(self, kind: str, shopper: Shopper, *, committed: bool) -> None:
        with self._lock:
            self._counts.by_kind[kind] += 1
            self._counts.committed += committed
            self._counts.rolled_back += not committed
            self._counts.changed_rows += shopper.changed_rows if committed else 0


def write_report(path: Path, counts: TrafficCounts) -> None:
    """Replace the report in one step, so that a reader never sees half of it."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({name: getattr(counts, name) for name in TrafficCounts.__slots__}))
    partial.replace(path)


def read_report(path: Path) -> TrafficCounts:
    """Read what a traffic process last reported."""
    fields = json.loads(path.read_text())
    return TrafficCounts(**{**fields, "by_kind": Counter(fields["by_kind"])})


def main() -> int:
    """Run the traffic until a signal or an error ends it."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo.traffic", description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=RATE, help="transactions per second")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    traffic = Traffic(
        os.environ[URI_VARIABLE],
        rate=options.rate,
        connections=options.connections,
        seed=options.seed,
    )
    return _run(traffic, options.report)


def _run(traffic: Traffic, report: Path) -> int:
    """Report every second; the signals are blocked in every thread and taken here, between two reports."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    traffic.start()
    try:
        while traffic.is_running() and signal.sigtimedwait(STOP_SIGNALS, REPORT_SECONDS) is None:
            write_report(report, traffic.counts())
    finally:
        counts = traffic.stop()
    write_report(report, counts)
    if counts.error:
        print(f"The traffic ended early: {counts.error}", file=sys.stderr)
    return 1 if counts.error else 0


if __name__ == "__main__":
    sys.exit(main())

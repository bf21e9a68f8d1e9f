"""The highest steady rate at which the target stays less than two seconds behind."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.costs import measure_cpu
from benchmarks.equality import assert_equal
from benchmarks.figures import Figure, Finding
from benchmarks.marker import CREATE_MARKER, MARKER_TABLE, wait_for_marker
from benchmarks.native import NativeReplication, make_same_tables
from benchmarks.product import Product, peak_figures
from benchmarks.stage import Stage
from benchmarks.workloads import BANK, pgbench_command, tpcb_script
from tests.support.databases import Database, connect, database_pair

_SECONDS = 300.0
_SEARCH_SECONDS = 20.0
_FIRST_RATE = 250
_MOST_DOUBLINGS = 6
_LAG_SECONDS = 2.0
_BEAT_SECONDS = 0.1
_CHANGES_PER_TRANSACTION = 4
_KEPT_SHARE = 0.95  # of the rate asked for; below, the source itself is at its limit


def steady(stage: Stage, *, rounds: int, scale: float) -> list[Finding]:
    """Search the rate of TPC-B transactions for product and native replication, then hold it for five minutes."""
    tables = (*BANK.tables, MARKER_TABLE)
    with stage.databases() as databases, database_pair(stage.source, stage.target) as other:
        owner = databases.source_admin
        owner.execute("create schema bench; " + BANK.create_sql(scale) + CREATE_MARKER)
        product = Product(stage, databases, tables)
        product.prepare()
        make_same_tables(databases.target_superuser, other.target_superuser, tables)
        native = NativeReplication(databases, other.target_superuser, tables=", ".join(tables))
        native.start()
        load = _Load(stage, owner, scale)
        try:
            found = _search(load, "product", product.following, databases.target_superuser)
            found += _search(load, "native", native.following, other.target_superuser)
            for side, database in ((product, databases), (native, other)):
                with side.following():
                    wait_for_marker(database.target_superuser.uri, load.last_beat)
            for target in (databases.target_superuser, other.target_superuser):
                assert_equal(databases.source_superuser, target, tables)
        finally:
            native.drop()
            product.run("teardown")
    return [*found, *peak_figures("steady load", product)]


@dataclass
class _Load:
    """TPC-B transactions at a rate, and a marker that beats meanwhile."""

    stage: Stage
    owner: Database
    scale: float
    beats: dict[int, float] = field(default_factory=dict)
    last_beat: int = 0

    def is_held(self, rate: int, target: Database, *, seconds: float) -> bool:
        """Run a rate; tell whether the source kept it and the target was never too far behind."""
        ended = threading.Event()
        lags: list[float] = []
        threads = [
            threading.Thread(target=self._beat, args=(ended,)),
            threading.Thread(target=self._watch, args=(target, ended, lags)),
        ]
        for thread in threads:
            thread.start()
        kept = self._run(rate, seconds)
        ended.set()
        for thread in threads:
            thread.join()
        with connect(self.owner.uri) as connection, connection.cursor() as cursor:
            self._beat_once(cursor)  # behind all transactions
        return kept >= _KEPT_SHARE * rate and max(lags, default=0.0) < _LAG_SECONDS

    def _run(self, rate: int, seconds: float) -> float:
        """Return the transactions per second that pgbench has reached."""
        script = tpcb_script(self.stage, self.scale)
        command = pgbench_command(self.stage, self.owner, script, clients=4)
        command += ["-R", str(rate), "-T", str(max(round(seconds), 1))]
        finished = subprocess.run(command, check=True, capture_output=True, text=True)
        found = re.search(r"^tps = ([\d.]+)", finished.stdout, re.MULTILINE)
        assert found is not None
        return float(found[1])

    def _beat(self, ended: threading.Event) -> None:
        with connect(self.owner.uri) as connection, connection.cursor() as cursor:
            while not ended.wait(_BEAT_SECONDS):
                self._beat_once(cursor)

    def _beat_once(self, cursor: Any) -> None:
        number = self.last_beat + 1
        cursor.execute("update bench.marker set n = %s", (number,))
        self.beats[number] = time.monotonic()
        self.last_beat = number

    def _watch(self, target: Database, ended: threading.Event, lags: list[float]) -> None:
        """Note again and again for how long the first beat that is not there has been committed."""
        with connect(target.uri) as connection, connection.cursor() as cursor:
            while not ended.wait(_BEAT_SECONDS):
                cursor.execute("select max(n) from bench.marker")
                (seen,) = cursor.fetchone() or (0,)
                committed = self.beats.get((seen or 0) + 1)
                lags.append(0.0 if committed is None else time.monotonic() - committed)


def _search(
    load: _Load, who: str, following: Callable[[], AbstractContextManager[object]], target: Database
) -> list[Finding]:
    """Double the rate until it is not held, then hold for long what lies between, or less."""
    title, seconds = f"steady load, {who}", max(_SECONDS * load.scale, 1.0)
    with following():
        rate = _highest_for_a_moment(load, target)
        for candidate in (int(rate * 1.5), rate, int(rate * 0.75), rate // 2, rate // 4):
            wait_for_marker(target.uri, load.last_beat)
            with measure_cpu(load.stage.process_groups) as shares:
                is_held = load.is_held(candidate, target, seconds=seconds)
            if is_held:
                used = (f"{name} {100 * cpu / seconds:.0f} %" for name, cpu in shares.seconds.items())
                notes = f"of a core: {', '.join(used)}"
                return [Figure(title, "changes/s", (candidate * _CHANGES_PER_TRANSACTION,), notes=notes)]
        wait_for_marker(target.uri, load.last_beat)
    return [Figure(title, "changes/s", (0.0,), notes=f"not even {rate // 4} transactions/s")]


def _highest_for_a_moment(load: _Load, target: Database) -> int:
    rate, seconds = _FIRST_RATE, max(_SEARCH_SECONDS * load.scale, 1.0)
    for power in range(_MOST_DOUBLINGS):
        wait_for_marker(target.uri, load.last_beat)
        if not load.is_held(_FIRST_RATE * 2**power, target, seconds=seconds):
            break
        rate = _FIRST_RATE * 2**power
    return rate

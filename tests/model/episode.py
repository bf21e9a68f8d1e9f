"""An episode: one seed, one pair of servers, one schema; writers against faults, and comparisons in between."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from psycopg2 import sql

from sandbox.compare import snapshot
from tests.faults.dying import start
from tests.model.faults import Faults, Servers, finish_loads
from tests.model.oracle import Oracle, OracleTable
from tests.model.tables import CREATE_TYPES, random_tables
from tests.model.watcher import Watcher
from tests.model.writers import CREATE_JOURNAL, JOURNAL_TABLES, Writer
from tests.support.compare import assert_equal_rows
from tests.support.databases import DatabasePair
from tests.support.histories import read_history
from tests.support.site import MARKERS, Site, stream_early
from tests.support.wait import wait_until

WRITER_COUNT = 3
PHASE_SECONDS = (8.0, 20.0)
LOG_LENGTH = 4000
MODES = ("default", "default", "upsert", "scd2")
EVERY, CURRENT = sql.SQL("true"), sql.SQL("scd_current = 1")
TOUCH = sql.SQL("update {0} set n = n where ctid = (select ctid from {0} limit 1) returning true")


@dataclass(slots=True)
class EpisodeReport:
    """What an episode has compared."""

    seed: str
    transaction_count: int = 0
    change_count: int = 0
    comparison_count: int = 0
    look_count: int = 0
    schema_change_count: int = 0
    fault_counts: Counter[str] | None = None

    def __str__(self) -> str:
        faults = sum((self.fault_counts or {}).values())
        return (
            f"seed {self.seed}: {self.transaction_count} transactions, {self.change_count} changes, "
            f"{self.schema_change_count} schema changes, {faults} faults, {self.comparison_count} comparisons, {self.look_count} looks at the target"
        )


class Episode:
    """Everything of one seed; `run` goes on until the time is over, and raises what it finds wrong."""

    def __init__(self, seed: str, *, databases: DatabasePair, servers: Servers, folder: Path) -> None:
        self.report = EpisodeReport(seed)
        self._random = Random(seed)
        self._databases = databases
        mode = self._random.choice(MODES)
        self._keeps_history = mode == "scd2"
        changes_schema = self._random.random() < 0.6 or seed.endswith("-0")  # the first one always does
        self._tables = random_tables(self._random, self._random.randint(3, 6), with_keys=self._keeps_history)
        self.options = self._random_options(mode, changes_schema=changes_schema)
        names = [table.qualified_name for table in self._tables]
        self._site = Site(
            databases,
            rabbitmq_uri=servers.broker.amqp_uri,
            task_name=f"model_{self._random.randrange(10**9)}",
            folder=folder,
            tables=[MARKERS, *([] if self._keeps_history else JOURNAL_TABLES), *names],
            task=self.options,
        )
        self._faults = Faults(self._site, servers, Random(f"{seed} faults"))
        self._writers = [
            Writer(
                number,
                seed=seed,
                uri=databases.source_admin_uri,
                tables=self._tables,
                changes_schema=changes_schema,
            )
            for number in range(WRITER_COUNT)
        ]
        self._watcher = Watcher(databases.target_superuser)

    def run(self, *, deadline: float) -> None:
        oracle = self._prepare()
        with self._keeping_alive():
            if not self._keeps_history:
                self._watcher.start()
            for _ in range(1_000_000):
                self._disturb(min(time.monotonic() + self._random.uniform(*PHASE_SECONDS), deadline))
                self._compare(oracle)
                if time.monotonic() >= deadline:
                    break
            if not self._keeps_history:
                self._watcher.end()

    def close(self) -> None:
        """End all that was started, and remove the task."""
        for writer in self._writers:
            if writer.is_alive():
                writer.end()
        self._faults.heal()
        self._site.close()
        self._site.command.run("teardown")

    @property
    def logs(self) -> str:
        """The ends of the processes' logs."""
        return "\n".join(f"--- {half.name}\n{half.log[-LOG_LENGTH:]}" for half in self._site.halves)

    @property
    def states(self) -> str:
        """What the task knows of its tables, and how far it is."""
        found = [
            row
            for name in ("table_states", "known_tables", "checkpoints", "capture_progress")
            for row in self._databases.target_superuser.fetch_all(
                f"select to_jsonb(t)::text from trempy.{name} t"
            )
        ]
        return "\n".join(text for (text,) in found)

    def _random_options(self, mode: str, *, changes_schema: bool) -> dict[str, Any]:
        random = self._random
        return {
            "cdc_settings": {
                "mode": mode,
                "message_format": random.choice(["binary", "binary", "json"]),
                "batch_max_rows": random.choice([3, 20, 100, 10_000]),
                "batch_max_bytes": random.choice([2_000, 100_000, 4_000_000]),
                "prefetch_count": random.choice([1, 1, 4, 50]),
                "schema_evolution": "apply" if changes_schema else "stop",
            },
            "full_load_settings": {"parallel_streams": random.choice([1, 2, 4])},
        }

    def _prepare(self) -> Oracle:
        """Make the tables, let the writers begin, then set the task up and load it beside them."""
        databases = self._databases
        if self._random.random() < 0.7:
            databases.allow_replica_role()
        stream_early(databases)
        source = databases.source_admin
        source.execute(CREATE_TYPES + CREATE_JOURNAL + "create table public.markers (id bigint primary key)")
        for table in self._tables:
            source.execute(table.create_sql())
        oracle = self._make_oracle()
        for writer in self._writers:
            writer.start()
            writer.go_on()
        self._site.command.done("setup")
        finish_loads(self._site, [])
        return oracle

    def _make_oracle(self) -> Oracle:
        keys = {MARKERS: ("id",), "model.journal": (), "model.steps": ("writer",)}
        columns = {MARKERS: ["id"], "model.journal": ["writer", "step"], "model.steps": ["writer", "step"]}
        for table in self._tables:
            keys[table.qualified_name] = table.key
            columns[table.qualified_name] = [column.name for column in table.columns]
        name = f"oracle_{self._site.task_name}"
        return Oracle(self._databases.source_superuser, name=name, keys=keys, columns=columns)

    @contextmanager
    def _keeping_alive(self) -> Iterator[None]:
        """Start the halves again whenever they were killed; one that ends by itself is an error."""
        over, ended = threading.Event(), []

        def watch() -> None:
            while not over.wait(0.1):
                for half in self._site.halves:
                    if half.is_running:
                        continue
                    if half.process is not None and half.process.poll() != -9:
                        ended.append(half.name)
                        return
                    start(half)

        keeper = threading.Thread(target=watch, daemon=True)
        keeper.start()
        self._ended = ended
        try:
            yield
        finally:
            over.set()
            keeper.join()
        self._raise_if_wrong()

    def _raise_if_wrong(self) -> None:
        assert not self._ended, f"{self._ended[0]} has ended by itself"
        for writer in self._writers:
            if writer.error is not None:
                raise writer.error

    def _disturb(self, until: float) -> None:
        """Let the writers write and faults happen."""
        for writer in self._writers:
            writer.go_on()
        while time.monotonic() < until:
            self._raise_if_wrong()
            time.sleep(self._random.uniform(0.1, 2.5))
            self._faults.inject()

    def _compare(self, oracle: Oracle) -> None:
        """Bring everything to rest, and compare source, target and oracle."""
        for writer in self._writers:
            writer.pause()
        self._faults.heal()
        finish_loads(self._site, self._faults.loads)
        self._touch_tables()
        self._come_level()
        oracle.read()
        self._assert_equal(oracle)
        self.report.comparison_count += 1
        self.report.transaction_count = sum(writer.committed_count for writer in self._writers)
        self.report.change_count = oracle.change_count
        self.report.look_count = self._watcher.look_count
        self.report.fault_counts = Counter(self._faults.counts)
        self.report.schema_change_count = sum(writer.schema_change_count for writer in self._writers)

    def _touch_tables(self) -> None:
        """Change each table once: the stream tells a new shape with the first change that has it."""
        source = self._databases.source_admin
        for table in self._tables:
            if not source.fetch_all(TOUCH.format(table.identifier)):
                source.execute(sql.SQL("truncate {}").format(table.identifier))

    def _come_level(self) -> None:
        """Wait until everything is applied, and load what that has found to need a load."""

        def is_level() -> bool:
            self._raise_if_wrong()
            return self._site.has_arrived(marker)

        while True:
            marker = self._site.mark()
            wait_until(is_level, timeout_seconds=180, poll_seconds=0.1, what="the target to catch up")
            states = self._databases.target_superuser.fetch_all(
                "select source_table, state, error from trempy.table_states where state <> 'ready'"
            )
            if not states:
                return
            finish_loads(self._site, [])

    def _assert_equal(self, oracle: Oracle) -> None:
        for empty in ("apply_errors", "dead_letters", "held_changes", "held_chunks"):
            found = self._databases.target_superuser.fetch_all(
                f"select to_jsonb(e)::text from trempy.{empty} e limit 5"
            )
            assert not found, f"{empty}: {found!r:.3000}"
        for name, table in oracle.tables.items():
            expected = table.lines()
            _assert_same(
                name, "source", _lines(self._databases.source_admin_uri, name, table.columns), expected
            )
            if name not in self._site.tables:
                continue
            if self._keeps_history:
                self._assert_history(name, table)
            condition = CURRENT if self._keeps_history else EVERY
            target = _lines(self._databases.target_admin_uri, name, table.columns, condition)
            _assert_same(name, "target", target, expected)
        if not self._keeps_history:
            source, target = self._databases.source_admin_uri, self._databases.target_admin_uri
            assert_equal_rows(source, target, tables=list(oracle.tables))

    def _assert_history(self, name: str, table: OracleTable) -> None:
        """Check what holds for every history: its versions of a key follow each other, and the last is current."""
        key = ", ".join(f'"{column}"::text' for column in table.key)
        read_history(self._databases.target_superuser, f"select {key} from {name}", key_count=len(table.key))


def _lines(uri: str, table: str, columns: list[str], condition: sql.Composable = EVERY) -> Counter[bytes]:
    query = sql.SQL("copy (select {} from {} where {}) to stdout").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(*table.split(".")), condition
    )
    lines: Counter[bytes] = Counter()
    rest = b""

    class Sink:
        def write(self, chunk: bytes) -> None:
            nonlocal rest
            *whole, rest = (rest + chunk).split(b"\n")
            lines.update(whole)

    with snapshot(uri) as cursor:
        cursor.copy_expert(query, Sink())
    return lines


def _assert_same(table: str, side: str, found: Counter[bytes], expected: Counter[bytes]) -> None:
    extra, missing = found - expected, expected - found
    if extra or missing:
        raise AssertionError(
            f"{table} of the {side} differs from the oracle: "
            f"{sum(extra.values())} rows too many, such as {list(extra)[:2]!r:.600}; "
            f"{sum(missing.values())} missing, such as {list(missing)[:2]!r:.600}"
        )

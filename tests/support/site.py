"""A replication task with its two halves running as processes, and changes for them to replicate."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2

from tests.support.command import Command
from tests.support.compare import assert_equal_rows
from tests.support.databases import DatabasePair, connect
from tests.support.halves import Half, Wires
from tests.support.replication import Replication, settings
from tests.support.wait import wait_until
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker

LEVEL_SECONDS = 120.0
MARKERS = "public.markers"

CREATE_TABLES = """
create table public.markers (id bigint primary key);
create table public.keyed (id bigint primary key, v text, big text);
alter table public.keyed alter big set storage external;
create table public.keyless (n int, v text);
alter table public.keyless replica identity full;
create table public.composite (a int, v text, b text, primary key (b, a));
create table public.emptied (id int primary key, v text);
"""
TABLES = ("public.markers", "public.keyed", "public.keyless", "public.composite", "public.emptied")

# Several transactions: small ones, one larger than a batch, and every operation.
CHANGES = (
    """
    insert into public.keyed select g, 'n' || g, repeat('x', 3000) from generate_series({n}, {n} + 4) g;
    insert into public.keyless select g % 3, 'k' from generate_series(1, 6) g;
    insert into public.composite select g, 'c', 'b' || {n} from generate_series(1, 4) g
    """,
    """
    insert into public.keyed select g, 'large' from generate_series({n} + 5, {n} + 60) g;
    insert into public.keyless select 7, 'large' from generate_series(1, 30)
    """,
    """
    update public.keyed set v = v || '.' where id between {n} and {n} + 9;
    update public.keyless set v = 'u' where ctid in (select ctid from public.keyless where n = 1 limit 2);
    delete from public.keyless where ctid in (select ctid from public.keyless where n = 2 limit 1)
    """,
    "update public.keyed set id = -id where id = {n} + 1; delete from public.keyed where id = {n} + 3",
    "truncate public.emptied; insert into public.emptied values (1, 'first'), (2, 'second')",
    "update public.composite set b = b || '!' where a = 1; delete from public.composite where a = 2",
    "insert into public.keyless select null, 'end' from generate_series(1, 3)",
)

# Open all the while, and large enough to be streamed while it is in progress.
LARGE_CHANGES = """
insert into public.keyed select g, 'open', repeat('x', 1500) from generate_series({n} + 100, {n} + 160) g;
savepoint a; insert into public.keyless select 9, 'undone' from generate_series(1, 30); rollback to a;
update public.keyed set v = 'changed' where id between {n} + 120 and {n} + 130
"""


class Site:
    """The task, its databases, and its halves; made for being broken."""

    def __init__(
        self, databases: DatabasePair, *, rabbitmq_uri: str, task_name: str, folder: Path, **options: Any
    ) -> None:
        self.databases = databases
        self.task_name = task_name
        self.rabbitmq_uri = rabbitmq_uri
        self.tables: Sequence[str] = options.pop("tables", TABLES)
        metadata_uri: str | None = options.pop("metadata_uri", None)
        self.command = Command(databases, rabbitmq_uri, task_name, folder, metadata_uri)
        self.command.settings_file.write_text(json.dumps(settings(task_name, list(self.tables), **options)))
        uris = {
            "source": databases.source_uri,
            "target": databases.target_uri,
            "broker": f"{rabbitmq_uri}?heartbeat=2",
        }
        if metadata_uri is not None:
            uris["metadata"] = metadata_uri
        self.capture = Half("capture", settings_file=self.command.settings_file, wires=Wires(uris))
        self.apply = Half("apply", settings_file=self.command.settings_file, wires=Wires(uris))
        self._marker = 0
        self._round = 0

    @property
    def halves(self) -> tuple[Half, Half]:
        return self.capture, self.apply

    @property
    def broker(self) -> RabbitMqBroker:
        """The task's queues, reached directly."""
        return RabbitMqBroker(
            lambda: RabbitMqParameters.from_uri(self.rabbitmq_uri), task_name=self.task_name
        )

    def start(self) -> None:
        """Start the halves that do not run."""
        for half in self.halves:
            if not half.is_running:
                half.start()

    def write(self) -> None:
        """Commit changes of every kind, in several transactions."""
        self._round += 1
        n, uri = self._round * 1000, self.databases.source_admin_uri
        with (
            connect(uri) as first,
            first.cursor() as cursor,
            connect(uri) as second,
            second.cursor() as beside,
        ):
            beside.execute(f"begin; {LARGE_CHANGES.format(n=n)}")
            for statements in CHANGES:
                cursor.execute(f"begin; {statements.format(n=n)}; commit")
            beside.execute("commit")

    def mark(self) -> int:
        """Commit a row that comes after everything committed before."""
        self._marker += 1
        self.databases.source_admin.execute("insert into public.markers values (%s)", [self._marker])
        return self._marker

    def has_arrived(self, marker: int) -> bool:
        return bool(
            self.databases.target.fetch_value("select count(*) from public.markers where id = %s", [marker])
        )

    def replication(self) -> Replication:
        """Return the task for jobs that run in this process."""
        given = json.loads(self.command.settings_file.read_text())
        return Replication(given, databases=self.databases, rabbitmq_uri=self.rabbitmq_uri)

    def wait_until_level(self, *, lived_through: Sequence[Half] | None = None) -> None:
        """Wait until everything committed now is on the target, which keeps the order of commits."""
        marker = self.mark()
        living = self.halves if lived_through is None else lived_through
        wait_until(
            lambda: self.has_arrived(marker) or _fail_if_ended(living),
            timeout_seconds=LEVEL_SECONDS,
            poll_seconds=0.05,
            what=f"the target to catch up; {self._logs()}",
        )

    def assert_converged(self) -> None:
        """The target equals the source: nothing missing, nothing twice, no error on the way."""
        self.wait_until_level()
        assert_equal_rows(
            self.databases.source_admin_uri, self.databases.target_admin_uri, tables=self.tables
        )
        for empty in ("apply_errors", "held_changes", "held_chunks", "rolled_back_subtransactions"):
            assert self.count(empty) == 0, empty

    def count(self, metadata_table: str) -> int:
        query = f"select count(*) from trempy.{metadata_table} where task_name = %s"
        return int(self.databases.target.fetch_value(query, [self.task_name]))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Commit changes beside the block; while the source is down, try again."""
        done = threading.Event()

        def write() -> None:
            while not done.wait(0.5):
                with suppress(psycopg2.OperationalError, psycopg2.InterfaceError):
                    self.write()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            yield
        finally:
            done.set()
            writer.join()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Assert that both halves live through the block, however often they have to connect again."""
        pids = [half.pid for half in self.halves]
        yield
        for half, pid in zip(self.halves, pids, strict=True):
            assert half.is_running and half.pid == pid, f"{half.name} has ended:\n{half.log[-3000:]}"

    def close(self) -> None:
        for half in self.halves:
            half.close()
        self.command.end()

    def _logs(self) -> str:
        return "\n".join(f"{half.name}:\n{half.log[-1500:]}" for half in self.halves)


@contextmanager
def open_site(databases: DatabasePair, **options: Any) -> Iterator[Site]:
    """Make the tables, set the task up, load it, and start its halves; everything is removed at the end."""
    databases.source_admin.execute(CREATE_TABLES)
    stream_early(databases)
    site = Site(databases, **options)
    try:
        site.command.done("setup")
        site.command.done("full-load")
        site.start()
        yield site
    finally:
        site.close()
        site.command.run("teardown")


def stream_early(databases: DatabasePair) -> None:
    """Let the source stream transactions that are in progress as soon as it can."""
    databases.source_superuser.execute(
        f'alter database "{databases.source.name}" set logical_decoding_work_mem = 64'
    )


def _fail_if_ended(halves: Sequence[Half]) -> bool:
    for half in halves:
        assert half.is_running, f"{half.name} has ended:\n{half.log[-3000:]}"
    return False

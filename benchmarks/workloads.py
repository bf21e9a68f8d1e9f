"""The changes that a source makes in a benchmark, and the tables they are made in."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stage import Stage
from tests.support.databases import Database


@dataclass(frozen=True, slots=True)
class Workload:
    """Tables, and changes that can be made again and again."""

    name: str
    what: str
    tables: tuple[str, ...]
    create: str  # with {rows} where the number of rows of its large table goes
    rows: int
    run: Callable[[Stage, Database, float], int]  # stage, owner, scale; returns the number of changes

    def create_sql(self, scale: float) -> str:
        """Return the statements that make the tables; above the full size, only the changes grow."""
        return self.create.replace("{rows}", str(base_rows(self.rows, scale)))

    @property
    def publication_tables(self) -> str:
        """The tables as CREATE PUBLICATION takes them."""
        return ", ".join(self.tables)


def base_rows(rows: int, scale: float) -> int:
    """Return how many rows a table begins with; never so few that a transaction meets each of them."""
    return max(int(rows * min(scale, 1.0)), min(rows, 10_000))


def tpcb_script(stage: Stage, scale: float) -> Path:
    """Write pgbench's own transaction, four row changes, for tables of ours."""
    script = stage.folder / "tpcb.sql"
    script.write_text(
        f"\\set aid random(1, {base_rows(_LARGE, scale)})\n\\set tid random(1, 100)\n\\set bid random(1, 10)\n"
        "\\set delta random(-5000, 5000)\nbegin;\n"
        "update bench.accounts set balance = balance + :delta where id = :aid;\n"
        "update bench.tellers set balance = balance + :delta where id = :tid;\n"
        "update bench.branches set balance = balance + :delta where id = :bid;\n"
        "insert into bench.history (tid, bid, aid, delta, at) values (:tid, :bid, :aid, :delta, now());\n"
        "end;\n"
    )
    return script


def pgbench_command(stage: Stage, owner: Database, script: Path, *, clients: int) -> list[str]:
    """Return how pgbench is run with a script; how long is to be added."""
    options = ["-n", "-c", str(clients), "-j", "2", "-f", str(script)]
    environment = ["env", "PGOPTIONS=-c synchronous_commit=off"]
    return [*environment, str(stage.source.bin_dir / "pgbench"), *options, owner.uri]


def _tpcb(stage: Stage, owner: Database, scale: float) -> int:
    clients = 4
    transactions = max(int(100_000 * scale) // clients, 1)
    command = pgbench_command(stage, owner, tpcb_script(stage, scale), clients=clients)
    subprocess.run([*command, "-t", str(transactions)], check=True, capture_output=True)
    return transactions * clients * 4


def _large_updates(_stage: Stage, owner: Database, scale: float) -> int:
    rows = int(50_000 * scale)
    for turn in range(20):
        owner.execute(
            "update bench.items set n = n + 1, note = 'turn ' || n where id between %s and %s",
            (turn * rows + 1, (turn + 1) * rows),
        )
    return rows * 20


def _inserts(_stage: Stage, owner: Database, scale: float) -> int:
    return _in_transactions(
        owner,
        int(1_000 * scale),
        "insert into bench.items (n, note, at) select g, 'note ' || g, now() from generate_series(1, 1000) g;",
    )


def _mixed(_stage: Stage, owner: Database, scale: float) -> int:
    rows = base_rows(_LARGE, scale)
    return _in_transactions(
        owner,
        int(1_000 * scale),
        "update bench.items set n = n + 1, note = 'changed ' || n where id in"
        f" (select floor(random() * {rows})::int + 1 from generate_series(1, 700));"
        "insert into bench.items (n, note, at) select g, 'new', now() from generate_series(1, 200) g;"
        "delete from bench.items where id in"
        f" (select floor(random() * {rows})::int + 1 from generate_series(1, 100));",
    )


def _hot_keys(_stage: Stage, owner: Database, scale: float) -> int:
    return _in_transactions(
        owner, int(1_000 * scale), "update bench.items set n = n + 1, note = 'hot ' || n where id <= 1000;"
    )


def _wide(_stage: Stage, owner: Database, scale: float) -> int:
    """Half of the updates leave the large value alone: it is not sent."""
    return _in_transactions(
        owner,
        int(200 * scale),
        "update bench.wide set n = n + 1, t1 = md5(n::text) where id % 200 = (random() * 199)::int;"
        "update bench.wide set large = reverse(large), n = n + 1 where id % 200 = (random() * 199)::int;",
        changes=200,
    )


def _in_transactions(owner: Database, count: int, statements: str, *, changes: int = 1_000) -> int:
    owner.execute(
        "create or replace procedure bench.work(turns int) language plpgsql as $body$ begin "
        f"for turn in 1..turns loop {statements} commit; end loop; end $body$"
    )
    owner.execute("call bench.work(%s)", (max(count, 1),))
    return max(count, 1) * changes


_LARGE = 1_000_000
_ITEMS = (
    "create table bench.items (id bigint generated by default as identity primary key, n int not null,"
    " note text, at timestamptz not null default now());"
    "insert into bench.items (n, note) select g, 'note' from generate_series(1, {rows}) g;"
)
_BANK = (
    "create table bench.accounts (id int primary key, bid int, balance bigint not null, filler char(84));"
    "create table bench.tellers (id int primary key, bid int, balance bigint not null, filler char(84));"
    "create table bench.branches (id int primary key, balance bigint not null, filler char(88));"
    "create table bench.history (id bigint generated by default as identity primary key, tid int, bid int,"
    " aid int, delta int, at timestamp, filler char(22));"
    "insert into bench.accounts select g, g % 10, 0, '' from generate_series(1, {rows}) g;"
    "insert into bench.tellers select g, g % 10, 0, '' from generate_series(1, 100) g;"
    "insert into bench.branches select g, 0, '' from generate_series(1, 10) g;"
)
_WIDE = (
    "create table bench.wide (id int primary key, n bigint not null, t1 text, t2 text, d date, f float8,"
    " j jsonb, large text);"
    "alter table bench.wide alter column large set storage external;"
    "insert into bench.wide select g, g, 'a', repeat('b', 100), '2024-01-01', g / 7.0, jsonb_build_object('k', g),"
    " repeat(md5(g::text), 100) from generate_series(1, {rows}) g;"
)
_BANK_TABLES = ("bench.accounts", "bench.tellers", "bench.branches", "bench.history")

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("a", "100k TPC-B transactions", _BANK_TABLES, _BANK, _LARGE, _tpcb),
        Workload("b", "20 transactions of 50k updates", ("bench.items",), _ITEMS, _LARGE, _large_updates),
        Workload("c", "1,000 transactions of 1k inserts", ("bench.items",), _ITEMS, _LARGE, _inserts),
        Workload(
            "d", "1,000 transactions of 1k changes, 70/20/10 mixed", ("bench.items",), _ITEMS, _LARGE, _mixed
        ),
        Workload("h", "1 million updates of 1,000 rows", ("bench.items",), _ITEMS, _LARGE, _hot_keys),
        Workload("w", "wide rows with TOAST, half unchanged", ("bench.wide",), _WIDE, 20_000, _wide),
    )
}
BANK = WORKLOADS["a"]

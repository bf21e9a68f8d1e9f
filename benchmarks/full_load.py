"""A full load beside the ways PostgreSQL's own tools have of copying a table."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Comparison
from benchmarks.native import NativeReplication
from benchmarks.product import Product
from benchmarks.stage import Stage
from sandbox.compare import compare_databases
from tests.support.databases import Database, DatabasePair, database_pair

NARROW = (
    "create table bench.narrow (id bigint primary key, n int not null, v numeric(12, 2));"
    "insert into bench.narrow select g, g % 1000, g / 7.0 from generate_series(1, {rows}) g;"
)
WIDE = (
    "create table bench.wide (id bigint primary key, i int, s smallint, n numeric(14, 4), f float8, r real, b bool,"
    " t text, v varchar(80), c char(10), d date, ts timestamp, tz timestamptz, u uuid, j jsonb);"
    "insert into bench.wide select g, g, g % 30000, g / 3.0, g / 7.0, g / 9.0, g % 2 = 0, 'text ' || md5(g::text),"
    " repeat('v', g % 60), 'c' || g % 1000, date '2020-01-01' + g % 2000, timestamp '2020-01-01' + g * interval '1 s',"
    " timestamptz '2020-01-01' + g * interval '1 s', md5(g::text)::uuid, jsonb_build_object('k', g, 'l', 'value')"
    " from generate_series(1, {rows}) g;"
)


@dataclass(frozen=True, slots=True)
class Load:
    """A table to load, and the ratios to reach: against the pipe, and against the best of the others."""

    table: str
    create: str
    rows: int
    against_pipe: float
    against_others: float = 1.0


LOADS = {
    "narrow": Load("bench.narrow", NARROW, 2_000_000, 1.2),
    "wide": Load("bench.wide", WIDE, 500_000, 1.05),
}


def full_load(stage: Stage, name: str, *, rounds: int, scale: float) -> list[Comparison]:
    """Measure the load of one table against each peer; raise AssertionError when a copy differs."""
    load = LOADS[name]
    rows = int(load.rows * scale)
    with stage.databases() as databases, database_pair(stage.source, stage.target) as other:
        databases.source_admin.execute("create schema bench;" + load.create.format(rows=rows))
        databases.source_superuser.execute("vacuum analyze")
        sides = [("product", _product, databases)]
        sides += [(peer, measure, other) for peer, measure in PEERS.items() if _is_installed(peer)]
        seconds: dict[str, list[float]] = {side: [] for side, _, _ in sides}
        for number in range(rounds):
            for side, measure, pair in sides if number % 2 else reversed(sides):
                seconds[side].append(measure(stage, databases, other, load))
                _assert_equal(databases.source_superuser, pair.target_superuser, load.table)
                pair.target_superuser.execute("drop schema bench cascade")
    return _comparisons(f"full load {name}: {rows:,} rows", load, rows, seconds)


def _comparisons(name: str, load: Load, rows: int, seconds: dict[str, list[float]]) -> list[Comparison]:
    return [
        Comparison(
            name=name,
            peer=peer,
            product_seconds=tuple(seconds["product"]),
            peer_seconds=tuple(theirs),
            must_reach=load.against_pipe if peer == "pipe" else load.against_others,
            changes=rows,
        )
        for peer, theirs in seconds.items()
        if peer != "product"
    ]


def _is_installed(peer: str) -> bool:
    if peer != "pgcopydb" or shutil.which("pgcopydb"):
        return True
    print("pgcopydb is not installed and is left out (Debian: apt-get install pgcopydb)")
    return False


def _product(stage: Stage, databases: DatabasePair, _other: DatabasePair, load: Load) -> float:
    product = Product(stage, databases, (load.table,), options={"replication_type": "full_load"})
    product.write_settings()
    product.run("setup")
    seconds = _timed(lambda: product.run("full-load"))
    product.run("teardown")
    return seconds


def _pipe(stage: Stage, databases: DatabasePair, other: DatabasePair, load: Load) -> float:
    """COPY … BINARY from one psql into another, into a table that has its key."""
    _make_table(databases, other.target_superuser, load.table)
    psql = stage.source.bin_dir / "psql"
    command = (
        f'"{psql}" -X -q "{databases.source_superuser.uri}" -c "copy {load.table} to stdout (format binary)"'
        f' | "{psql}" -X -q "{other.target_superuser.uri}" -c "copy {load.table} from stdin (format binary)"'
    )
    return _timed(lambda: _shell(command))


def _dump(stage: Stage, databases: DatabasePair, other: DatabasePair, load: Load) -> float:
    programs: Path = stage.source.bin_dir
    command = (
        f'"{programs}/pg_dump" -Fc -Z0 -n bench "{databases.source_superuser.uri}"'
        f' | "{programs}/pg_restore" --no-owner --no-privileges -d "{other.target_superuser.uri}"'
    )
    return _timed(lambda: _shell(command))


def _pgcopydb(stage: Stage, databases: DatabasePair, other: DatabasePair, _load: Load) -> float:
    folder = stage.folder / "pgcopydb"
    shutil.rmtree(folder, ignore_errors=True)
    command = (
        f'PATH="{stage.source.bin_dir}:$PATH" pgcopydb clone --dir "{folder}" --table-jobs 2 --index-jobs 2'
        f' --no-owner --no-acl --skip-extensions --source "{databases.source_superuser.uri}"'
        f' --target "{other.target_superuser.uri}"'
    )
    return _timed(lambda: _shell(command))


def _native(stage: Stage, databases: DatabasePair, other: DatabasePair, load: Load) -> float:
    _make_table(databases, other.target_superuser, load.table)
    native = NativeReplication(databases, other.target_superuser, tables=load.table)
    seconds = _timed(native.start)
    native.drop()
    return seconds


PEERS: dict[str, Callable[[Stage, DatabasePair, DatabasePair, Load], float]] = {
    "pipe": _pipe,
    "native": _native,
    "pgcopydb": _pgcopydb,
    "pg_dump": _dump,
}


def _make_table(databases: DatabasePair, target: Database, table: str) -> None:
    columns = databases.source_superuser.fetch_value(
        "select string_agg(format('%%I %%s', attname, format_type(atttypid, atttypmod)), ', ' order by attnum)"
        " from pg_attribute where attrelid = %s::regclass and attnum > 0",
        (table,),
    )
    target.execute(f"create schema bench; create table {table} ({columns}, primary key (id))")


def _timed(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def _shell(command: str) -> None:
    finished = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise RuntimeError(finished.stderr[-2000:])


def _assert_equal(source: Database, target: Database, table: str) -> None:
    compared = compare_databases(source.uri, target.uri, tables=[table])
    assert all(comparison.is_equal for comparison in compared), f"{table} differs"

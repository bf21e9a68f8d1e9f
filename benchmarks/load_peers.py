"""The ways of copying tables that PostgreSQL's own tools and pgcopydb have."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable

from benchmarks.loads import Load
from benchmarks.native import NativeReplication
from benchmarks.stage import Stage
from tests.support.databases import Database, DatabasePair

JOBS = 2  # as many as the product's parallel_streams by default


def pipe(stage: Stage, databases: DatabasePair, other: DatabasePair, load: Load) -> float:
    """Run COPY … BINARY from one psql into another, into a table that has its key."""
    (table,) = load.tables
    _make_table(databases, other.target_superuser, table)
    return _timed_copy(stage, databases, other, source=table, target=table)


def query(stage: Stage, databases: DatabasePair, other: DatabasePair, load: Load) -> float:
    """Copy, by the same pipe, what a query by hand makes of the rows: what the product's settings say."""
    assert load.by_hand is not None
    (table,), (text, columns) = load.tables, load.by_hand
    other.target_superuser.execute(f"create schema bench; create table {table} ({columns})")
    return _timed_copy(stage, databases, other, source=f"({text})", target=table)


def native(stage: Stage, databases: DatabasePair, other: DatabasePair, load: Load) -> float:
    """Let a subscription make its initial synchronization."""
    (table,) = load.tables
    _make_table(databases, other.target_superuser, table)
    replication = NativeReplication(databases, other.target_superuser, tables=table)
    seconds = timed(replication.start)
    replication.drop()
    return seconds


def dump(stage: Stage, databases: DatabasePair, other: DatabasePair, load: Load) -> float:
    """Run `pg_dump | pg_restore`, without compression."""
    programs = stage.source.bin_dir
    return _timed_shell(
        f'"{programs}/pg_dump" -Fc -Z0 -n bench "{databases.source_superuser.uri}"'
        f' | "{programs}/pg_restore" --no-owner --no-privileges -d "{other.target_superuser.uri}"'
    )


def parallel_dump(stage: Stage, databases: DatabasePair, other: DatabasePair, load: Load) -> float:
    """Run `pg_dump -j` into a directory, then `pg_restore -j`."""
    programs, folder = stage.source.bin_dir, stage.folder / "dump"
    shutil.rmtree(folder, ignore_errors=True)
    return _timed_shell(
        f'"{programs}/pg_dump" -Fd -Z0 -j {JOBS} -n bench -f "{folder}" "{databases.source_superuser.uri}"'
        f' && "{programs}/pg_restore" -j {JOBS} --no-owner --no-privileges -d "{other.target_superuser.uri}"'
        f' "{folder}"'
    )


def pgcopydb(stage: Stage, databases: DatabasePair, other: DatabasePair, load: Load) -> float:
    """Run `pgcopydb clone`, with as many jobs as the product has streams."""
    folder = stage.folder / "pgcopydb"
    shutil.rmtree(folder, ignore_errors=True)
    return _timed_shell(
        f'PATH="{stage.source.bin_dir}:$PATH" pgcopydb clone --dir "{folder}" --table-jobs {JOBS}'
        f" --index-jobs {JOBS} --no-owner --no-acl --skip-extensions"
        f' --source "{databases.source_superuser.uri}" --target "{other.target_superuser.uri}"'
    )


Peer = Callable[[Stage, DatabasePair, DatabasePair, Load], float]
PEERS: dict[str, Peer] = {
    "pipe": pipe,
    "native": native,
    "pgcopydb": pgcopydb,
    "pg_dump": dump,
    "pg_dump -j": parallel_dump,
    "query": query,
}


def missing_program(peer: str) -> str | None:
    """Return what has to be installed for a peer, None when nothing is missing."""
    if peer == "pgcopydb" and shutil.which("pgcopydb") is None:
        return "pgcopydb is not installed (Debian: apt-get install pgcopydb)"
    return None


def psql(stage: Stage, database: Database, statements: str) -> None:
    """Run statements with psql."""
    program = stage.source.bin_dir / "psql"
    _shell(f'"{program}" -X -q -v ON_ERROR_STOP=1 "{database.uri}" -c {shlex.quote(statements)}')


def timed(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.monotonic()
    call()
    return time.monotonic() - started


def _timed_copy(
    stage: Stage, databases: DatabasePair, other: DatabasePair, *, source: str, target: str
) -> float:
    program = stage.source.bin_dir / "psql"
    out, into = (
        f"{program} -X -q {uri} -c {shlex.quote(f'copy {what} (format binary)')}"
        for uri, what in (
            (databases.source_superuser.uri, f"{source} to stdout"),
            (other.target_superuser.uri, f"{target} from stdin"),
        )
    )
    return _timed_shell(f"{out} | {into}")


def _timed_shell(command: str) -> float:
    return timed(lambda: _shell(command))


def _shell(command: str) -> None:
    finished = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise RuntimeError(finished.stderr[-2000:])


def _make_table(databases: DatabasePair, target: Database, table: str) -> None:
    columns = databases.source_superuser.fetch_value(
        "select string_agg(format('%%I %%s', attname, format_type(atttypid, atttypmod)), ', ' order by attnum)"
        " from pg_attribute where attrelid = %s::regclass and attnum > 0",
        (table,),
    )
    target.execute(f"create schema bench; create table {table} ({columns}, primary key (id))")

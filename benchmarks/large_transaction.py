"""Measure the peak memory of capture and apply over one very large transaction.

A source, a target and a broker are started on this machine, the two processes `trempy capture` and
`trempy apply` follow, and one transaction inserts, updates and deletes the rows asked for.
The program ends with 1 when the sides differ or a process went over its ceiling.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from sandbox.compare import compare_databases
from sandbox.postgres import PostgresServer
from sandbox.rabbitmq import RabbitMqServer

TABLE = (
    "create table public.large (id bigint primary key, name text not null, amount numeric, at timestamptz)"
)
INSERT = """
insert into public.large
select g, 'row number ' || g, g / 100.0, now() from generate_series(1, {rows}) g
"""
UPDATE = "update public.large set amount = amount + 1 where id % 8 = 0"
DELETE = "delete from public.large where id % 8 = 1"
TASK = "large_transaction"


@dataclass(frozen=True, slots=True)
class Servers:
    """The three servers of a measurement."""

    source: PostgresServer
    target: PostgresServer
    broker: RabbitMqServer

    def environment(self) -> dict[str, str]:
        """Return the connections as `trempy` reads them."""
        return {
            **os.environ,
            "TREMPY_SOURCE": self.source.superuser_uri(),
            "TREMPY_TARGET": self.target.superuser_uri(),
            "TREMPY_BROKER": self.broker.amqp_uri,
        }


def main() -> int:
    """Run the measurement and print it."""
    options = _options()
    with _servers(options) as servers, tempfile.TemporaryDirectory() as folder:
        _execute(servers.source, TABLE)
        settings = _write_settings(Path(folder))
        for command in ("setup", "full-load"):
            subprocess.run(
                _trempy(command, settings), env=servers.environment(), check=True, stdout=sys.stderr
            )
        with _job("capture", settings, servers) as capture, _job("apply", settings, servers) as apply:
            facts = _measure(servers, options, capture, apply)
    print(json.dumps(facts, indent=2))
    ceilings = {"capture_peak_mb": options.capture_mb, "apply_peak_mb": options.apply_mb}
    return 0 if facts["equal"] and all(facts[name] <= ceiling for name, ceiling in ceilings.items()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000, help="row changes in the transaction")
    parser.add_argument("--source", type=int, help="PostgreSQL version of the source (the lowest installed)")
    parser.add_argument("--target", type=int, help="PostgreSQL version of the target (the lowest installed)")
    parser.add_argument("--capture-mb", type=int, default=150, help="ceiling of capture's memory")
    parser.add_argument("--apply-mb", type=int, default=350, help="ceiling of apply's memory")
    parser.add_argument(
        "--work-mem", default="64MB", help="logical_decoding_work_mem of the source; above it, it streams"
    )
    return parser.parse_args()


@contextmanager
def _servers(options: argparse.Namespace) -> Iterator[Servers]:
    source = PostgresServer(options.source, settings={"logical_decoding_work_mem": options.work_mem})
    servers = Servers(source, PostgresServer(options.target), RabbitMqServer())
    with ExitStack() as stack:
        for server in (servers.source, servers.target):
            stack.callback(server.remove)
            server.start()
        stack.callback(servers.broker.remove)
        servers.broker.start()
        yield servers


def _write_settings(folder: Path) -> Path:
    path = folder / "settings.json"
    task = {"task_name": TASK, "replication_type": "full_load_and_cdc", "create_table_if_not_exists": True}
    table = {"schema_name": "public", "table_name": "large"}
    path.write_text(json.dumps({"task": task, "tables": [table]}))
    return path


def _trempy(command: str, settings: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "trempy_provider.cli", command, str(settings), *arguments]


@contextmanager
def _job(command: str, settings: Path, servers: Servers) -> Iterator[subprocess.Popen[bytes]]:
    """Run one half of the task beside the block."""
    process = subprocess.Popen(_trempy(command, settings), env=servers.environment(), stdout=sys.stderr)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _measure(
    servers: Servers,
    options: argparse.Namespace,
    capture: subprocess.Popen[bytes],
    apply: subprocess.Popen[bytes],
) -> dict[str, object]:
    started = time.monotonic()
    rows = options.rows * 4 // 5  # each eighth row is updated, each eighth deleted
    _execute(servers.source, ";".join(("begin", INSERT.format(rows=rows), UPDATE, DELETE, "commit")))
    committed = time.monotonic()
    _wait_until_applied(servers, capture, apply)
    applied = time.monotonic()
    compared = compare_databases(
        servers.source.superuser_uri(), servers.target.superuser_uri(), tables=["public.large"]
    )
    return {
        "source": servers.source.description,
        "target": servers.target.description,
        "row_changes": rows + rows // 8 * 2,
        "transaction_seconds": round(committed - started, 1),
        "applied_after_commit_seconds": round(applied - committed, 1),
        "capture_peak_mb": _peak_mb(capture.pid),
        "apply_peak_mb": _peak_mb(apply.pid),
        "equal": all(comparison.is_equal for comparison in compared),
    }


def _wait_until_applied(
    servers: Servers, capture: subprocess.Popen[bytes], apply: subprocess.Popen[bytes]
) -> None:
    last_id = "select count(*) from trempy.checkpoints where transaction_count > 0"
    while not _fetch_value(servers.target, last_id):
        for process in (capture, apply):
            if process.poll() is not None:
                raise RuntimeError(f"{process.args} ended with {process.returncode}")
        time.sleep(0.2)


def _peak_mb(pid: int) -> float:
    """Return the most memory a process has had (VmHWM), in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(kilobytes) * 1024 / 1e6, 1)


def _execute(server: PostgresServer, statements: str) -> None:
    connection = psycopg2.connect(server.superuser_uri())
    try:
        connection.autocommit = True
        connection.cursor().execute(statements)
    finally:
        connection.close()


def _fetch_value(server: PostgresServer, query: str) -> object:
    connection = psycopg2.connect(server.superuser_uri())
    try:
        cursor = connection.cursor()
        cursor.execute(query)
        row = cursor.fetchone()
        assert row is not None
        return row[0]
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())

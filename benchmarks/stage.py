"""What every benchmark runs on: two PostgreSQL servers, RabbitMQ, databases with least-privilege roles."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.postgres import PostgresServer
from sandbox.rabbitmq import RabbitMqServer
from tests.support.databases import DatabasePair, database_pair

# Durable, as in production; enough memory and WAL that neither side waits for a checkpoint all the time.
SERVER_SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "256MB",
    "max_worker_processes": "16",
    "max_connections": "500",
    "max_replication_slots": "100",
    "max_wal_senders": "100",
    "autovacuum_naptime": "10s",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers that are up, and a folder for files."""

    source: PostgresServer
    target: PostgresServer
    broker: RabbitMqServer
    folder: Path

    @property
    def description(self) -> str:
        """Say what the figures were measured on."""
        return f"{os.cpu_count()} cores; PostgreSQL {self.source.full_version}; {self.broker.description}"

    @property
    def process_groups(self) -> dict[str, Callable[[], set[int]]]:
        """The servers' processes, to count what they use."""
        assert self.source.process is not None and self.target.process is not None
        return {
            "source": self.source.process.family,
            "target": self.target.process.family,
            "broker": self.broker.pids,
        }

    @contextmanager
    def databases(self) -> Iterator[DatabasePair]:
        """Make a fresh source and target database; drop them at the end."""
        with database_pair(self.source, self.target) as pair:
            pair.allow_replica_role()
            yield pair


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Start the servers, and remove them at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trempy-bench-")))
        servers = []
        for _ in ("source", "target"):
            server = PostgresServer(settings=SERVER_SETTINGS, durable=True)
            stack.callback(server.remove)
            server.start()
            servers.append(server)
        broker = RabbitMqServer()
        stack.callback(broker.remove)
        broker.start()
        yield Stage(servers[0], servers[1], broker, folder)

"""The peer: PostgreSQL's own logical replication, between the same two servers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.costs import CpuShares, measure_cpu
from benchmarks.marker import wait_for_marker
from benchmarks.stage import Stage
from tests.support.databases import Database, DatabasePair
from tests.support.wait import wait_until

_NAME = "bench_native"


class NativeReplication:
    """A subscription with tables that were made beforehand; disabled while nothing is measured."""

    def __init__(self, databases: DatabasePair, target: Database, *, tables: str) -> None:
        self._source = databases.source_superuser
        self._target = target
        self._tables = tables

    def start(self) -> None:
        """Create publication and subscription, copy the rows, and stand still."""
        self._source.execute(f"create publication {_NAME} for table {self._tables}")
        self._target.execute(
            f"create subscription {_NAME} connection '{_conninfo(self._source.uri)}' publication {_NAME}"
        )
        wait_until(self._is_copied, timeout_seconds=300, what="native replication's copy")
        self.disable()

    def catch_up(self, stage: Stage, marker: int) -> tuple[float, CpuShares]:
        """Enable the subscription; return the seconds until the marker is there, and what was used meanwhile."""
        started = time.monotonic()
        with measure_cpu(stage.process_groups) as shares:
            self.enable()
            wait_for_marker(self._target.uri, marker)
            seconds = time.monotonic() - started
        self.disable()
        return seconds, shares

    @contextmanager
    def following(self) -> Iterator[None]:
        """Let the worker run beside the block."""
        self.enable()
        try:
            yield
        finally:
            self.disable()

    def enable(self) -> None:
        """Let the worker run."""
        self._target.execute(f"alter subscription {_NAME} enable")

    def disable(self) -> None:
        """Stop the worker and wait for its end."""
        self._target.execute(f"alter subscription {_NAME} disable")
        wait_until(
            lambda: (
                not self._target.fetch_value(
                    "select count(*) from pg_stat_subscription where subname = %s and pid is not null",
                    (_NAME,),
                )
            ),
            timeout_seconds=60,
            what="the subscription's worker to end",
        )

    def drop(self) -> None:
        """Remove subscription and slot."""
        self._target.execute(f"drop subscription if exists {_NAME}")
        self._source.execute(f"drop publication if exists {_NAME}")

    def _is_copied(self) -> bool:
        return not self._target.fetch_value(
            "select count(*) from pg_subscription_rel where srsubstate <> 'r'"
        )


def make_same_tables(made: Database, target: Database, tables: Sequence[str]) -> None:
    """Make the same tables as the product has made."""
    target.execute("create schema bench")
    for table in tables:
        columns = made.fetch_value(
            "select string_agg(format('%%I %%s%%s', attname, format_type(atttypid, atttypmod),"
            " case when attnotnull then ' not null' else '' end), ', ' order by attnum)"
            " from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            (table,),
        )
        target.execute(f"create table {table} ({columns}, primary key (id))")


def _conninfo(uri: str) -> str:
    parts = urlsplit(uri)
    return (
        f"host={parts.hostname} port={parts.port} user={parts.username} password={parts.password}"
        f" dbname={parts.path.lstrip('/')}"
    )

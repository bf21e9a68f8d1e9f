"""Standbys and copies of a local server, for tests in which the source becomes another one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from sandbox.postgres import SUPERUSER, PostgresServer
from sandbox.processes import identity_options
from tests.support.databases import Database
from tests.support.wait import wait_until


def start_standby(
    primary: PostgresServer, *, settings: Mapping[str, str] = MappingProxyType({})
) -> PostgresServer:
    """Return a running standby that streams from a primary."""
    standby = PostgresServer(primary.version, settings={**primary.settings, **settings})
    standby.bin_dir, standby.password = primary.bin_dir, primary.password
    if standby.user is not None:
        shutil.chown(standby.directory, standby.user, standby.user)
    where = f"host=127.0.0.1 port={primary.port} user={SUPERUSER} dbname=postgres password={primary.password}"
    subprocess.run(
        [
            standby.bin_dir / "pg_basebackup",
            "-D",
            standby.data_dir,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "-d",
            where,
        ],
        check=True,
        capture_output=True,
        cwd=standby.directory,
        env={"LANG": "C.UTF-8"},
        **identity_options(standby.user),
    )
    standby.start()
    return standby


def wait_for_replay(primary: PostgresServer, standby: PostgresServer) -> None:
    """Wait until a standby has replayed all that the primary has written."""
    position = Database(primary.superuser_uri()).fetch_value("select pg_current_wal_flush_lsn()::text")
    replayed = "select pg_last_wal_replay_lsn() >= %s::pg_lsn"
    wait_until(
        lambda: Database(standby.superuser_uri()).fetch_value(replayed, [position]),
        timeout_seconds=60,
        what="the standby to catch up",
    )


def promote(standby: PostgresServer) -> None:
    """Make a standby a primary on a timeline of its own."""
    database = Database(standby.superuser_uri())
    database.execute("select pg_promote()")
    wait_until(
        lambda: not database.fetch_value("select pg_is_in_recovery()"),
        timeout_seconds=60,
        what="the promotion",
    )


def copy_cluster(server: PostgresServer) -> Path:
    """Copy the files of a server that is stopped, as a snapshot of its disk would."""
    copy = server.directory / "copy"
    subprocess.run(["cp", "-a", server.data_dir, copy], check=True)
    return copy


def restore_cluster(server: PostgresServer, copy: Path) -> None:
    """Put a copy in place of the files of a server that is stopped."""
    shutil.rmtree(server.data_dir)
    subprocess.run(["cp", "-a", copy, server.data_dir], check=True)

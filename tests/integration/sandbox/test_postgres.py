"""Local PostgreSQL servers: start, crash, come back, and leave nothing behind."""

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from sandbox.installations import available_versions
from sandbox.postgres import PostgresServer
from sandbox.processes import read_processes, recorded_servers, running_pids
from tests.support.databases import Database
from tests.support.servers import start_whole


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = start_whole(PostgresServer())
    yield server
    server.remove()


@pytest.mark.parametrize("version", sorted(available_versions()))
def test_every_installed_version_starts_and_leaves_nothing(version: int) -> None:
    server = PostgresServer(version)
    server.start()
    pids = server.process.family()

    settings = Database(server.superuser_uri()).fetch_all(
        "select current_setting('server_version_num')::int / 10000, current_setting('wal_level')"
    )
    server.remove()

    assert settings == [(version, "logical")]
    assert not running_pids(pids)
    assert not server.directory.exists()


def test_nobody_is_trusted(server: PostgresServer) -> None:
    for host in ("127.0.0.1", str(server.directory)):
        with pytest.raises(psycopg2.OperationalError, match="no password supplied"):
            psycopg2.connect(host=host, port=server.port, user="postgres", dbname="postgres")


def test_data_outlive_a_kill(server: PostgresServer) -> None:
    database = Database(server.superuser_uri())
    database.execute("create table kept as select 1 as id; checkpoint; insert into kept values (2)")

    server.kill()
    server.start()

    assert database.fetch_all("select id from kept order by id") == [(1,), (2,)]


def directory_of(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:  # it has just ended, or is the kernel's
        return None


def test_nothing_of_a_killed_server_lives_on(server: PostgresServer) -> None:
    """A postmaster starts its children anew when one of them is killed before it."""
    for _ in range(5):
        sessions = [psycopg2.connect(server.superuser_uri()) for _ in range(10)]

        server.kill()

        assert [pid for pid in read_processes() if directory_of(pid) == str(server.data_dir)] == []
        server.start()
        for session in sessions:
            session.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restart_keeps_the_port_and_takes_new_settings(server: PostgresServer, mode: str) -> None:
    server.settings["max_wal_senders"] = "5"

    server.restart(mode)

    assert Database(server.superuser_uri()).fetch_value("show max_wal_senders") == "5"


def test_a_later_program_can_end_the_server(server: PostgresServer) -> None:
    pids = server.process.family()

    (recorded,) = recorded_servers(server.directory)
    recorded.end()

    assert not running_pids(pids)
    assert not list(recorded_servers(server.directory))

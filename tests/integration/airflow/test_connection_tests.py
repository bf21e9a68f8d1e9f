"""Airflow's "Test connection" for the three types: what it says when something is missing."""

import json
import secrets
from urllib.parse import urlsplit

import pytest

from sandbox.postgres import PostgresServer
from tests.support.databases import Database
from tests.support.servers import start_whole
from trempy_provider.hooks import connections as connections_module
from trempy_provider.hooks.postgres import TrempySourceHook, TrempyTargetHook
from trempy_provider.hooks.rabbitmq import RabbitMQHook

NOT_MADE_FOR_REPLICATION = {"wal_level": "replica", "max_replication_slots": "1", "max_wal_senders": "1"}


@pytest.fixture(scope="module")
def plain_server():
    """A server as a package installs it, its only slot taken."""
    server = start_whole(PostgresServer(settings=NOT_MADE_FOR_REPLICATION))
    database = Database(server.superuser_uri())
    database.execute("select pg_create_physical_replication_slot('standby', true)")
    database.execute("create role plain login password 'plain-password'")
    database.execute("revoke create, temporary on database postgres from public")
    yield server
    server.remove()


@pytest.fixture
def look(monkeypatch):
    """Return a function that tests a connection."""
    monkeypatch.setattr(connections_module, "RETRY_SECONDS", ())

    def look(hook, uri, **changed):
        parts = urlsplit(uri)
        fields = {
            "conn_type": hook.conn_type,
            "host": parts.hostname,
            "port": parts.port,
            "schema": parts.path.removeprefix("/").replace("%2F", "/"),
            "login": parts.username,
            "password": parts.password,
        }
        monkeypatch.setenv("AIRFLOW_CONN_TESTED", json.dumps(fields | changed))
        fits, message = hook("tested").test_connection()
        assert parts.password not in message
        return fits, message

    return look


def test_everything_a_source_lacks_is_said_at_once_with_the_remedies(plain_server, look):
    uri = plain_server.uri("postgres", user="plain", password="plain-password")

    fits, message = look(TrempySourceHook, uri)

    assert not fits
    for words in (
        "wal_level is replica; capturing changes needs logical",
        "alter system set wal_level = logical",
        "the role plain may not replicate",
        "alter role plain replication",
        "max_replication_slots",
    ):
        assert words in message


def test_right_that_a_target_lacks_is_said_with_the_remedy(plain_server, look):
    uri = plain_server.uri("postgres", user="plain", password="plain-password")

    fits, message = look(TrempyTargetHook, uri)

    assert not fits
    assert "the role plain may not create the metadata schema trempy" in message
    assert "grant create on database postgres to plain" in message


@pytest.mark.parametrize("hook", [TrempySourceHook, TrempyTargetHook])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"port": 1}, "127.0.0.1:1"),
        ({"schema": "no_such_database"}, 'database "no_such_database" does not exist'),
        ({"login": "nobody"}, "password authentication failed"),
        ({"extra": {"sslmode": "require"}}, "SSL"),
    ],
    ids=["port", "database", "role", "no TLS"],
)
def test_server_that_cannot_be_reached_is_said(databases, look, hook, changed, words):
    uri = databases.source_uri if hook is TrempySourceHook else databases.target_uri

    fits, message = look(hook, uri, **changed)

    assert not fits
    assert words in message


def test_virtual_host_that_refuses_the_user_is_named(rabbitmqctl, rabbitmq_uri, look):
    host = f"closed_{secrets.token_hex(4)}"
    rabbitmqctl("add_vhost", host)
    rabbitmqctl("clear_permissions", "-p", host, urlsplit(rabbitmq_uri).username)

    fits, message = look(RabbitMQHook, rabbitmq_uri, schema=host)

    rabbitmqctl("delete_vhost", host)
    assert not fits
    assert f"'{host}'" in message
    assert "permissions" in message


def test_broker_that_cannot_be_reached_is_said(rabbitmq_uri, look):
    fits, message = look(RabbitMQHook, rabbitmq_uri, port=1)

    assert not fits
    assert "127.0.0.1:1" in message

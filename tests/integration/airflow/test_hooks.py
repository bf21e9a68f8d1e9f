import json
from urllib.parse import urlsplit

import pytest
from airflow.sdk import Connection

from trempy_provider.errors import ConfigurationError
from trempy_provider.hooks import connections
from trempy_provider.hooks.postgres import (
    TrempySourceHook,
    TrempyTargetHook,
    open_endpoint,
    read_parameters,
)
from trempy_provider.hooks.rabbitmq import RabbitMQHook, queue_url


@pytest.fixture(autouse=True)
def _no_second_look(monkeypatch):
    monkeypatch.setattr(connections, "RETRY_SECONDS", ())


def _set(monkeypatch, **fields):
    monkeypatch.setenv("AIRFLOW_CONN_TESTED", json.dumps(fields))


def _fields(uri, **more):
    parts = urlsplit(uri)
    return {
        "conn_type": "postgres",
        "host": parts.hostname,
        "port": parts.port,
        "schema": parts.path.removeprefix("/"),
        "login": parts.username,
        "password": parts.password,
        **more,
    }


def test_source_test_says_yes_to_a_least_privilege_role(databases, monkeypatch):
    _set(monkeypatch, **_fields(databases.source_uri))

    fits, message = TrempySourceHook("tested").test_connection()

    assert fits, message
    assert "can be a source" in message


def test_source_test_names_the_missing_replication_right(databases, monkeypatch):
    _set(monkeypatch, **_fields(databases.source_admin_uri))

    fits, message = TrempySourceHook("tested").test_connection()

    assert not fits
    assert "may not replicate" in message
    assert "replication;" in message


def test_target_test_says_yes_to_a_least_privilege_role(databases, monkeypatch):
    _set(monkeypatch, **_fields(databases.target_uri))

    fits, message = TrempyTargetHook("tested").test_connection()

    assert fits, message


def test_postgres_test_says_that_the_password_is_wrong_without_showing_it(databases, monkeypatch):
    _set(monkeypatch, **_fields(databases.source_uri, password="not-the-password"))

    fits, message = TrempySourceHook("tested").test_connection()

    assert not fits
    assert "password authentication failed" in message
    assert "not-the-password" not in message


def test_extras_are_read_by_name_and_others_refused(databases, monkeypatch):
    _set(
        monkeypatch,
        **_fields(databases.source_uri, extra={"sslmode": "prefer", "cursor": "dictcursor", "sslkey": ""}),
    )
    assert read_parameters("tested").options == {"sslmode": "prefer"}

    _set(monkeypatch, **_fields(databases.source_uri, extra={"sslmod": "prefer"}))
    with pytest.raises(ConfigurationError, match="'sslmod'"):
        read_parameters("tested")


def test_a_salt_is_the_password_of_any_connection(monkeypatch):
    _set(monkeypatch, conn_type="generic", password="pepper")

    source = open_endpoint("trempy_source", task_name="t", role="source")

    assert source.read_salt("tested") == "pepper"
    with pytest.raises(ConfigurationError, match="'nowhere' is not defined"):
        source.read_salt("nowhere")


def test_missing_connection_is_named():
    with pytest.raises(ConfigurationError, match="connection 'nowhere' is not defined"):
        read_parameters("nowhere")


def test_rabbitmq_test_says_yes(rabbitmq_uri, monkeypatch):
    _set(monkeypatch, **_rabbitmq(rabbitmq_uri))

    fits, message = RabbitMQHook("tested").test_connection()

    assert fits, message
    assert "RabbitMQ" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "no_such_host"}, "no_such_host"),
        ({"password": "wrong"}, "refused"),
        ({"extra": {"heartbeat_seconds": "soon"}}, "heartbeat_seconds"),
        ({"extra": {"ca_file": "/nowhere"}}, "needs TLS"),
        ({"extra": {"vhost": "/"}}, "'vhost'"),
    ],
)
def test_rabbitmq_test_says_what_is_wrong(rabbitmq_uri, monkeypatch, change, words):
    _set(monkeypatch, **{**_rabbitmq(rabbitmq_uri), **change})

    fits, message = RabbitMQHook("tested").test_connection()

    assert not fits
    assert words in message


def test_queue_url_names_the_virtual_host_and_the_queue(monkeypatch):
    _set(
        monkeypatch,
        conn_type="rabbitmq",
        host="h",
        schema="a/b",
        extra={"management_url": "https://h:15671/"},
    )

    url = queue_url(RabbitMQHook("tested").parameters(), "shop")

    assert url == "https://h:15671/#/queues/a%2Fb/trempy_queue_shop"


def test_connection_of_the_types_own_form_reaches_the_hook(rabbitmq_uri):
    connection = Connection(conn_id="typed", **_rabbitmq(rabbitmq_uri, as_text=True))

    assert connection.test_connection()[0]


def _rabbitmq(uri, *, as_text=False):
    parts = urlsplit(uri)
    extra = {"tls": False, "heartbeat_seconds": 30, "management_url": None}
    return {
        "conn_type": "rabbitmq",
        "host": parts.hostname,
        "port": parts.port,
        "schema": "/",
        "login": parts.username,
        "password": parts.password,
        "extra": json.dumps(extra) if as_text else extra,
    }

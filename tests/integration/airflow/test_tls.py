"""A `rabbitmq` connection with TLS, against a RabbitMQ that asks for a client's certificate."""

import asyncio
import json
import secrets
from urllib.parse import urlsplit

import pytest
from airflow.sdk.exceptions import TaskDeferred
from pika import BlockingConnection, URLParameters

from sandbox.ports import free_port
from tests.support.certificates import Authority
from trempy_provider.hooks import connections as connections_module
from trempy_provider.hooks.rabbitmq import RabbitMQHook
from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.capture import TrempyCaptureOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.setup import TrempySetupOperator
from trempy_provider.operators.teardown import TrempyTeardownOperator
from trempy_provider.triggers.rabbitmq import RabbitMQQueueTrigger

SERVER, CLIENT = "broker.test", "airflow.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority.make(tmp_path_factory.mktemp("authority"))
    authority.sign(SERVER)
    authority.sign(CLIENT)
    return authority


@pytest.fixture(scope="module")
def tls_port(authority, rabbitmqctl):
    """Open a port that admits only clients whose certificate the authority has signed; it ends with the broker."""
    port = free_port()
    options = (
        f'[{{cacertfile, "{authority.ca_file}"}}, {{certfile, "{authority.certificate_file(SERVER)}"}},'
        f' {{keyfile, "{authority.key_file(SERVER)}"}}, {{verify, verify_peer}},'
        " {fail_if_no_peer_cert, true}]"
    )
    rabbitmqctl("eval", f"rabbit_networking:start_ssl_listener({port}, {options}, 1).")
    return port


@pytest.fixture
def connection(authority, tls_port, rabbitmq_uri, monkeypatch):
    """Return a function that keeps the Airflow connection with some extras changed; None removes one."""
    monkeypatch.setattr(connections_module, "RETRY_SECONDS", ())
    parts = urlsplit(rabbitmq_uri)
    right = {
        "tls": True,
        "ca_file": str(authority.ca_file),
        "certificate_file": str(authority.certificate_file(CLIENT)),
        "key_file": str(authority.key_file(CLIENT)),
        "server_name": SERVER,
        "heartbeat_seconds": 7,
        "connection_timeout_seconds": 9,
    }

    def keep(**changed):
        fields = {
            "conn_type": "rabbitmq",
            "host": "127.0.0.1",
            "port": tls_port,
            "login": parts.username,
            "password": parts.password,
            "schema": "/",
            "extra": right | changed,
        }
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_BROKER", json.dumps(fields))

    return keep


def look():
    return RabbitMQHook("trempy_broker").test_connection()


def test_server_is_verified_and_the_client_shows_its_certificate(connection):
    connection()

    fits, message = look()

    assert fits, message
    parameters = RabbitMQHook("trempy_broker").parameters()
    assert (parameters.heartbeat_seconds, parameters.connection_timeout_seconds) == (7, 9.0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"certificate_file": None, "key_file": None}, "asks for a client's certificate"),
        ({"ca_file": None}, "certificate verify failed"),
        ({"server_name": "elsewhere.test"}, "elsewhere.test"),
        ({"server_name": None}, "127.0.0.1"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file"),
        ({"certificate_file": None}, "without certificate_file"),
        (
            {"tls": False, "ca_file": None, "certificate_file": None, "key_file": None, "server_name": None},
            "",
        ),
    ],
    ids=["no client", "unknown authority", "other name", "address", "no file", "key alone", "no TLS"],
)
def test_what_is_wrong_with_tls_is_said(connection, rabbitmq_uri, changed, words):
    connection(**changed)

    fits, message = look()

    assert not fits
    assert words in message
    assert urlsplit(rabbitmq_uri).password not in message


def test_messages_of_a_queue_are_read_through_tls(connection, rabbitmq_uri):
    name = f"events_{secrets.token_hex(4)}"
    with BlockingConnection(URLParameters(rabbitmq_uri)) as plain:
        channel = plain.channel()
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", name, b"in secret")
        connection()

        async def first_event():
            events = RabbitMQQueueTrigger(queue_name=name, rabbitmq_conn_id="trempy_broker").run()
            event = await asyncio.wait_for(anext(events), 20)
            await events.aclose()
            return event.payload

        assert asyncio.run(first_event())["body"] == "in secret"
        channel.queue_delete(name)


def test_whole_task_goes_through_tls(connections, connection, settings):
    connections.source_admin.execute("create table public.orders (id bigint primary key)")
    connection()

    def run(operator):
        return operator(task_id="tested", settings=settings).execute({})

    run(TrempySetupOperator)
    run(TrempyFullLoadOperator)
    connections.source_admin.execute("insert into public.orders select generate_series(1, 1000)")
    for operator in (TrempyCaptureOperator, TrempyApplyOperator):
        with pytest.raises(TaskDeferred):
            run(operator)

    assert connections.target.fetch_value("select count(*) from public.orders") == 1000
    run(TrempyTeardownOperator)

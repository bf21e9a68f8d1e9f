"""Airflow's AIRFLOW_CONN_… variables, in both forms."""

import json

import pytest

from trempy_provider.broker.parameters import RabbitMqParameters, TlsParameters
from trempy_provider.cli.airflow_connection import AirflowConnection
from trempy_provider.cli.connections import Connections
from trempy_provider.config.loader import load_task
from trempy_provider.errors import ConfigurationError
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint

VARIABLE = "AIRFLOW_CONN_SHOP"
POSTGRES = ConnectionParameters(
    host="db.example",
    port=5433,
    dbname="shop",
    user="joe",
    password="p@ss/w%",
    options={"sslmode": "require"},
)
RABBITMQ = RabbitMqParameters(
    host="mq",
    port=5671,
    virtual_host="/a b",
    login="joe",
    password="p@/:",
    tls=TlsParameters(),
    heartbeat_seconds=30,
)


@pytest.mark.parametrize(
    "text",
    [
        "postgres://joe:p%40ss%2Fw%25@db.example:5433/shop?sslmode=require",
        "trempy-source://joe:p%40ss%2Fw%25@db.example:5433/shop?__extra__=%7B%22sslmode%22%3A%20%22require%22%7D",
        json.dumps(
            {
                "conn_type": "postgres", "host": "db.example", "port": 5433, "schema": "shop",
                "login": "joe", "password": "p@ss/w%", "extra": {"sslmode": "require", "cursor": "dictcursor"},
            }
        ),
        json.dumps(
            {
                "conn_type": "postgres", "host": "db.example", "port": "5433", "schema": "shop",
                "login": "joe", "password": "p@ss/w%", "extra": '{"sslmode": "require"}',
            }
        ),
    ],
)  # fmt: skip
def test_postgres_connection_has_the_same_fields_in_every_form(text):
    assert AirflowConnection.parse(text, variable=VARIABLE).postgres() == POSTGRES


@pytest.mark.parametrize(
    "text",
    [
        "rabbitmq://joe:p%40%2F%3A@mq:5671/%2Fa%20b?tls=true&heartbeat_seconds=30",
        json.dumps(
            {
                "conn_type": "rabbitmq", "host": "mq", "port": 5671, "schema": "/a b", "login": "joe",
                "password": "p@/:", "extra": {"tls": True, "heartbeat_seconds": 30},
            }
        ),
    ],
)  # fmt: skip
def test_rabbitmq_connection_has_the_same_fields_in_every_form(text):
    assert AirflowConnection.parse(text, variable=VARIABLE).rabbitmq() == RABBITMQ


def test_rabbitmq_connection_has_defaults():
    connection = AirflowConnection.parse("rabbitmq://mq", variable=VARIABLE)

    assert connection.rabbitmq() == RabbitMqParameters(host="mq")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"host": "secret', "is not JSON"),
        ('{"hots": "secret"}', "'hots'"),
        ('{"host": "x", "port": "secret"}', "port"),
        ('{"host": "x", "extra": "[1]"}', "expected"),
        ("postgres://joe:secret@host:port/db", "URI"),
        ("just-secret", "URI"),
    ],
)
def test_wrong_connection_names_the_variable_and_not_its_text(text, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        AirflowConnection.parse(text, variable=VARIABLE)

    assert VARIABLE in str(caught.value)
    assert "secret" not in str(caught.value)


def test_extra_that_is_not_supported_is_refused():
    connection = AirflowConnection.parse("postgres://host/db?iam=true", variable=VARIABLE)

    with pytest.raises(ConfigurationError, match="'iam' is not supported"):
        connection.postgres()


def test_command_line_counts_before_trempys_variable_before_airflows():
    settings = {
        "task": {"task_name": "t", "source_conn_id": "shop"},
        "tables": [{"schema_name": "p", "table_name": "t"}],
    }
    task = load_task(settings, origin="test")
    environment = {VARIABLE: "postgres://airflow/db"}

    def host(**given: str) -> str | None:
        return Connections(task, given=given, environment=environment).source.parameters().host

    assert host() == "airflow"
    environment["TREMPY_SOURCE"] = "postgresql://environment/db"
    assert host() == "environment"
    assert host(source="postgresql://given/db") == "given"


def test_metadata_database_is_given_in_the_same_ways_where_the_settings_name_one():
    settings = {"task": {"task_name": "t"}, "tables": [{"schema_name": "p", "table_name": "t"}]}
    environment = {"TREMPY_TARGET": "postgresql://target/db", "TREMPY_METADATA": "postgresql://other/db"}

    def target(**given: str) -> Endpoint:
        task = load_task(settings, origin="test")
        return Connections(task, given=given, environment=environment).target

    together = target()
    assert together.metadata is together
    with pytest.raises(ConfigurationError, match="--metadata is given"):
        target(metadata="postgresql://given/db")
    settings["task"]["metadata_conn_id"] = "shop"
    assert target().metadata.parameters().host == "other"
    assert target(metadata="postgresql://given/db").metadata.parameters().host == "given"
    del environment["TREMPY_METADATA"]
    with pytest.raises(ConfigurationError, match="no metadata is given") as caught:
        target()
    assert f"TREMPY_METADATA or {VARIABLE}" in caught.value.hint
    environment[VARIABLE] = "postgres://airflow/db"
    assert target().metadata.parameters().host == "airflow"


def test_a_salt_is_trempys_variable_or_the_password_of_airflows_connection():
    settings = {"task": {"task_name": "t"}, "tables": [{"schema_name": "p", "table_name": "t"}]}
    task = load_task(settings, origin="test")
    environment = {"TREMPY_SOURCE": "postgresql://h/db", "AIRFLOW_CONN_PEPPER": "generic://:p%20w@"}
    source = Connections(task, given={}, environment=environment).source

    assert source.read_salt("pepper") == "p w"
    with pytest.raises(ConfigurationError, match="'other' has no password"):
        source.read_salt("other")
    environment["TREMPY_SALT"] = "salt"
    assert source.read_salt("other") == source.read_salt("pepper") == "salt"

"""Declaring, deleting and counting the queues of a task."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from tests.integration.broker.support import make_message, publish_all
from tests.support.wait import wait_until
from trempy_provider.broker.base import QueueDepths
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.errors import TopologyError

RABBITMQ_PAGE = Path(__file__).parents[3] / "docs/rabbitmq.md"


@pytest.fixture
def connection(rabbitmq_uri: str) -> Iterator[pika.BlockingConnection]:
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_uri)) as connection:
        yield connection


def exists(connection: pika.BlockingConnection, kind: str, name: str) -> bool:
    channel: BlockingChannel = connection.channel()
    declare = channel.exchange_declare if kind == "exchange" else channel.queue_declare
    try:
        declare(name, passive=True)
    except ChannelClosedByBroker:
        return False
    channel.close()
    return True


def existing_objects(connection: pika.BlockingConnection, broker: RabbitMqBroker) -> list[str]:
    names = [("exchange", route.exchange) for route in broker.topology.routes]
    names += [("queue", route.queue) for route in broker.topology.routes]
    return [name for kind, name in names if exists(connection, kind, name)]


def test_setup_declares_the_contract(
    broker: RabbitMqBroker, connection: pika.BlockingConnection, task_name: str
) -> None:
    channel = connection.channel()

    # The broker refuses to declare what exists with other properties.
    channel.exchange_declare(f"trempy_exchange_{task_name}", "direct", durable=True)
    channel.exchange_declare(f"trempy_dlx_exchange_{task_name}", "direct", durable=True)
    channel.queue_declare(
        f"trempy_queue_{task_name}",
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": f"trempy_dlx_exchange_{task_name}",
            "x-dead-letter-routing-key": f"dlx.{task_name}",
            "x-delivery-limit": 3,
            "x-single-active-consumer": True,
        },
    )
    channel.queue_declare(f"dlx_queue_{task_name}", durable=True, arguments={"x-queue-type": "quorum"})
    channel.confirm_delivery()
    for route in broker.topology.routes:
        channel.basic_publish(route.exchange, route.routing_key, b"", mandatory=True)

    assert broker.depths() == QueueDepths(ready=1, unacknowledged=None, dead_letters=1)


def test_setup_twice_changes_nothing(broker: RabbitMqBroker) -> None:
    publisher = broker.open_publisher()
    publish_all(publisher, range(3))
    publisher.close()

    broker.declare_topology()

    assert broker.depths().ready == 3


def test_setup_completes_what_exists_in_part(
    broker: RabbitMqBroker, connection: pika.BlockingConnection
) -> None:
    connection.channel().queue_delete(broker.topology.main.queue)

    broker.declare_topology()

    publisher = broker.open_publisher()
    publish_all(publisher, range(1))
    publisher.close()


def test_teardown_leaves_nothing(broker: RabbitMqBroker, connection: pika.BlockingConnection) -> None:
    publisher = broker.open_publisher()
    publish_all(publisher, range(3))
    publisher.close()
    before = existing_objects(connection, broker)

    broker.delete_topology()

    assert len(before) == 4
    assert existing_objects(connection, broker) == []


def test_teardown_of_nothing_is_no_error(undeclared_broker: RabbitMqBroker) -> None:
    undeclared_broker.delete_topology()
    undeclared_broker.delete_topology()


def test_purge_empties_both_queues(broker: RabbitMqBroker) -> None:
    publisher = broker.open_publisher()
    publish_all(publisher, range(3))
    publisher.close()
    broker.add_dead_letter(make_message(3))
    wait_until(lambda: broker.depths() == QueueDepths(ready=3, unacknowledged=None, dead_letters=1))

    broker.purge()

    assert broker.depths() == QueueDepths(ready=0, unacknowledged=None, dead_letters=0)


def test_queue_declared_otherwise_is_refused_by_name_and_left_alone(
    undeclared_broker: RabbitMqBroker, connection: pika.BlockingConnection
) -> None:
    queue = undeclared_broker.topology.main.queue
    channel = connection.channel()
    channel.queue_declare(queue, durable=True)
    channel.confirm_delivery()
    channel.basic_publish("", queue, make_message(1).body)

    for refused in (undeclared_broker.check, undeclared_broker.declare_topology):
        with pytest.raises(TopologyError, match=f"406 PRECONDITION_FAILED.*{queue}"):
            refused()

    assert channel.queue_declare(queue, passive=True).method.message_count == 1


def test_exchange_declared_otherwise_is_refused_by_name(
    undeclared_broker: RabbitMqBroker, connection: pika.BlockingConnection
) -> None:
    exchange = undeclared_broker.topology.main.exchange
    connection.channel().exchange_declare(exchange, "fanout", durable=True)

    with pytest.raises(TopologyError, match=f"'type' for exchange '{exchange}'"):
        undeclared_broker.check()


@pytest.mark.parametrize("action", ["depths", "purge"])
def test_missing_queue_is_named(undeclared_broker: RabbitMqBroker, action: str) -> None:
    with pytest.raises(TopologyError, match=r"404 NOT_FOUND - no queue '(trempy|dlx)_queue_"):
        getattr(undeclared_broker, action)()


def test_documented_policy_reaches_the_dead_letter_queue_alone(
    broker: RabbitMqBroker, rabbitmqctl: Callable[..., str]
) -> None:
    """From RabbitMQ 4 on, a queue of dead letters drops what was looked at too often."""
    (documented,) = re.findall(r"^rabbitmqctl (set_policy .+)$", RABBITMQ_PAGE.read_text(), re.MULTILINE)
    command = ["/" if word == "trempy" else word for word in shlex.split(documented)]

    rabbitmqctl(*command)
    try:
        listed = rabbitmqctl("list_queues", "--silent", "name", "policy")
    finally:
        rabbitmqctl("clear_policy", "trempy-dead-letters")

    policies = dict(line.split("\t") for line in listed.splitlines() if "\t" in line)
    assert policies[broker.topology.dead_letters.queue] == "trempy-dead-letters"
    assert policies[broker.topology.main.queue] == ""

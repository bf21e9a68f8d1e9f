"""Publishing with confirms in a window."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.integration.broker.support import make_message, publish_all
from tests.support.proxy import Proxy
from tests.support.wait import wait_until
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.publisher import RabbitMqPublisher
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.errors import (
    BrokerError,
    BrokerUnavailableError,
    ConfigurationError,
    PublishError,
    RetryPolicy,
    StoppedError,
    TopologyError,
)

RabbitMqCtl = Callable[..., str]
FOREVER_SECONDS = 20


@pytest.fixture
def admin(rabbitmq_uri: str) -> Iterator[BlockingChannel]:
    """Open a channel of plain pika, to look and meddle from the side."""
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_uri))
    yield connection.channel()
    if connection.is_open:
        connection.close()


def test_message_arrives_persistent_with_its_properties(
    broker: RabbitMqBroker, admin: BlockingChannel
) -> None:
    publisher = broker.open_publisher()

    publish_all(publisher, range(1, 2))

    publisher.close()
    _, properties, body = next(admin.consume(broker.topology.main.queue))
    assert body == b"batch 1"
    assert properties.delivery_mode == 2
    assert properties.content_type == "application/json"
    assert properties.message_id == "message-1"
    assert properties.headers == {"task_name": "test", "sequence": 1}


def test_messages_keep_their_order_and_the_token_follows(
    broker: RabbitMqBroker, admin: BlockingChannel
) -> None:
    publisher = broker.open_publisher(window=8)

    before = publisher.confirmed()
    publish_all(publisher, range(1, 101))

    assert before is None
    assert publisher.confirmed() == 100
    assert publisher.unconfirmed_count() == 0
    publisher.close()
    bodies = [body for _, _, body in islice(admin.consume(broker.topology.main.queue), 100)]
    assert bodies == [f"batch {number}".encode() for number in range(1, 101)]


def test_window_is_in_flight_before_the_first_confirm_is_awaited(
    broker: RabbitMqBroker, broker_through_proxy: RabbitMqBroker, proxy: Proxy
) -> None:
    publisher = broker_through_proxy.open_publisher(window=16)
    proxy.hold_answers()

    for number in range(1, 17):
        publisher.publish(make_message(number))

    wait_until(lambda: broker.depths().ready == 16)
    assert publisher.unconfirmed_count() == 16
    assert publisher.confirmed() is None
    assert not publisher.wait_for_room(timeout_seconds=0)
    proxy.release_answers()
    assert publisher.wait_for_room(timeout_seconds=FOREVER_SECONDS)
    assert publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
    assert publisher.confirmed() == 16
    publisher.close()


def test_window_is_bounded_in_bytes_too(broker_through_proxy: RabbitMqBroker, proxy: Proxy) -> None:
    publisher = broker_through_proxy.open_publisher(window=16, window_bytes=1000)
    proxy.hold_answers()

    publisher.publish(make_message(1, size_bytes=600))
    has_room_after_one = publisher.wait_for_room(timeout_seconds=0)
    publisher.publish(make_message(2, size_bytes=600))

    assert has_room_after_one
    assert not publisher.wait_for_room(timeout_seconds=0)
    proxy.release_answers()
    assert publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
    publisher.close()


def test_message_larger_than_the_window_is_published_alone(broker: RabbitMqBroker) -> None:
    publisher = broker.open_publisher(window_bytes=10)

    publisher.publish(make_message(1, size_bytes=1000))
    publisher.publish(make_message(2, size_bytes=1000))

    assert publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
    publisher.close()


def test_publish_that_waits_for_room_can_be_stopped(
    broker_through_proxy: RabbitMqBroker, proxy: Proxy
) -> None:
    publisher = broker_through_proxy.open_publisher(window=1)
    proxy.hold_answers()
    publisher.publish(make_message(1))

    with pytest.raises(StoppedError):
        publisher.publish(make_message(2), stop=lambda: True)

    assert publisher.unconfirmed_count() == 1
    publisher.close()


def test_window_of_zero_is_refused(broker: RabbitMqBroker) -> None:
    with pytest.raises(ConfigurationError, match="window is 0"):
        broker.open_publisher(window=0)


def test_unroutable_message_is_an_error_at_the_next_call(
    broker: RabbitMqBroker, admin: BlockingChannel
) -> None:
    publisher = broker.open_publisher()
    route = broker.topology.main
    admin.queue_unbind(route.queue, route.exchange, route.routing_key)

    publisher.publish(make_message(1))

    with pytest.raises(PublishError, match="312 NO_ROUTE") as caught:
        publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
    assert caught.value.policy is RetryPolicy.BY_ITSELF
    with pytest.raises(PublishError):
        publisher.confirmed()
    with pytest.raises(PublishError):
        publisher.publish(make_message(2))
    publisher.close()


def test_queue_deleted_under_a_publisher_is_an_error_and_then_named(
    broker: RabbitMqBroker, admin: BlockingChannel
) -> None:
    publisher = broker.open_publisher()
    publish_all(publisher, range(1, 2))
    admin.queue_delete(broker.topology.main.queue)

    publisher.publish(make_message(2))

    with pytest.raises(PublishError, match="NO_ROUTE"):
        publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
    publisher.close()
    with pytest.raises(TopologyError, match=broker.topology.main.queue) as caught:
        broker.open_publisher()
    assert caught.value.policy is RetryPolicy.AFTER_FIX


def test_exchange_deleted_under_a_publisher_is_named(broker: RabbitMqBroker, admin: BlockingChannel) -> None:
    publisher = broker.open_publisher()
    admin.exchange_delete(broker.topology.main.exchange)

    publisher.publish(make_message(1))

    with pytest.raises(TopologyError, match=f"404 NOT_FOUND - no exchange '{broker.topology.main.exchange}'"):
        publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
    publisher.close()


def test_nack_is_an_error(undeclared_broker: RabbitMqBroker, admin: BlockingChannel) -> None:
    route = undeclared_broker.topology.main
    admin.exchange_declare(route.exchange, "direct", durable=True)
    full = {"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"}
    admin.queue_declare(route.queue, durable=True, arguments=full)
    admin.queue_bind(route.queue, route.exchange, route.routing_key)
    publisher = undeclared_broker.open_publisher()

    def publish_until_refused() -> None:
        for number in range(1, 100):
            publisher.publish(make_message(number))
            publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)

    with pytest.raises(PublishError, match="nack"):
        publish_until_refused()
    publisher.close()


def test_message_larger_than_the_broker_takes_waits_for_a_person(broker: RabbitMqBroker) -> None:
    publisher = broker.open_publisher()

    publisher.publish(make_message(1, size_bytes=128 * 1024 * 1024 + 1))

    with pytest.raises(BrokerError, match="larger than configured max size") as caught:
        publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
    assert caught.value.policy is RetryPolicy.AFTER_FIX
    assert "batch_max_bytes" in caught.value.hint
    publisher.close()


def test_connection_closed_by_an_operator_is_unavailable_at_the_next_call(
    broker: RabbitMqBroker, rabbitmqctl: RabbitMqCtl
) -> None:
    publisher = broker.open_publisher()
    publish_all(publisher, range(1, 4))

    rabbitmqctl("close_all_connections", "test")

    with pytest.raises(BrokerUnavailableError, match="320 CONNECTION_FORCED - test"):
        wait_until(lambda: publisher.unconfirmed_count() < 0)
    publisher.close()


def test_broken_connection_is_unavailable_at_the_next_call(
    broker_through_proxy: RabbitMqBroker, proxy: Proxy
) -> None:
    publisher = broker_through_proxy.open_publisher()
    proxy.hold_answers()
    publisher.publish(make_message(1))

    proxy.cut()

    with pytest.raises(BrokerUnavailableError):
        publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
    publisher.close()


def test_broker_that_fell_silent_is_unavailable(broker_through_proxy: RabbitMqBroker, proxy: Proxy) -> None:
    publisher = broker_through_proxy.open_publisher()
    proxy.hold_answers()

    publisher.publish(make_message(1))

    with pytest.raises(BrokerUnavailableError, match="heartbeat"):
        publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
    publisher.close()


def test_heartbeats_are_answered_while_the_caller_is_busy(
    broker_through_proxy: RabbitMqBroker,
) -> None:
    publisher = broker_through_proxy.open_publisher()

    busy_until = time.monotonic() + 4
    while time.monotonic() < busy_until:
        sum(range(10_000))

    publish_all(publisher, range(1, 2))
    publisher.close()


@contextmanager
def memory_alarm(broker: RabbitMqBroker, rabbitmqctl: RabbitMqCtl) -> Iterator[RabbitMqPublisher]:
    """Raise an alarm, and yield a publisher that it blocks."""
    publisher = broker.open_publisher()

    def publish_one() -> str | None:
        # The broker tells a connection of an alarm when it publishes next.
        with suppress(StoppedError):
            publisher.publish(make_message(1), stop=lambda: True)
        return publisher.blocked_reason()

    rabbitmqctl("set_vm_memory_high_watermark", "0.000001")
    try:
        wait_until(publish_one)
        yield publisher
    finally:
        rabbitmqctl("set_vm_memory_high_watermark", "0.8")
        publisher.close()


def test_memory_alarm_holds_publishing_back_until_it_ends(
    broker: RabbitMqBroker, rabbitmqctl: RabbitMqCtl
) -> None:
    with memory_alarm(broker, rabbitmqctl) as publisher:
        assert not publisher.wait_for_room(timeout_seconds=0.1)
        with pytest.raises(StoppedError):
            publisher.publish(make_message(2), stop=lambda: True)

        rabbitmqctl("set_vm_memory_high_watermark", "0.8")
        publisher.publish(make_message(2))

        assert publisher.wait_confirmed(timeout_seconds=FOREVER_SECONDS)
        assert publisher.blocked_reason() is None


def test_publisher_closes_at_once_while_the_broker_is_blocked(
    broker: RabbitMqBroker, rabbitmqctl: RabbitMqCtl
) -> None:
    with memory_alarm(broker, rabbitmqctl) as publisher:
        started = time.monotonic()
        publisher.close()
        elapsed_seconds = time.monotonic() - started

    assert elapsed_seconds < 1


def test_check_tells_of_a_memory_alarm(
    broker: RabbitMqBroker, parameters: RabbitMqParameters, rabbitmqctl: RabbitMqCtl, task_name: str
) -> None:
    impatient = replace(parameters, connection_timeout_seconds=1)
    with memory_alarm(broker, rabbitmqctl), pytest.raises(BrokerUnavailableError, match="alarm"):
        RabbitMqBroker(lambda: impatient, task_name=task_name).check()


def test_closed_publisher_takes_nothing_and_leaves_no_thread(broker: RabbitMqBroker) -> None:
    publisher = broker.open_publisher()

    publisher.close()
    publisher.close()

    with pytest.raises(BrokerError, match="closed on this side"):
        publisher.publish(make_message(1))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("trempy/")]

"""Reading the queue: order, attempts, one at a time."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.integration.broker.support import make_message, publish_all
from tests.support.proxy import Proxy
from tests.support.wait import wait_until
from trempy_provider.broker.base import Delivery, OutgoingMessage
from trempy_provider.broker.consumer import RabbitMqConsumer
from trempy_provider.broker.publisher import RabbitMqPublisher
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.errors import BrokerError, BrokerUnavailableError, ConfigurationError, TopologyError

SOON_SECONDS = 10
NOTHING_SECONDS = 0.3


@pytest.fixture
def publisher(broker: RabbitMqBroker) -> Iterator[RabbitMqPublisher]:
    publisher = broker.open_publisher()
    yield publisher
    publisher.close()


@pytest.fixture
def consumer(broker: RabbitMqBroker) -> Iterator[RabbitMqConsumer]:
    consumer = broker.open_consumer()
    yield consumer
    consumer.close()


def get(consumer: RabbitMqConsumer) -> Delivery:
    delivery = consumer.get(timeout_seconds=SOON_SECONDS)
    assert delivery is not None
    return delivery


def number_of(delivery: Delivery) -> object:
    return delivery.headers["sequence"]


def test_message_without_a_name_is_named_after_its_content(
    broker: RabbitMqBroker, publisher: RabbitMqPublisher, consumer: RabbitMqConsumer
) -> None:
    for body in (b"one", b"one", b"two"):
        publisher.publish(OutgoingMessage(body, "", {}))

    names = []
    for _ in range(3):
        delivery = get(consumer)
        names.append(delivery.message_id)
        consumer.ack(delivery)

    assert names[0] == names[1] != names[2]
    assert all(name.startswith("unnamed-") for name in names)


def test_nothing_to_read_is_none_when_the_time_is_over(consumer: RabbitMqConsumer) -> None:
    assert consumer.get(timeout_seconds=0.05) is None


def test_delivery_carries_what_was_published(
    publisher: RabbitMqPublisher, consumer: RabbitMqConsumer
) -> None:
    publisher.publish(make_message(7))

    delivery = get(consumer)

    assert delivery.body == b"batch 7"
    assert delivery.message_id == "message-7"
    assert delivery.headers == {"task_name": "test", "sequence": 7}
    assert (delivery.attempt, delivery.redelivered) == (1, False)


def test_reader_that_waits_is_woken_by_a_message(
    publisher: RabbitMqPublisher, consumer: RabbitMqConsumer
) -> None:
    waits = []
    for number in range(20):
        started = time.perf_counter()
        publisher.publish(make_message(number))
        consumer.ack(get(consumer))
        waits.append(time.perf_counter() - started)

    assert sorted(waits)[10] < 0.05


def test_large_message_arrives_whole(publisher: RabbitMqPublisher, consumer: RabbitMqConsumer) -> None:
    message = make_message(1, size_bytes=40 * 1024 * 1024)

    publisher.publish(message)

    delivery = consumer.get(timeout_seconds=60)
    assert delivery is not None
    assert delivery.body == message.body
    consumer.ack(delivery)


def test_acknowledged_messages_are_gone_and_the_others_come_again(
    broker: RabbitMqBroker, publisher: RabbitMqPublisher
) -> None:
    publish_all(publisher, range(1, 3))
    first = broker.open_consumer()
    first.ack(get(first))
    get(first)

    first.close()

    second = broker.open_consumer()
    delivery = get(second)
    assert number_of(delivery) == 2
    assert (delivery.attempt, delivery.redelivered) == (2, True)
    second.ack(delivery)
    assert second.get(timeout_seconds=NOTHING_SECONDS) is None
    second.close()


def test_acknowledgement_just_before_close_counts(
    broker: RabbitMqBroker, publisher: RabbitMqPublisher
) -> None:
    publish_all(publisher, range(8))
    consumer = broker.open_consumer(prefetch_count=8)
    for delivery in [get(consumer) for _ in range(8)]:
        consumer.ack(delivery)

    consumer.close()

    after = broker.open_consumer()
    assert after.get(timeout_seconds=NOTHING_SECONDS) is None
    after.close()


def test_message_that_kills_its_readers_goes_to_the_dead_letter_queue(
    broker: RabbitMqBroker,
    broker_through_proxy: RabbitMqBroker,
    publisher: RabbitMqPublisher,
    proxy: Proxy,
) -> None:
    publish_all(publisher, range(1, 2))

    attempts = []
    for _ in range(4):
        consumer = broker_through_proxy.open_consumer()
        attempts.append(get(consumer).attempt)
        proxy.cut()
        consumer.close()

    assert attempts == [1, 2, 3, 4]
    wait_until(lambda: broker.depths().dead_letters == 1)
    (dead_letter,) = broker.read_dead_letters()
    assert dead_letter.headers["x-first-death-reason"] == "delivery_limit"


def read_numbers(consumer: RabbitMqConsumer, count: int) -> list[object]:
    """Acknowledge so many messages and return their numbers."""
    numbers = []
    for _ in range(count):
        delivery = get(consumer)
        numbers.append(number_of(delivery))
        consumer.ack(delivery)
    return numbers


@pytest.mark.parametrize("prefetch_count", [1, 8])
def test_order_survives_the_hand_over_to_a_waiting_consumer(
    broker: RabbitMqBroker, publisher: RabbitMqPublisher, prefetch_count: int
) -> None:
    publish_all(publisher, range(1, 21))
    first = broker.open_consumer(prefetch_count=prefetch_count)
    second = broker.open_consumer(prefetch_count=prefetch_count)
    first.ack(get(first))
    get(first)

    first.close()

    assert read_numbers(second, 19) == list(range(2, 21))
    second.close()


@pytest.mark.parametrize("prefetch_count", [1, 8])
def test_order_survives_a_broken_connection(
    broker: RabbitMqBroker,
    broker_through_proxy: RabbitMqBroker,
    publisher: RabbitMqPublisher,
    proxy: Proxy,
    prefetch_count: int,
) -> None:
    publish_all(publisher, range(1, 21))
    first = broker_through_proxy.open_consumer(prefetch_count=prefetch_count)
    second = broker.open_consumer(prefetch_count=prefetch_count)
    for _ in range(3):
        get(first)
        if prefetch_count == 1:
            break

    proxy.cut()

    assert read_numbers(second, 20) == list(range(1, 21))
    first.close()
    second.close()


def test_second_consumer_waits_until_the_first_closes(
    broker: RabbitMqBroker, publisher: RabbitMqPublisher
) -> None:
    first, second = broker.open_consumer(), broker.open_consumer()

    publish_all(publisher, range(1, 3))

    first.ack(get(first))
    assert second.get(timeout_seconds=NOTHING_SECONDS) is None
    first.close()
    assert number_of(get(second)) == 2
    second.close()


@pytest.mark.parametrize("prefetch_count", [1, 3])
def test_prefetch_bounds_what_is_unacknowledged(
    broker: RabbitMqBroker, publisher: RabbitMqPublisher, prefetch_count: int
) -> None:
    publish_all(publisher, range(1, 6))
    consumer = broker.open_consumer(prefetch_count=prefetch_count)

    held = [get(consumer) for _ in range(prefetch_count)]

    assert consumer.get(timeout_seconds=NOTHING_SECONDS) is None
    consumer.ack(held[0])
    assert number_of(get(consumer)) == prefetch_count + 1
    consumer.close()


def test_prefetch_of_zero_means_unbounded_in_amqp_and_is_refused(broker: RabbitMqBroker) -> None:
    with pytest.raises(ConfigurationError, match="prefetch_count is 0"):
        broker.open_consumer(prefetch_count=0)


def test_delivery_of_another_consumer_is_refused(
    broker: RabbitMqBroker, publisher: RabbitMqPublisher
) -> None:
    publish_all(publisher, range(1, 3))
    first = broker.open_consumer()
    stale = get(first)
    first.close()
    second = broker.open_consumer()
    get(second)

    with pytest.raises(BrokerError, match="not one this consumer"):
        second.ack(stale)

    second.close()


def test_delivery_is_acknowledged_once(publisher: RabbitMqPublisher, consumer: RabbitMqConsumer) -> None:
    publish_all(publisher, range(1, 2))
    delivery = get(consumer)
    consumer.ack(delivery)

    with pytest.raises(BrokerError, match="not one this consumer"):
        consumer.ack(delivery)


def test_broken_connection_is_unavailable_at_the_next_call(
    broker_through_proxy: RabbitMqBroker, publisher: RabbitMqPublisher, proxy: Proxy
) -> None:
    publish_all(publisher, range(1, 2))
    consumer = broker_through_proxy.open_consumer()
    delivery = get(consumer)

    proxy.cut()

    with pytest.raises(BrokerUnavailableError):
        consumer.get(timeout_seconds=SOON_SECONDS)
    with pytest.raises(BrokerUnavailableError):
        consumer.ack(delivery)
    consumer.close()


def test_connection_closed_by_an_operator_is_unavailable_at_the_next_call(
    consumer: RabbitMqConsumer, rabbitmqctl: Callable[..., str]
) -> None:
    rabbitmqctl("close_all_connections", "test")

    with pytest.raises(BrokerUnavailableError, match="320 CONNECTION_FORCED - test"):
        consumer.get(timeout_seconds=SOON_SECONDS)


def test_queue_deleted_under_a_consumer_is_named(broker: RabbitMqBroker, consumer: RabbitMqConsumer) -> None:
    broker.delete_topology()

    with pytest.raises(TopologyError, match=f"{broker.topology.main.queue}' was deleted"):
        consumer.get(timeout_seconds=SOON_SECONDS)


def test_missing_queue_is_named(undeclared_broker: RabbitMqBroker) -> None:
    queue = undeclared_broker.topology.main.queue

    with pytest.raises(TopologyError, match=f"404 NOT_FOUND - no queue '{queue}'"):
        undeclared_broker.open_consumer()


def test_heartbeats_are_answered_while_the_caller_is_busy(
    broker_through_proxy: RabbitMqBroker, publisher: RabbitMqPublisher
) -> None:
    publish_all(publisher, range(1, 3))
    consumer = broker_through_proxy.open_consumer()
    delivery = get(consumer)

    busy_until = time.monotonic() + 4
    while time.monotonic() < busy_until:
        sum(range(10_000))

    consumer.ack(delivery)
    assert get(consumer).attempt == 1
    consumer.close()


def test_closed_consumer_gives_nothing(broker: RabbitMqBroker) -> None:
    consumer = broker.open_consumer()

    consumer.close()
    consumer.close()

    with pytest.raises(BrokerError, match="closed on this side"):
        consumer.get(timeout_seconds=0)

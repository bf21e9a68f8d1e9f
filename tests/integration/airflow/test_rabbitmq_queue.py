"""Messages of a RabbitMQ queue become events, and are acknowledged when Airflow has stored those."""

import asyncio
import secrets
import time
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from decimal import Decimal
from urllib.parse import quote

import pytest
from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.providers_manager import ProvidersManager
from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome, SharedStreamManager
from pika import BasicProperties, BlockingConnection, URLParameters

from tests.support.proxy import Proxy
from tests.support.wait import wait_until
from trempy_provider.errors import ConfigurationError
from trempy_provider.hooks import connections as connections_module
from trempy_provider.queues.rabbitmq import RabbitMQMessageQueueProvider
from trempy_provider.triggers import rabbitmq as rabbitmq_module
from trempy_provider.triggers.rabbitmq import RabbitMQQueueTrigger


class Queue:
    """A quorum queue of somebody else, whose rejected messages go to another one."""

    def __init__(self, uri):
        self.name = f'orders "{secrets.token_hex(4)}" <é>'
        self.dead_name = f"{self.name}.dead"
        self._connection = BlockingConnection(URLParameters(uri))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()

    def declare(self):
        self._channel.queue_declare(self.dead_name, durable=True, arguments={"x-queue-type": "quorum"})
        arguments = {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.dead_name,
        }
        self._channel.queue_declare(self.name, durable=True, arguments=arguments)

    def publish(self, *bodies, **properties):
        for body in bodies:
            self._channel.basic_publish("", self.name, body, BasicProperties(**properties))

    def count(self, name=None):
        """Return how many messages are ready; those that somebody holds do not count."""
        return self._channel.queue_declare(name or self.name, passive=True).method.message_count

    def wait_for_count(self, count, name=None):
        wait_until(lambda: self.count(name) == count, what=f"{count} messages in {name or self.name}")

    def delete(self):
        self._channel.queue_delete(self.name)
        self._channel.queue_delete(self.dead_name)
        self._connection.close()


@pytest.fixture
def undeclared(rabbitmq_uri, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BROKER", rabbitmq_uri.replace("amqp://", "rabbitmq://", 1))
    monkeypatch.setattr(connections_module, "RETRY_SECONDS", ())
    monkeypatch.setattr(rabbitmq_module, "FIRST_BACKOFF_SECONDS", 0.2)
    queue = Queue(rabbitmq_uri)
    yield queue
    queue.delete()


@pytest.fixture
def queue(undeclared):
    undeclared.declare()
    return undeclared


def make_trigger(queue, **changes):
    return RabbitMQQueueTrigger(**{"queue_name": queue.name, "rabbitmq_conn_id": "broker", **changes})


class Triggerer:
    """What Airflow's triggerer does with event triggers, with a database that stores when the test says so."""

    def __init__(self):
        self._streams = SharedStreamManager()
        self._running = {}
        self._fired = asyncio.Queue()
        self._unstored = []

    def start(self, *triggers):
        for trigger in triggers:
            number = len(self._running) + 1
            self._running[number] = asyncio.ensure_future(self._run(number, trigger))

    async def _run(self, number, trigger):
        key = trigger.shared_stream_key()
        stream = self._streams.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                self._unstored.append(self._streams.bind_pending_event(trigger_id=number, key=key))
                self._fired.put_nowait((number, event.payload))
        finally:
            await self._streams.unsubscribe(number, key)

    async def take(self, *, seconds=10):
        """Return the number of the trigger and what it has fired."""
        return await asyncio.wait_for(self._fired.get(), seconds)

    async def take_bodies(self, count):
        return [(await self.take())[1]["body"] for _ in range(count)]

    async def store(self):
        """Confirm all events, and let the acknowledgements go out."""
        sequence, self._unstored = self._unstored, []
        self._streams.confirm_persisted(sequence)
        await asyncio.sleep(0.05)

    async def stop(self):
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self._streams.stop_all()


@asynccontextmanager
async def triggerer(*triggers):
    running = Triggerer()
    running.start(*triggers)
    try:
        yield running
    finally:
        await running.stop()


def test_trigger_survives_serialization(queue):
    path, arguments = make_trigger(queue).serialize()

    assert path == "trempy_provider.triggers.rabbitmq.RabbitMQQueueTrigger"
    assert RabbitMQQueueTrigger(**arguments).serialize() == (path, arguments)


def test_message_is_acknowledged_when_its_event_is_stored(queue):
    queue.publish(b'{"order": 1}')

    async def scenario():
        async with triggerer(make_trigger(queue)) as running:
            bodies = await running.take_bodies(1)
            await running.store()
        return bodies

    assert asyncio.run(scenario()) == ['{"order": 1}']
    assert queue.count() == 0


def test_message_whose_event_was_not_stored_is_delivered_again(queue):
    queue.publish(b"stored", b"not stored")

    async def scenario():
        async with triggerer(make_trigger(queue, prefetch_count=1)) as running:
            await running.take()
            await running.store()
            await running.take()
        queue.wait_for_count(1)
        async with triggerer(make_trigger(queue)) as running:
            _, again = await running.take()
            await running.store()
        return again

    again = asyncio.run(scenario())

    assert (again["body"], again["redelivered"], again["attempt"]) == ("not stored", True, 2)
    assert again["headers"] == {"x-delivery-count": 1}
    assert type(again["headers"]["x-delivery-count"]) is int  # the triggerer cannot send other numbers
    assert queue.count() == 0


def test_message_that_nobody_takes_comes_again_after_a_growing_pause(queue):
    queue.publish(b"not taken")

    async def scenario():
        producer = RabbitMQQueueTrigger.create_shared_stream_producer(make_trigger(queue).serialize()[1])
        stream = producer.open_stream()
        message, _ = await anext(stream)
        waits = []
        for _ in range(3):
            handed_back_at = time.monotonic()
            await producer.advance([AdvanceItem(message, AdvanceOutcome(acked=0, failed=1))])
            message, _ = await asyncio.wait_for(anext(stream), 10)
            waits.append(time.monotonic() - handed_back_at)
        await producer.advance([AdvanceItem(message, AdvanceOutcome(acked=0, failed=0))])
        await producer.aclose()
        await stream.aclose()
        return waits

    first, second, third = asyncio.run(scenario())

    assert first >= 0.2
    assert second >= 0.4
    assert third >= 0.8
    queue.wait_for_count(1)  # closing does not wait for the pause


def test_no_more_than_the_prefetch_count_waits_for_the_database(queue):
    queue.publish(*(b"%d" % number for number in range(10)))

    async def scenario():
        async with triggerer(make_trigger(queue, prefetch_count=3)) as running:
            await running.take_bodies(3)
            with pytest.raises(asyncio.TimeoutError):
                await running.take(seconds=0.3)
            await running.store()
            return await running.take_bodies(3)

    assert asyncio.run(scenario()) == ["3", "4", "5"]
    queue.wait_for_count(7)


def test_each_trigger_of_a_queue_fires_for_each_message(queue):
    queue.publish(b"a", b"b")

    async def scenario():
        both = (make_trigger(queue), make_trigger(queue, max_body_bytes=100))
        async with triggerer(*both) as running:
            fired = [await running.take() for _ in range(4)]
            await running.store()
        return sorted((number, payload["body"]) for number, payload in fired)

    assert asyncio.run(scenario()) == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    assert queue.count() == 0


def test_event_tells_everything_of_the_message_in_a_form_that_json_holds(queue):
    moment = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    queue.publish(
        b"\x00\xff",
        content_type="application/octet-stream",
        message_id="m-1",
        correlation_id="c-1",
        timestamp=int(moment.timestamp()),
        headers={"a": Decimal("1.5"), "b": [1, {"c": b"\xff"}], "d": None, "e": moment, "f": "<script>\x00"},
    )

    async def scenario():
        async with triggerer(make_trigger(queue)) as running:
            return (await running.take())[1]

    assert asyncio.run(scenario()) == {
        "queue_name": queue.name,
        "body": "AP8=",
        "body_encoding": "base64",
        "content_type": "application/octet-stream",
        "message_id": "m-1",
        "correlation_id": "c-1",
        "sent_at": "2026-01-31T12:00:00+00:00",
        "exchange": "",
        "routing_key": queue.name,
        "headers": {
            "a": "1.5",
            "b": [1, {"c": "/w=="}],
            "d": None,
            "e": "2026-01-31 12:00:00+00:00",
            "f": "<script>\N{REPLACEMENT CHARACTER}",
        },
        "attempt": 1,
        "redelivered": False,
    }


def test_message_too_large_for_an_event_goes_to_the_dead_letter_exchange(queue):
    queue.publish(b"x" * 101, b"small")

    async def scenario():
        async with triggerer(make_trigger(queue, max_body_bytes=100)) as running:
            bodies = await running.take_bodies(1)
            await running.store()
        return bodies

    assert asyncio.run(scenario()) == ["small"]
    queue.wait_for_count(1, queue.dead_name)
    assert queue.count() == 0


def test_lost_connection_is_opened_again_and_what_was_held_comes_again(queue, rabbitmq_uri, monkeypatch):
    parameters = URLParameters(rabbitmq_uri)
    proxy = Proxy(parameters.host, parameters.port)
    through_proxy = rabbitmq_uri.replace(f":{parameters.port}", f":{proxy.port}")
    monkeypatch.setenv("AIRFLOW_CONN_BROKER", through_proxy.replace("amqp://", "rabbitmq://", 1))
    queue.publish(b"first")

    async def scenario():
        async with triggerer(make_trigger(queue)) as running:
            await running.take()
            proxy.cut()
            again = (await running.take(seconds=20))[1]
            await running.store()
            await asyncio.to_thread(queue.publish, b"second")
            second = await running.take_bodies(1)
            await running.store()
        return again, second

    again, second = asyncio.run(scenario())
    proxy.close()

    assert (again["body"], again["redelivered"]) == ("first", True)
    assert second == ["second"]
    queue.wait_for_count(0)


def test_missing_queue_is_named_with_the_remedy_and_read_once_it_is_there(undeclared, caplog):
    async def scenario():
        async with triggerer(make_trigger(undeclared)) as running:
            await asyncio.to_thread(wait_until, lambda: undeclared.name in caplog.text, what="an error")
            await asyncio.to_thread(undeclared.declare)
            await asyncio.to_thread(undeclared.publish, b"at last")
            return await running.take_bodies(1)

    assert asyncio.run(scenario()) == ["at last"]
    assert "no queue" in caplog.text
    assert "Declare the queue" in caplog.text


def test_run_alone_acknowledges_what_was_taken(queue):
    queue.publish(b"1", b"2", b"x" * 101)

    async def scenario():
        trigger = make_trigger(queue, prefetch_count=1, max_body_bytes=100)
        events = trigger.run()
        bodies = [(await anext(events)).payload["body"], (await anext(events)).payload["body"]]
        await events.aclose()
        return bodies

    assert asyncio.run(scenario()) == ["1", "2"]
    queue.wait_for_count(2)  # the second was not asked on after


def test_event_loop_stays_free_while_messages_come(queue):
    queue.publish(*(b"x" * 100_000 for _ in range(50)))

    async def scenario():
        longest = 0.0
        async with triggerer(make_trigger(queue)) as running:
            for _ in range(50):
                before = time.monotonic()
                await asyncio.sleep(0.02)
                longest = max(longest, time.monotonic() - before - 0.02)
                await running.store()
        return longest

    assert asyncio.run(scenario()) < 0.25


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queue_name": ""}, "queue_name"),
        ({"queue_name": "é" * 128}, "255 bytes"),
        ({"queue_name": "trempy_queue_shop"}, "own queue"),
        ({"queue_name": "dlx_queue_shop"}, "own queue"),
        ({"prefetch_count": 0}, "prefetch_count is 0; expected a whole number from 1"),
        ({"max_body_bytes": "1 MB"}, "max_body_bytes is '1 MB'"),
    ],
)
def test_wrong_arguments_are_refused_where_the_dag_is_written(changes, words):
    with pytest.raises(ConfigurationError, match=words):
        RabbitMQQueueTrigger(**{"queue_name": "orders", **changes})


def test_airflow_finds_the_queue_provider():
    assert (
        "trempy_provider.queues.rabbitmq.RabbitMQMessageQueueProvider" in ProvidersManager().queue_class_names
    )


def test_message_queue_trigger_takes_the_scheme(queue):
    trigger = MessageQueueTrigger(scheme="rabbitmq", queue_name=queue.name, rabbitmq_conn_id="broker")

    assert trigger.serialize() == make_trigger(queue).serialize()


@pytest.mark.filterwarnings("ignore:The `queue` parameter is deprecated")
def test_message_queue_trigger_takes_a_uri(queue):
    trigger = MessageQueueTrigger(queue=f"rabbitmq://broker/{quote(queue.name, safe='')}", prefetch_count=16)

    assert trigger.serialize() == make_trigger(queue).serialize()


def test_uri_names_a_connection_and_a_queue():
    provider = RabbitMQMessageQueueProvider()

    assert provider.queue_matches("rabbitmq://broker/orders")
    assert not provider.queue_matches("kafka://broker/orders")
    assert provider.trigger_kwargs("rabbitmq:///a%2Fb") == {"queue_name": "a/b"}
    assert provider.trigger_kwargs("rabbitmq://one/a", rabbitmq_conn_id="two") == {"queue_name": "a"}


@pytest.mark.parametrize(
    "uri",
    [
        "rabbitmq://guest:secret@host/orders",
        "rabbitmq://host:5672/orders",
        "rabbitmq://broker",
        "rabbitmq://broker/a/b",
        "rabbitmq://broker/a?prefetch=1",
    ],
)
def test_uri_that_says_anything_else_is_refused_without_showing_a_password(uri):
    with pytest.raises(ConfigurationError) as caught:
        RabbitMQMessageQueueProvider().trigger_kwargs(uri)

    assert "secret" not in caught.value.explanation
    assert "rabbitmq://<connection id>/<queue>" in caught.value.explanation

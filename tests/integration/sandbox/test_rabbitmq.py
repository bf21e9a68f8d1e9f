"""The local broker: answers, and leaves nothing behind."""

import pika
import pytest

from sandbox.processes import running_pids
from sandbox.rabbitmq import RabbitMqServer


def test_broker_answers_with_its_password_only(rabbitmq_uri: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_uri)) as connection:
        assert connection.is_open

    wrong = pika.URLParameters(rabbitmq_uri)
    wrong.credentials = pika.PlainCredentials(wrong.credentials.username, "wrong")
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(wrong)


def test_broker_keeps_messages_over_a_restart_and_leaves_nothing() -> None:
    broker = RabbitMqServer()
    broker.start()
    try:
        with pika.BlockingConnection(pika.URLParameters(broker.amqp_uri)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
            channel.basic_publish("", "kept", b"message", pika.BasicProperties(delivery_mode=2))

        broker.restart()

        with pika.BlockingConnection(pika.URLParameters(broker.amqp_uri)) as connection:
            assert connection.channel().basic_get("kept", auto_ack=True)[2] == b"message"
        assert "kept" in broker.ctl("list_queues", "name")
        pids = broker.pids()
    finally:
        broker.remove()

    assert pids
    assert not running_pids(pids)
    assert not broker.directory.exists()

"""The dead-letter queue: what is put there stays until it is removed by name."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from tests.integration.broker.support import make_message
from tests.support.wait import wait_until
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.errors import TopologyError


def put(broker: RabbitMqBroker, *numbers: int) -> None:
    for number in numbers:
        broker.add_dead_letter(make_message(number))
    wait_until(lambda: broker.depths().dead_letters == len(numbers))


def names(broker: RabbitMqBroker) -> list[str]:
    return [letter.message_id for letter in broker.read_dead_letters()]


def test_dead_letter_keeps_body_name_and_headers(broker: RabbitMqBroker) -> None:
    message = make_message(7)
    reason = "value too long for type character varying(8): " + "ä" * 1000

    broker.add_dead_letter(replace(message, headers={**message.headers, "reason": reason}))

    (letter,) = broker.read_dead_letters()
    assert (letter.body, letter.message_id) == (message.body, message.message_id)
    assert letter.headers["reason"] == reason


def test_reading_leaves_all_there_also_when_it_ends_early(broker: RabbitMqBroker) -> None:
    put(broker, 1, 2, 3)

    for _ in range(3):
        with closing(broker.read_dead_letters()) as letters:
            next(letters)
        wait_until(lambda: broker.depths().dead_letters == 3)
        assert sorted(names(broker)) == ["message-1", "message-2", "message-3"]
        wait_until(lambda: broker.depths().dead_letters == 3)


def test_one_is_removed_by_name_however_often_it_is_there(broker: RabbitMqBroker) -> None:
    put(broker, 1, 2, 3, 2)

    assert broker.remove_dead_letter("message-2")
    assert not broker.remove_dead_letter("message-2")

    assert sorted(names(broker)) == ["message-1", "message-3"]


def test_no_dead_letters_are_nothing(broker: RabbitMqBroker) -> None:
    assert names(broker) == []


def test_letter_just_looked_at_is_found_and_removed(broker: RabbitMqBroker) -> None:
    put(broker, 1)

    for _ in range(5):
        assert broker.find_dead_letter("message-1") is not None
    assert broker.remove_dead_letter("message-1")

    assert broker.find_dead_letter("message-1") is None


def test_several_are_found_wherever_they_are_and_stay_there(broker: RabbitMqBroker) -> None:
    put(broker, 1, 2, 3, 2)

    found = broker.find_dead_letters(["message-3", "message-2"])

    assert sorted(found) == ["message-2", "message-3"]
    assert found["message-3"].body == make_message(3).body
    wait_until(lambda: broker.depths().dead_letters == 4)
    assert sorted(broker.find_dead_letters(["message-1", "gone"])) == ["message-1"]


def test_letter_without_a_queue_is_an_error(undeclared_broker: RabbitMqBroker) -> None:
    with pytest.raises(TopologyError, match="404 NOT_FOUND"):
        undeclared_broker.add_dead_letter(make_message(1))

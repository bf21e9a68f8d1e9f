"""Deliveries are taken apart ahead of their turn, in order, and errors reach who applies."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from threading import Event
from typing import Any

import pytest

from tests.support.wait import wait_until
from trempy_provider.broker.base import Delivery
from trempy_provider.errors import BrokerError, WireFormatError
from trempy_provider.jobs.applying.read_ahead import ReadAhead


class Handed:
    """A consumer of given messages; an exception among them is raised."""

    def __init__(self, *messages: bytes | Exception) -> None:
        self._messages = list(messages)
        self.is_read_to_the_end = Event()

    def get(self, *, timeout_seconds: float) -> Delivery | None:
        if not self._messages:
            self.is_read_to_the_end.wait(timeout_seconds)
            self.is_read_to_the_end.set()
            return None
        message = self._messages.pop(0)
        if isinstance(message, Exception):
            raise message
        return Delivery(message, message.decode(), {}, 1, 1, False)


def read(body: bytes) -> Any:
    if body == b"broken":
        raise WireFormatError("it is broken")
    return body.upper()


def taken(ahead: ReadAhead, count: int) -> Iterable[tuple[bytes, object]]:
    for _ in range(count):
        ready = ahead.get(timeout_seconds=5)
        assert ready is not None
        delivery, content = ready
        yield delivery.body, content


def test_deliveries_keep_their_order_and_come_with_what_was_read_of_them():
    with closing(ReadAhead(Handed(b"a", b"broken", b"c"), read)) as ahead:
        assert list(taken(ahead, 3)) == [(b"a", b"A"), (b"broken", None), (b"c", b"C")]
        assert ahead.get(timeout_seconds=0.01) is None


def test_deliveries_are_read_before_anybody_asks_but_no_more_than_two():
    consumer, seen = Handed(b"a", b"b", b"c"), []

    with closing(ReadAhead(consumer, seen.append)) as ahead:
        wait_until(lambda: seen == [b"a", b"b"])
        time.sleep(0.05)
        assert seen == [b"a", b"b"]  # one waits to be taken, one to take its place
        ahead.get(timeout_seconds=5)
        wait_until(lambda: seen == [b"a", b"b", b"c"])


def test_what_the_consumer_raises_is_raised_after_what_came_before_it():
    with closing(ReadAhead(Handed(b"a", BrokerError("the connection is lost")), read)) as ahead:
        assert list(taken(ahead, 1)) == [(b"a", b"A")]
        with pytest.raises(BrokerError, match="lost"):
            ahead.get(timeout_seconds=5)

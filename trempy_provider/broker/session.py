"""A short-lived blocking connection for everything that is not streaming: declare, delete, count, look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pika import BlockingConnection

from trempy_provider.broker.connection import PikaChannel
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.translation import DRIVER_ERRORS, translating


class BrokerSession(BlockingConnection):  # type: ignore[misc]  # pika has no types
    """pika's blocking connection, with a channel for each request and the server's version."""

    @property
    def server_properties(self) -> dict[str, Any]:
        """Return what the broker said of itself in Connection.Start."""
        return dict(self._impl.server_properties or {})

    @contextmanager
    def request(self, doing: str) -> Iterator[PikaChannel]:
        """Open a channel for one request, named by `doing`; the broker closes it when it refuses."""
        with translating(doing):
            channel = self.channel()
            try:
                yield channel
            finally:
                if channel.is_open:
                    channel.close()


@contextmanager
def open_session(parameters: RabbitMqParameters, *, client_name: str) -> Iterator[BrokerSession]:
    """Connect, and close at the end; raises what the broker refuses, by cause."""
    with translating(f"connect to RabbitMQ at {parameters.description}"):
        session = BrokerSession(
            parameters.for_pika(
                client_name=client_name, blocked_timeout_seconds=parameters.connection_timeout_seconds
            )
        )
    try:
        yield session
    finally:
        _close(session)


def _close(session: BrokerSession) -> None:
    """Close the connection; what was asked of it is done or has raised, so its end changes nothing."""
    try:
        if session.is_open:
            session.close()
    except DRIVER_ERRORS:
        return

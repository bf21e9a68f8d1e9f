"""Find out what a broker would refuse, without changing anything on it.

RabbitMQ checks a user's permissions before it looks at the rest of a request.
So a request that is certain to be refused for another reason, or to do nothing, tells whether it is
permitted: an answer of 403 means no, any other means yes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from trempy_provider.broker.connection import PikaChannel
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.session import BrokerSession, open_session
from trempy_provider.broker.topology import Route, Topology, declare_exchange, declare_queue
from trempy_provider.broker.translation import ACCESS_REFUSED, NOT_FOUND, refusal_of
from trempy_provider.errors import BrokerError, BrokerPermissionError

LOWEST_VERSION = (3, 8)
UNBOUND_KEY = "trempy.preflight"
NAME_PATTERN = "^(trempy_.*|dlx_queue_.*)$"


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that needs one permission on one object and has no effect."""

    permission: str
    kind: str
    name: str
    request: Callable[[PikaChannel], object]

    @property
    def description(self) -> str:
        """Name the permission and the object."""
        return f"{self.permission} on {self.kind} {self.name!r}"


def check_server(session: BrokerSession) -> str:
    """Return the broker's name and version; raise BrokerError where it has no quorum queues."""
    product = str(session.server_properties.get("product", "unknown"))
    version = str(session.server_properties.get("version", "unknown"))
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < LOWEST_VERSION:
        raise BrokerError(
            f"the broker is {product} {version}; quorum queues need RabbitMQ 3.8 or later",
            hint="Use a newer RabbitMQ.",
        )
    return f"{product} {version}"


def check_task(parameters: RabbitMqParameters, topology: Topology, *, client_name: str) -> None:
    """Raise what is wrong: the connection, the version, permissions, or an object declared otherwise."""
    with open_session(parameters, client_name=client_name) as session:
        check_server(session)
        missing = [probe for probe in _probes(topology) if not _is_permitted(session, probe)]
        if missing:
            raise _permission_error(missing, parameters)
        for route in topology.routes:
            _check_route(session, route)


def _probes(topology: Topology) -> Iterator[Probe]:
    """Yield what setup, capture and apply need."""
    for route in topology.routes:
        exchange, queue = route.exchange, route.queue
        yield Probe("configure", "exchange", exchange, partial(_declare_bad_exchange, route=route))
        yield Probe("configure", "queue", queue, partial(_declare_bad_queue, route=route))
        yield Probe("write", "exchange", exchange, partial(_publish_nowhere, route=route))
        yield Probe("read", "queue", queue, partial(_consume_badly, route=route))
        # Unbinding needs both, and its refusal names the one that is missing.
        yield Probe("write", "queue", queue, partial(_unbind_nothing, route=route))
        yield Probe("read", "exchange", exchange, partial(_unbind_nothing, route=route))


def _declare_bad_exchange(channel: PikaChannel, *, route: Route) -> None:
    channel.exchange_declare(route.exchange, "direct", durable=True, arguments={"alternate-exchange": 0})


def _declare_bad_queue(channel: PikaChannel, *, route: Route) -> None:
    channel.queue_declare(route.queue, durable=True, arguments={"x-max-length": -1})


def _publish_nowhere(channel: PikaChannel, *, route: Route) -> None:
    channel.confirm_delivery()
    channel.basic_publish(route.exchange, UNBOUND_KEY, b"")


def _consume_badly(channel: PikaChannel, *, route: Route) -> None:
    channel.basic_consume(route.queue, lambda *_: None, arguments={"x-priority": "none"})


def _unbind_nothing(channel: PikaChannel, *, route: Route) -> None:
    channel.queue_unbind(route.queue, route.exchange, UNBOUND_KEY)


def _is_permitted(session: BrokerSession, probe: Probe) -> bool:
    try:
        with session.request(f"find out about {probe.description}") as channel:
            probe.request(channel)
    except BrokerError as error:
        refusal = refusal_of(error.__cause__)
        if refusal is None:
            raise
        return (
            refusal.reply_code != ACCESS_REFUSED or f"{probe.kind} '{probe.name}'" not in refusal.reply_text
        )
    return True


def _permission_error(missing: list[Probe], parameters: RabbitMqParameters) -> BrokerPermissionError:
    names = ", ".join(probe.description for probe in missing)
    return BrokerPermissionError(
        f"user {parameters.login!r} lacks permissions on virtual host {parameters.virtual_host!r}: {names}",
        hint=f"rabbitmqctl set_permissions -p '{parameters.virtual_host}' '{parameters.login}' "
        f"'{NAME_PATTERN}' '{NAME_PATTERN}' '{NAME_PATTERN}'",
    )


def _check_route(session: BrokerSession, route: Route) -> None:
    """Compare what exists with the table: to declare what is equal changes nothing."""
    if _exists(session, lambda channel: channel.exchange_declare(route.exchange, passive=True)):
        with session.request(f"use exchange {route.exchange!r}") as channel:
            declare_exchange(channel, route)
    if _exists(session, lambda channel: channel.queue_declare(route.queue, passive=True)):
        with session.request(f"use queue {route.queue!r}") as channel:
            declare_queue(channel, route)


def _exists(session: BrokerSession, look_up: Callable[[PikaChannel], object]) -> bool:
    try:
        with session.request("look up exchanges and queues") as channel:
            look_up(channel)
    except BrokerError as error:
        refusal = refusal_of(error.__cause__)
        if refusal is None or refusal.reply_code != NOT_FOUND:
            raise
        return False
    return True

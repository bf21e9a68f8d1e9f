"""Connections are lost at the worst moments; the halves go on by themselves, and nothing is lost or doubled."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pika
import pytest

from tests.faults.dying import in_turn
from tests.support.proxy import Direction, Trap
from tests.support.servers import ANY
from tests.support.site import Site
from tests.support.wait import wait_until

# A method frame of channel 1 with Basic.Ack, as AMQP 0-9-1 sends it in both directions.
BASIC_ACK = b"\x01\x00\x01\x00\x00\x00\x0d\x00\x3c\x00\x50"
COMMIT = b"commit\0"
RECORD_PROGRESS = b"update trempy.capture_progress"


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a connection breaks: between which half and which server, and when."""

    name: str
    half: str
    server: str
    direction: Direction
    pattern: bytes = b""
    size_bytes: int = 0
    arrives: bool = True  # what the pattern finds

    def trap(self) -> Trap:
        return Trap(self.direction, pattern=self.pattern, size_bytes=self.size_bytes, forwards=self.arrives)


CUTS = (
    Cut("in the middle of the stream", "capture", "source", Direction.TO_CLIENT, size_bytes=30_000),
    Cut("in the middle of a message published", "capture", "broker", Direction.TO_SERVER, size_bytes=20_000),
    Cut("confirm lost", "capture", "broker", Direction.TO_CLIENT, pattern=BASIC_ACK, arrives=False),
    Cut("after a confirm", "capture", "broker", Direction.TO_CLIENT, pattern=BASIC_ACK),
    Cut("progress not recorded", "capture", "target", Direction.TO_SERVER, RECORD_PROGRESS, arrives=False),
    Cut("answer to the progress lost", "capture", "target", Direction.TO_SERVER, RECORD_PROGRESS),
    Cut("in the middle of a delivery", "apply", "broker", Direction.TO_CLIENT, size_bytes=20_000),
    Cut("acknowledgement lost", "apply", "broker", Direction.TO_SERVER, pattern=BASIC_ACK, arrives=False),
    Cut("after an acknowledgement", "apply", "broker", Direction.TO_SERVER, pattern=BASIC_ACK),
    Cut("in the middle of a batch", "apply", "target", Direction.TO_SERVER, size_bytes=20_000),
    Cut("commit does not arrive", "apply", "target", Direction.TO_SERVER, pattern=COMMIT, arrives=False),
    Cut("commit done, its answer lost", "apply", "target", Direction.TO_SERVER, pattern=COMMIT),
)


@in_turn("cut", {f"{cut.half}, {cut.server}: {cut.name}": cut for cut in CUTS}, on=(ANY, "16-18"))
def test_connection_cut(site: Site, cut: Cut):
    half = getattr(site, cut.half)
    with site.going_on():
        site.wait_until_level()
        trap = half.wires.proxies[cut.server].set_trap(cut.trap())

        site.write()

        assert trap.sprung.wait(60), half.log[-2000:]
        site.assert_converged()


def test_all_connections_cut_again_and_again(site: Site):
    with site.going_on():
        for _ in range(4):
            site.write()
            for half in site.halves:
                for proxy in half.wires.proxies.values():
                    proxy.cut()

        site.assert_converged()


@pytest.mark.parametrize("side", ["source", "target"])
def test_server_ends_the_sessions(site: Site, side: str):
    database = getattr(site.databases, f"{side}_superuser")
    terminate = (
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where application_name like 'trempy/%' and datname = current_database()"
    )
    with site.going_on():
        writer = threading.Thread(target=lambda: [site.write() for _ in range(4)])
        writer.start()
        while writer.is_alive():
            database.execute(terminate)
            writer.join(0.5)

        site.assert_converged()


def test_confirms_lost_for_long_while_the_messages_arrive(site: Site):
    """The broker has the batches and apply works on them, but capture hears nothing of it."""
    proxy = site.capture.wires.proxies["broker"]
    with site.going_on():
        site.wait_until_level()
        proxy.lose(Direction.TO_CLIENT)
        site.write()
        marker = site.mark()
        wait_until(lambda: site.has_arrived(marker), timeout_seconds=30)

        proxy.cut()

        site.assert_converged()


def test_acknowledgements_lost_for_long_while_batches_are_applied(site: Site):
    proxy = site.apply.wires.proxies["broker"]
    with site.going_on():
        site.wait_until_level()
        proxy.lose(Direction.TO_SERVER)
        marker = site.mark()
        wait_until(lambda: site.has_arrived(marker), timeout_seconds=30)

        proxy.cut()
        site.write()

        site.assert_converged()


def test_broker_that_falls_silent_is_left_for_a_new_connection(site: Site):
    with site.going_on():
        site.wait_until_level()
        for half in site.halves:
            half.wires.proxies["broker"].hold()

        site.write()

        site.assert_converged()


def test_messages_delivered_twice_are_applied_once(site: Site):
    site.wait_until_level()
    site.apply.kill()
    site.write()
    marker = site.mark()
    wait_until(lambda: site.broker.depths().ready > 3, timeout_seconds=30)
    duplicate_messages(site)

    site.start()

    wait_until(lambda: site.has_arrived(marker), timeout_seconds=60)
    wait_until(lambda: site.broker.depths().ready == 0, timeout_seconds=30)
    site.assert_converged()


def duplicate_messages(site: Site) -> None:
    """Publish every message of the queue a second time; the originals go back to their places."""
    route = site.broker.topology.main
    consumer = site.broker.open_consumer(prefetch_count=1000)
    connection = pika.BlockingConnection(pika.URLParameters(site.rabbitmq_uri))
    channel = connection.channel()
    for delivery in iter(lambda: consumer.get(timeout_seconds=1), None):
        properties = pika.BasicProperties(
            message_id=delivery.message_id, headers=dict(delivery.headers), delivery_mode=2
        )
        if not delivery.headers.get("copied"):
            properties.headers["copied"] = 1
            channel.basic_publish(route.exchange, route.routing_key, delivery.body, properties)
    connection.close()
    consumer.close()

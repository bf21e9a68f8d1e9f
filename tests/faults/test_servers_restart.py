"""Source, target and broker go away in the middle of the work and come back; the halves wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import OwnServers
from tests.support.replication import Background
from tests.support.site import Site
from trempy_provider.jobs import capture as capture_module
from trempy_provider.jobs.lease import StopSignal

RESTARTS: dict[str, Callable[[OwnServers], None]] = {
    "source restarted": lambda servers: servers.source.restart("fast"),
    "source crashed": lambda servers: crash(servers.source),
    "target restarted": lambda servers: servers.target.restart("fast"),
    "target crashed": lambda servers: crash(servers.target),
    "broker restarted": lambda servers: servers.broker.restart(),
    "all crashed": lambda servers: crash(servers.source, servers.broker, servers.target),
}

pytestmark = pytest.mark.pg("16-18")
STOP_GRACE_SECONDS = 15  # less than those after which the test's server is killed


def crash(*servers: object) -> None:
    """Kill servers, and start them again when all are dead."""
    for server in servers:
        server.kill()
    for server in servers:
        server.start()


@pytest.mark.parametrize("restart", RESTARTS.values(), ids=RESTARTS)
def test_server_goes_and_comes_back(
    own_site: Site, own_servers: OwnServers, restart: Callable[[OwnServers], None]
):
    with own_site.going_on():
        with own_site.writing():
            restart(own_servers)

        own_site.assert_converged()


def test_source_that_shuts_down_does_not_wait_for_an_idle_capture(
    own_site: Site, own_servers: OwnServers, monkeypatch: pytest.MonkeyPatch
):
    """A server leaves its walsenders only when they have confirmed all of its WAL."""
    monkeypatch.setattr(capture_module, "_IDLE_INTERVAL_SECONDS", 600)
    own_site.wait_until_level()
    own_site.capture.kill()
    replication = own_site.replication()
    stop = StopSignal()
    capturing = Background(lambda: replication.capture(seconds=120, stop=stop))
    own_site.wait_until_level(lived_through=[own_site.apply])
    own_site.databases.source_admin.execute("create table if not exists public.other (id int)")

    started_at = time.monotonic()
    own_servers.source.stop("fast")
    elapsed_seconds = time.monotonic() - started_at

    own_servers.source.start()
    stop.set()
    capturing.result()
    assert elapsed_seconds < STOP_GRACE_SECONDS

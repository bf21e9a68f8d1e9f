"""Sites to break: one for all tests of a module, on servers that others use too, or on servers of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import pytest

from sandbox.postgres import PostgresServer
from sandbox.rabbitmq import RabbitMqServer
from tests.support.databases import DatabasePair, database_pair
from tests.support.servers import DatabaseServer
from tests.support.site import Site, open_site

SMALL_BATCHES = {"cdc_settings": {"batch_max_rows": 20}}  # a large transaction takes several
OpenSite = Callable[[DatabasePair, str], AbstractContextManager[Site]]


@dataclass(frozen=True, slots=True)
class OwnServers:
    """Servers that may be stopped and killed."""

    source: PostgresServer
    target: PostgresServer
    broker: RabbitMqServer


@pytest.fixture(scope="module")
def open_faults_site(tmp_path_factory: pytest.TempPathFactory) -> OpenSite:
    """Return a function that makes a site on two databases and a broker."""

    def open_it(databases: DatabasePair, rabbitmq_uri: str) -> AbstractContextManager[Site]:
        databases.allow_replica_role()
        return open_site(
            databases,
            rabbitmq_uri=rabbitmq_uri,
            task_name=f"faults_{secrets.token_hex(4)}",
            folder=tmp_path_factory.mktemp("site"),
            task=SMALL_BATCHES,
        )

    return open_it


@pytest.fixture(scope="module")
def shared_site(
    source_server: DatabaseServer,
    target_server: DatabaseServer,
    rabbitmq_uri: str,
    open_faults_site: OpenSite,
) -> Iterator[Site]:
    with (
        database_pair(source_server, target_server) as databases,
        open_faults_site(databases, rabbitmq_uri) as site,
    ):
        yield site


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """The module's task, its halves running before and after."""
    shared_site.start()
    yield shared_site
    shared_site.start()


@pytest.fixture(scope="module")
def own_servers(pg_versions: tuple[int | None, int | None]) -> Iterator[OwnServers]:
    with ExitStack() as stack:
        source, target = (PostgresServer(version) for version in pg_versions)
        broker = RabbitMqServer()
        for server in (source, target, broker):
            stack.callback(server.remove)
            server.start()
        yield OwnServers(source, target, broker)


@pytest.fixture(scope="module")
def own_shared_site(own_servers: OwnServers, open_faults_site: OpenSite) -> Iterator[Site]:
    with (
        database_pair(own_servers.source, own_servers.target) as databases,
        open_faults_site(databases, own_servers.broker.amqp_uri) as site,
    ):
        yield site


@pytest.fixture
def own_site(own_shared_site: Site) -> Site:
    """A task on servers of its own, its halves running."""
    own_shared_site.start()
    return own_shared_site

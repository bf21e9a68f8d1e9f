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
from tests.support.servers import SOURCE_VARIABLE, TARGET_VARIABLE, ServerPool
from tests.support.site import Site, open_site

SMALL_BATCHES = {"cdc_settings": {"batch_max_rows": 20}}  # a large transaction takes several
Versions = tuple[int | None, int | None]
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


class Sites:
    """The sites of a module, one for each pair of versions, made when a test first asks for it."""

    def __init__(self, pool: ServerPool, rabbitmq_uri: str, open_site: OpenSite, stack: ExitStack) -> None:
        self._pool = pool
        self._rabbitmq_uri = rabbitmq_uri
        self._open_site = open_site
        self._stack = stack
        self._sites: dict[Versions, Site] = {}

    def on(self, versions: Versions) -> Site:
        if versions not in self._sites:
            source = self._pool.open(SOURCE_VARIABLE, versions[0])
            target = self._pool.open(TARGET_VARIABLE, versions[1])
            databases = self._stack.enter_context(database_pair(source, target))
            self._sites[versions] = self._stack.enter_context(self._open_site(databases, self._rabbitmq_uri))
        return self._sites[versions]


@pytest.fixture(scope="module")
def sites(server_pool: ServerPool, rabbitmq_uri: str, open_faults_site: OpenSite) -> Iterator[Sites]:
    with ExitStack() as stack:
        yield Sites(server_pool, rabbitmq_uri, open_faults_site, stack)


@pytest.fixture
def versions(pg_versions: Versions) -> Versions:
    """Those of source and target; `in_turn` gives others."""
    return pg_versions


@pytest.fixture
def site(sites: Sites, versions: Versions) -> Iterator[Site]:
    """The module's task on these versions, its halves running before and after."""
    site = sites.on(versions)
    site.start()
    yield site
    site.start()


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

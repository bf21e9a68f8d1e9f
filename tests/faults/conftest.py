"""Sites to break: one shared by the tests of a module, on servers that other tests share too."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.support.databases import database_pair
from tests.support.servers import DatabaseServer
from tests.support.site import Site, open_site


@pytest.fixture(scope="module")
def shared_site(
    source_server: DatabaseServer,
    target_server: DatabaseServer,
    rabbitmq_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A task whose halves run, with batches so small that a large transaction takes several."""
    with database_pair(source_server, target_server) as databases:
        databases.allow_replica_role()
        with open_site(
            databases,
            rabbitmq_uri=rabbitmq_uri,
            task_name=f"faults_{secrets.token_hex(4)}",
            folder=tmp_path_factory.mktemp("site"),
            task={"cdc_settings": {"batch_max_rows": 20}},
        ) as site:
            yield site


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """The module's task, its halves running before and after."""
    shared_site.start()
    yield shared_site
    shared_site.start()

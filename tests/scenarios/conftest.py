"""Fixtures for scenarios: a task between two fresh databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.databases import DatabasePair
from tests.support.replication import Replication, settings
from trempy_provider.jobs.applying.batches import BatchApplier, ReadBatch


@pytest.fixture
def replicate(
    databases: DatabasePair, rabbitmq_uri: str, task_name: str
) -> Iterator[Callable[..., Replication]]:
    """Return a function that makes a replication of the tables named; torn down afterwards."""
    made: list[Replication] = []

    def make(*tables: str, **options: Any) -> Replication:
        given = settings(task_name, list(tables), **options)
        replication = Replication(given, databases=databases, rabbitmq_uri=rabbitmq_uri)
        made.append(replication)
        return replication

    yield make
    for replication in made:
        replication.teardown()


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Collect the messages that apply takes from the broker."""
    bodies: list[bytes] = []
    read = BatchApplier.read

    def noting(applier: BatchApplier, body: bytes) -> ReadBatch:
        bodies.append(body)
        return read(applier, body)

    monkeypatch.setattr(BatchApplier, "read", noting)
    return bodies


@pytest.fixture(params=["in_order", "as_arrays"])
def way(request: pytest.FixtureRequest, databases: DatabasePair) -> str:
    """Run a test in both ways of applying.

    A target role that may silence triggers lets tables be written apart from each other, as arrays; one that may
    not has all changes written in the source's order.
    """
    if request.param == "as_arrays":
        databases.allow_replica_role()
    return str(request.param)

"""Fixtures for scenarios: a task between two fresh databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.databases import DatabasePair
from tests.support.replication import Replication, settings


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

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command
from tests.support.databases import DatabasePair
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker


@pytest.fixture
def trempy(
    databases: DatabasePair, rabbitmq_uri: str, task_name: str, tmp_path: Path
) -> Iterator[Callable[..., Command]]:
    """Return a function that writes settings for the tables named; its queues are deleted afterwards."""
    command = Command(databases, rabbitmq_uri, task_name, tmp_path)

    def write(*tables: str, **options: Any) -> Command:
        command.write_settings(*tables, **options)
        return command

    yield write
    command.end()
    RabbitMqBroker(lambda: RabbitMqParameters.from_uri(rabbitmq_uri), task_name=task_name).delete_topology()

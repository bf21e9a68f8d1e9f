"""A broker for one test, with queues of its own."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.proxy import Proxy
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker


@pytest.fixture
def parameters(rabbitmq_uri: str) -> RabbitMqParameters:
    return RabbitMqParameters.from_uri(rabbitmq_uri)


@pytest.fixture
def undeclared_broker(parameters: RabbitMqParameters, task_name: str) -> Iterator[RabbitMqBroker]:
    broker = RabbitMqBroker(lambda: parameters, task_name=task_name)
    yield broker
    broker.delete_topology()


@pytest.fixture
def broker(undeclared_broker: RabbitMqBroker) -> RabbitMqBroker:
    undeclared_broker.declare_topology()
    return undeclared_broker


@pytest.fixture
def proxy(parameters: RabbitMqParameters) -> Iterator[Proxy]:
    proxy = Proxy(parameters.host, parameters.port)
    yield proxy
    proxy.close()


@pytest.fixture
def broker_through_proxy(
    broker: RabbitMqBroker, parameters: RabbitMqParameters, proxy: Proxy, task_name: str
) -> RabbitMqBroker:
    """Reach the same queues through the proxy."""
    through_proxy = replace(parameters, host="127.0.0.1", port=proxy.port, heartbeat_seconds=1)
    return RabbitMqBroker(lambda: through_proxy, task_name=task_name)

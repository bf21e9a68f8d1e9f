"""Servers in containers, where a Docker engine answers."""

import gc
import warnings
from typing import Any

from docker.errors import DockerException
from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.rabbitmq import RabbitMqContainer

import docker
from sandbox.postgres import LOGICAL_REPLICATION

DEFAULT_POSTGRES_VERSION = 16
POSTGRES_IMAGE = "postgres:{version}-bookworm"
RABBITMQ_IMAGE = "rabbitmq:3.13.7-management"
DESCRIPTION = f"containers: {POSTGRES_IMAGE.format(version=DEFAULT_POSTGRES_VERSION)}, {RABBITMQ_IMAGE}"


def docker_answers() -> bool:
    """Tell whether a Docker engine can be reached."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # docker does not close a socket that fails
        answers = _ping()
        gc.collect()
    return answers


def _ping() -> bool:
    try:
        client = docker.from_env()
    except DockerException:
        return False
    try:
        return bool(client.ping())
    except DockerException:
        return False
    finally:
        client.close()


def start_postgres(version: int | None) -> tuple[str, Any]:
    """Start a server made for logical replication; return its superuser's URI and the container."""
    settings = " ".join(f"-c {name}={value}" for name, value in LOGICAL_REPLICATION.items())
    image = POSTGRES_IMAGE.format(version=version or DEFAULT_POSTGRES_VERSION)
    container = PostgresContainer(image, driver=None).with_command(f"postgres {settings}")
    container.start()
    return container.get_connection_url(), container


def start_rabbitmq() -> tuple[str, Any]:
    """Start a broker; return its URI and the container."""
    container = RabbitMqContainer(RABBITMQ_IMAGE)
    container.start()
    host, port = container.get_container_host_ip(), container.get_exposed_port(container.port)
    return f"amqp://{container.username}:{container.password}@{host}:{port}/%2F", container

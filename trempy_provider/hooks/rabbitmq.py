"""The `rabbitmq` connection type."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseHook

from trempy_provider.broker.base import Broker
from trempy_provider.broker.parameters import TLS_OPTIONS, RabbitMqParameters, TlsParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker, check_connection
from trempy_provider.broker.topology import topology_of
from trempy_provider.errors import ConfigurationError, TrempyError
from trempy_provider.hooks.connections import find_connection, read_extras

# pika tells every step of every connection, and errors that are reported in other words anyway.
logging.getLogger("pika").setLevel(logging.CRITICAL)

DEFAULT_PORT = 5672
DEFAULT_TLS_PORT = 5671
EXTRAS = ("tls", *TLS_OPTIONS, "heartbeat_seconds", "connection_timeout_seconds", "management_url")


class RabbitMQHook(BaseHook):
    """Read an Airflow connection of type `rabbitmq`.

    Host, port, login and password are the connection's; its schema is the virtual host.
    The extras `tls`, `ca_file`, `certificate_file`, `key_file`, `server_name`, `heartbeat_seconds`,
    `connection_timeout_seconds` and `management_url` are read; any other is refused.

    :param rabbitmq_conn_id: the connection
    """

    conn_name_attr = "rabbitmq_conn_id"
    default_conn_name = "rabbitmq_default"
    conn_type = "rabbitmq"
    hook_name = "RabbitMQ"

    def __init__(self, rabbitmq_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.rabbitmq_conn_id = rabbitmq_conn_id

    def get_conn(self) -> RabbitMqParameters:
        """Return the parameters; a connection is opened by the jobs, which own it."""
        return self.parameters()

    def parameters(self) -> RabbitMqParameters:
        """Return the connection's fields as they are now; raise ConfigurationError naming a wrong one."""
        connection = find_connection(self.rabbitmq_conn_id)
        extras = read_extras(connection, allowed=EXTRAS)
        tls = _read_tls(extras)
        return RabbitMqParameters(
            host=connection.host or "localhost",
            port=connection.port or (DEFAULT_TLS_PORT if tls else DEFAULT_PORT),
            virtual_host=connection.schema or "/",
            login=connection.login or "guest",
            password=connection.password or "guest",
            tls=tls,
            heartbeat_seconds=_read_number(extras, "heartbeat_seconds", int, 60),
            connection_timeout_seconds=_read_number(extras, "connection_timeout_seconds", float, 15.0),
            management_url=extras.get("management_url"),
        )

    def broker(self, task_name: str) -> Broker:
        """Return the queues of a task on this RabbitMQ; the connection is read anew at each use."""
        return RabbitMqBroker(self.parameters, task_name=task_name)

    def test_connection(self) -> tuple[bool, str]:
        """Log in and open the virtual host; say what is wrong otherwise."""
        try:
            parameters = self.parameters()
            product = check_connection(parameters)
        except TrempyError as error:
            return False, error.explanation
        return True, f"{product} at {parameters.description} answers."


def queue_url(parameters: RabbitMqParameters, task_name: str) -> str | None:
    """Return the address of the task's queue in the management interface, None where there is none."""
    if not parameters.management_url:
        return None
    virtual_host = quote(parameters.virtual_host, safe="")
    queue = quote(topology_of(task_name).main.queue, safe="")
    return f"{parameters.management_url.rstrip('/')}/#/queues/{virtual_host}/{queue}"


def _read_tls(extras: Mapping[str, Any]) -> TlsParameters | None:
    options = {name: str(extras[name]) for name in TLS_OPTIONS if name in extras}
    if str(extras.get("tls", False)).lower() in ("true", "1"):
        return TlsParameters(**options)
    if options:
        raise ConfigurationError(
            f"extra {min(options)!r} of the RabbitMQ connection needs TLS",
            hint="Turn on TLS in the connection, or remove the extra.",
        )
    return None


def _read_number(extras: Mapping[str, Any], name: str, kind: Callable[[str], Any], default: float) -> Any:
    try:
        return kind(str(extras.get(name, default)))
    except ValueError as error:
        raise ConfigurationError(
            f"extra {name!r} of the RabbitMQ connection is {extras[name]!r}; expected a number of seconds"
        ) from error

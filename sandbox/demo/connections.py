"""The three Airflow connections of the demo's replication task."""

import json
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from sandbox.airflow_api import AirflowApi, connection_fields
from sandbox.demo.databases import DemoDatabase


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where Airflow's workers find RabbitMQ, and where its management interface is."""

    host: str
    port: int
    login: str
    password: str
    management_url: str

    @classmethod
    def from_uri(cls, uri: str, *, management_url: str) -> "BrokerAddress":
        """Read amqp://login:password@host:port/…; the virtual host is the default one."""
        parts = urlsplit(uri)
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or 5672,
            login=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
            management_url=management_url,
        )


def create_connections(
    api: AirflowApi, *, source: DemoDatabase, target: DemoDatabase, broker: BrokerAddress
) -> None:
    """Create or replace the connections under the ids that are a task's defaults."""
    api.set_connection("trempy_source", connection_fields(source.provider_uri, "trempy_source"))
    api.set_connection("trempy_target", connection_fields(target.provider_uri, "trempy_target"))
    api.set_connection("trempy_broker", _broker_fields(broker))


def _broker_fields(broker: BrokerAddress) -> dict[str, object]:
    return {
        "conn_type": "rabbitmq",
        "host": broker.host,
        "port": broker.port,
        "login": broker.login,
        "password": broker.password,
        "schema": "/",
        "extra": json.dumps({"management_url": broker.management_url}),
    }

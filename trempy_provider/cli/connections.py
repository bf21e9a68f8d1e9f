"""Where source, target, broker and metadata are: from the command line, or from the environment.

Read when first needed: a command that never asks the broker works without one.
The metadata database is asked for only where the settings name one.
"""

from __future__ import annotations

from collections.abc import Mapping

from trempy_provider.broker.base import Broker
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.cli.airflow_connection import AirflowConnection
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint

PARTS = ("source", "target", "broker", "metadata")
AIRFLOW_PREFIX = "AIRFLOW_CONN_"


class Connections:
    """The task's endpoints and broker; `given` are URIs by part, which count before the environment's."""

    def __init__(
        self, task: ReplicationTask, *, given: Mapping[str, str | None], environment: Mapping[str, str]
    ) -> None:
        self._task = task
        self._given = given
        self._environment = environment
        self._conn_ids = {
            "source": task.source_conn_id,
            "target": task.target_conn_id,
            "broker": task.broker_conn_id,
            "metadata": task.metadata_conn_id,
        }
        if given.get("metadata") and not task.has_metadata_database:
            raise ConfigurationError(
                "--metadata is given, but the settings keep all metadata in the target",
                hint="Name its connection as metadata_conn_id in the settings, or leave --metadata out.",
            )

    @property
    def source(self) -> Endpoint:
        """The source; raise ConfigurationError when none is given."""
        return self._endpoint("source")

    @property
    def target(self) -> Endpoint:
        """The target, which knows its metadata database; raise ConfigurationError when one is not given."""
        metadata = self._endpoint("metadata") if self._task.has_metadata_database else None
        return self._endpoint("target", metadata=metadata)

    @property
    def broker(self) -> Broker:
        """The broker; raise ConfigurationError when none is given."""
        uri = self._uri("broker")
        if uri is not None:
            parameters = RabbitMqParameters.from_uri(uri)
        else:
            parameters = self._airflow_connection("broker").rabbitmq()
        return RabbitMqBroker(lambda: parameters, task_name=self._task.task_name)

    @property
    def broker_if_needed(self) -> Broker | None:
        """The broker, or None where the task captures no changes."""
        return self.broker if self._task.captures_changes else None

    @property
    def source_if_given(self) -> Endpoint | None:
        """The source, or None when none is given."""
        return self.source if self.is_given("source") else None

    @property
    def broker_if_given(self) -> Broker | None:
        """The broker, or None when none is given."""
        return self.broker if self.is_given("broker") else None

    def is_given(self, part: str) -> bool:
        """Tell whether a part is given somewhere."""
        return self._uri(part) is not None or self._airflow_variable(part) in self._environment

    def _endpoint(self, part: str, *, metadata: Endpoint | None = None) -> Endpoint:
        uri = self._uri(part)
        if uri is not None:
            parameters = ConnectionParameters.from_uri(uri)
        else:
            parameters = self._airflow_connection(part).postgres()
        return Endpoint(
            lambda: parameters,
            task_name=self._task.task_name,
            role=part,
            read_salt=self._read_salt,
            metadata=metadata,
        )

    def _read_salt(self, conn_id: str) -> str | None:
        """Return the salt of a connection: its password, or what TREMPY_SALT says for all of them."""
        given = self._environment.get("TREMPY_SALT")
        variable = AIRFLOW_PREFIX + conn_id.upper()
        if given or variable not in self._environment:
            return given or None
        return AirflowConnection.parse(self._environment[variable], variable=variable).password

    def _uri(self, part: str) -> str | None:
        return self._given.get(part) or self._environment.get(f"TREMPY_{part.upper()}") or None

    def _airflow_variable(self, part: str) -> str:
        return AIRFLOW_PREFIX + self._conn_ids[part].upper()

    def _airflow_connection(self, part: str) -> AirflowConnection:
        variable = self._airflow_variable(part)
        text = self._environment.get(variable)
        if not text:
            raise ConfigurationError(
                f"no {part} is given", hint=f"Set TREMPY_{part.upper()} or {variable}, or give --{part} URI."
            )
        return AirflowConnection.parse(text, variable=variable)

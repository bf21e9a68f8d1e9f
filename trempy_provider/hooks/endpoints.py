"""What a replication task is connected to, as Airflow knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.hooks.rabbitmq import RabbitMQHook
from trempy_provider.postgres.session import Endpoint


@dataclass(frozen=True, slots=True)
class TaskEndpoints:
    """Source, target and broker; nothing is connected before a job asks."""

    source: Endpoint
    target: Endpoint
    broker: Broker

    def for_job(self, task: ReplicationTask) -> dict[str, Any]:
        """Return the arguments that most jobs take; the broker is None where the task needs none."""
        broker = self.broker if task.captures_changes else None
        return {"source": self.source, "target": self.target, "broker": broker}


def endpoints_of(task: ReplicationTask) -> TaskEndpoints:
    """Return the endpoints that the task's connection ids name."""
    # Airflow's PostgreSQL hook takes a third of a second to import: too long for every parsing of a DAG file.
    from trempy_provider.hooks.postgres import open_endpoint, open_target  # noqa: PLC0415

    return TaskEndpoints(
        source=open_endpoint(task.source_conn_id, task_name=task.task_name, role="source"),
        target=open_target(
            task.target_conn_id, metadata_conn_id=task.metadata_conn_id, task_name=task.task_name
        ),
        broker=RabbitMQHook(task.broker_conn_id).broker(task.task_name),
    )

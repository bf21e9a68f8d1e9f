"""Links from a task instance to other systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class RabbitMQQueueLink(BaseOperatorLink):
    """The task's queue in RabbitMQ's management interface; empty without a management URL."""

    name = "RabbitMQ queue"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  # Airflow's signature
        """Return the address; called where the task ran, and kept in an XCom for the UI."""
        return operator.queue_url() or ""

"""The plugin that Airflow finds by this package's entry point."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from trempy_provider.operators.links import RabbitMQQueueLink


class TrempyPlugin(AirflowPlugin):
    """Make the operators' links known to the UI."""

    name = "trempy"
    operator_extra_links = [RabbitMQQueueLink()]  # noqa: RUF012  # as its parent declares it

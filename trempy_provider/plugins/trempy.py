"""The plugin that Airflow finds by this package's entry point."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from trempy_provider.operators.links import RabbitMQQueueLink
from trempy_provider.plugins.lazy_app import LazyApp

# Relative to the base that Airflow's own page declares, so that it works below any prefix.
PAGE_URL = "trempy/"


def _view(destination: str, **more: str) -> dict[str, Any]:
    route = "replication" if destination == "nav" else f"replication_{destination}"
    return {
        "name": "Replication",
        "destination": destination,
        "url_route": route,
        "href": PAGE_URL,
        **more,
    }


class TrempyPlugin(AirflowPlugin):
    """Make the page "Replication" and the operators' links known to the UI."""

    name = "trempy"
    operator_extra_links = [RabbitMQQueueLink()]  # noqa: RUF012  # as its parent declares it
    fastapi_apps = [  # noqa: RUF012
        {"app": LazyApp(), "url_prefix": "/trempy", "name": "TREMpy"}
    ]
    external_views = [  # noqa: RUF012
        _view("nav", category="browse"),
        _view("dag", href=f"{PAGE_URL}?dag_id={{DAG_ID}}"),
        _view("dag_run", href=f"{PAGE_URL}?dag_id={{DAG_ID}}&run_id={{RUN_ID}}"),
    ]

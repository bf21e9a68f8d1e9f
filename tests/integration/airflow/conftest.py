"""Airflow as a library: a home of its own, connections and Variables from the environment."""

import atexit
import os
import shutil
import tempfile

AIRFLOW_HOME = tempfile.mkdtemp(prefix="trempy-test-airflow-")
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
# Airflow reads these when it is first imported, which is after this file.
os.environ.update(
    {
        "AIRFLOW_HOME": AIRFLOW_HOME,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }
)

import json  # noqa: E402
from collections.abc import Callable, Mapping  # noqa: E402
from typing import Any  # noqa: E402

import pytest  # noqa: E402

from tests.support.databases import DatabasePair  # noqa: E402


@pytest.fixture
def connections(databases: DatabasePair, rabbitmq_uri: str, monkeypatch: pytest.MonkeyPatch) -> DatabasePair:
    """Airflow connections with the default ids to fresh databases and the broker."""
    monkeypatch.setenv("AIRFLOW_CONN_TREMPY_SOURCE", databases.source_uri)
    monkeypatch.setenv("AIRFLOW_CONN_TREMPY_TARGET", databases.target_uri)
    monkeypatch.setenv("AIRFLOW_CONN_TREMPY_BROKER", rabbitmq_uri.replace("amqp://", "rabbitmq://", 1))
    return databases


@pytest.fixture
def settings(task_name: str) -> dict[str, Any]:
    """Return the settings of a task that follows one table."""
    return make_settings(task_name)


@pytest.fixture
def define_task(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, Any]], None]:
    """Keep settings in a Variable of their own."""

    def define(settings: Mapping[str, Any]) -> None:
        name = settings["task"]["task_name"]
        monkeypatch.setenv(f"AIRFLOW_VAR_TREMPY_TASK_{name.upper()}", json.dumps(settings))

    return define


def make_settings(
    task_name: str, *, replication_type: str = "full_load_and_cdc", **cdc: Any
) -> dict[str, Any]:
    """Return settings that follow public.orders with short limits."""
    return {
        "task": {
            "task_name": task_name,
            "replication_type": replication_type,
            "interval_seconds": 1,
            "create_table_if_not_exists": True,
            "cdc_settings": {
                "idle_seconds": 1,
                "trigger_minimum_seconds": 3,
                "run_duration_seconds": 30,
                **cdc,
            },
        },
        "tables": [{"schema_name": "public", "table_name": "orders"}],
    }

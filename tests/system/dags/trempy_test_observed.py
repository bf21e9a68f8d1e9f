"""Two DAGs of a user: a notifier carries what the monitor says, and OpenLineage is told of loads and changes."""

import json
import os
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.openlineage.utils.selective_enable import enable_lineage
from airflow.sdk import DAG, BaseNotifier

from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.monitor import TrempyMonitorOperator
from trempy_provider.operators.setup import TrempySetupOperator

CUSTOMERS = {"schema_name": "shop", "table_name": "customers"}
START = pendulum.datetime(2024, 1, 1, tz="UTC")


def settings_of(task_name: str, **monitor_settings: Any) -> dict[str, Any]:
    rename = {"column_name": "name", "target_column_name": "full_name"}
    return {
        "task": {
            "task_name": task_name,
            "replication_type": "full_load_and_cdc",
            "create_table_if_not_exists": True,
            "monitor_settings": monitor_settings,
            # So short a lease ends in silence, since it would not be deferred for less than a minute.
            "cdc_settings": {"run_duration_seconds": 10, "idle_seconds": 2, "trigger_minimum_seconds": 60},
        },
        "tables": [CUSTOMERS],
        "transformations": [
            {
                "table_info": CUSTOMERS,
                "settings": {"transformation_type": "modify_column_name", "contract": rename},
            }
        ],
    }


class Carrier(BaseNotifier):  # type: ignore[misc]  # Airflow's class has no types where it is checked
    """Writes what it is told into a file of Airflow's home."""

    template_fields = ("who",)

    def __init__(self, who: str) -> None:
        super().__init__()
        self.who = who

    def notify(self, context: Any) -> None:
        """Note which task failed, and why."""
        told = {"who": self.who, "error": str(context["exception"])}
        Path(os.environ["AIRFLOW_HOME"], "carried.json").write_text(json.dumps(told))


with DAG(
    dag_id="trempy_test_monitor",
    schedule=None,
    start_date=START,
    default_args={"on_failure_callback": Carrier("{{ ti.task_id }} of {{ dag.dag_id }}")},
):
    watched = settings_of("test_monitor", max_retained_wal_bytes=1)
    TrempySetupOperator(task_id="setup", settings=watched) >> TrempyMonitorOperator(
        task_id="monitor", settings=watched
    )

with DAG(dag_id="trempy_test_lineage", schedule=None, start_date=START) as traced_dag:
    traced = settings_of("test_lineage")
    setup = TrempySetupOperator(task_id="setup", settings=traced)
    full_load = TrempyFullLoadOperator(task_id="full_load", settings=traced)
    apply = TrempyApplyOperator(task_id="apply", settings=traced)
    setup >> full_load >> apply
enable_lineage(traced_dag)

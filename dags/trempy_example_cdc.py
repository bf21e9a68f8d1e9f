"""Full load, then ten minutes of change data capture, by hand: a DAG of Airflow without the factory."""

import pendulum
from airflow.sdk import DAG

from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.capture import TrempyCaptureOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.setup import TrempySetupOperator

SETTINGS = {
    "task": {
        "task_name": "example_cdc",
        "replication_type": "full_load_and_cdc",
        "create_table_if_not_exists": True,
        "cdc_settings": {"mode": "default", "run_duration_seconds": 600, "idle_seconds": 30},
    },
    "tables": [{"schema_name": "shop", "table_name": "*"}],
}

with DAG(
    dag_id="trempy_example_cdc_by_hand",
    schedule=None,
    max_active_runs=1,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    default_args={"retries": 10, "retry_delay": 10},
    tags=["trempy", "example"],
    doc_md=__doc__,
):
    setup = TrempySetupOperator(task_id="setup", settings=SETTINGS)
    full_load = TrempyFullLoadOperator(task_id="full_load", settings=SETTINGS)
    capture = TrempyCaptureOperator(task_id="capture", settings=SETTINGS)
    apply = TrempyApplyOperator(task_id="apply", settings=SETTINGS)

    setup >> full_load >> [capture, apply]

"""A report on fresh data: a DAG of Airflow that waits until the target has caught up with this moment."""

import pendulum
from airflow.sdk import DAG, BaseHook, task

from trempy_provider.sensors.caught_up import ReplicationCaughtUpSensor

with DAG(
    dag_id="trempy_example_report",
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    tags=["trempy", "example"],
    doc_md=__doc__,
):
    caught_up = ReplicationCaughtUpSensor(task_id="caught_up", task_name="shop", timeout=600)

    @task
    def count_orders() -> int:
        hook = BaseHook.get_hook("trempy_target")
        return int(hook.get_first("select count(*) from shop.orders")[0])

    caught_up >> count_orders()

"""From a description to a new task: a DAG of Airflow in which a person approves the assistant's draft.

Settings that somebody has changed while the draft waited are not overwritten.
Trigger it with a description. The draft waits under "Required Actions" with why each setting was chosen and
what a dry run made of it; approved, it is saved as a Variable, from which Airflow makes the task's DAGs.
"""

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task

from trempy_provider.operators.suggest import SuggestTaskOperator

with DAG(
    dag_id="trempy_example_suggest",
    schedule=None,
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    tags=["trempy", "example"],
    params={
        "description": Param(
            "replicate shop.customers and shop.orders", type="string", title="What to replicate"
        ),
        "task_name": Param("", type="string", title="Task", description="Empty: the draft chooses a name."),
    },
    doc_md=__doc__,
):
    draft = SuggestTaskOperator(
        task_id="draft", description="{{ params.description }}", task_name="{{ params.task_name }}"
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject="Save these settings as the task {{ ti.xcom_pull(task_ids='draft')['task_name'] }}?",
        body="{{ ti.xcom_pull(task_ids='draft')['text'] }}",
        retries=2,  # Airflow 3.3 may lose an answer given within seconds; it then asks again
        retry_delay=pendulum.duration(seconds=5),
    )

    @task
    def save(ti=None) -> str:
        from trempy_provider.hooks.settings import save_settings  # noqa: PLC0415  # not while DAGs are parsed

        drafted = ti.xcom_pull(task_ids="draft")
        return save_settings(drafted["settings"], replaces=drafted["replaces"])

    draft >> approve >> save()

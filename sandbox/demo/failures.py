"""Say why a DAG run failed or hangs: the states of its tasks and the ends of their logs."""

from textwrap import indent
from typing import Any
from urllib.parse import quote

from sandbox.airflow_api import AirflowApi, AirflowApiError

LOG_LINES = 25
FAILED_STATES = frozenset({"failed", "up_for_retry"})
WORKING_STATES = frozenset({"running", "deferred", "restarting"})


def describe_last_run(api: AirflowApi, dag_id: str) -> str:
    """Describe a DAG's newest run."""
    try:
        runs = api.dag_runs(dag_id)
        return describe_run(api, dag_id, runs[0]["dag_run_id"]) if runs else f"{dag_id} has not run"
    except AirflowApiError as error:
        return f"Airflow cannot say more: {error}"


def describe_run(api: AirflowApi, dag_id: str, run_id: str) -> str:
    """Describe one run."""
    instances = api.task_instances(dag_id, run_id)
    lines = [f"{dag_id}: " + ", ".join(f"{_name(instance)} {instance['state']}" for instance in instances)]
    failed = [instance for instance in instances if instance["state"] in FAILED_STATES]
    at_work = [instance for instance in instances if instance["state"] in WORKING_STATES]
    for instance in failed or at_work:
        lines += [f"The log of {_name(instance)}:", _log_tail(api, dag_id, run_id, instance)]
    return "\n".join(lines)


def _name(instance: dict[str, Any]) -> str:
    index = instance["map_index"]
    return f"{instance['task_id']}" + (f"[{index}]" if index >= 0 else "")


def _log_tail(api: AirflowApi, dag_id: str, run_id: str, instance: dict[str, Any]) -> str:
    """Return the end of the newest attempt that has a log: one that waits for its next has none."""
    attempt = max(instance["try_number"] - (instance["state"] == "up_for_retry"), 1)
    path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}/taskInstances/{quote(instance['task_id'])}"
    try:
        content = api.get(f"{path}/logs/{attempt}", map_index=str(instance["map_index"]))["content"]
    except AirflowApiError as error:
        return f"    {error}"
    return indent("\n".join(map(_line, content[-LOG_LINES:])), "    ")


def _line(event: str | dict[str, Any]) -> str:
    """Return one event of a log; of an exception its causes' words, not its frames."""
    if isinstance(event, str):
        return event
    causes = [f"\n{cause['exc_type']}: {cause['exc_value']}" for cause in event.get("error_detail") or ()]
    return f"{event.get('timestamp') or ''} {event.get('event', '')}{''.join(causes)}".strip()

"""A person approves the assistant's draft in a real Airflow; only then it is a task."""

import json
import time

import pytest

from tests.system.conftest import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
DAG_ID = "trempy_example_suggest"
READING_SECONDS = 8.0


def wait_for_draft(shop, run_id):
    """Return what is to be approved, when it has waited as long as a person reads.

    An answer within two seconds is lost with its task: the executor's late "success" of the part before fails it.
    """
    waiting_since = None

    def has_been_read():
        nonlocal waiting_since
        assert shop.api.dag_run(DAG_ID, run_id)["state"] != "failed", shop.explain(DAG_ID, run_id)
        if shop.api.task_instance(DAG_ID, run_id, "approve")["state"] != "awaiting_input":
            waiting_since = None
            return False
        waiting_since = waiting_since or time.monotonic()
        return time.monotonic() - waiting_since > READING_SECONDS

    wait_until(has_been_read, timeout_seconds=240, what="the draft to wait for approval")
    return shop.api.get(details_of(run_id))


def details_of(run_id):
    return f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"


def variables(shop):
    return {each["key"]: each["value"] for each in shop.api.get("/variables", limit="200")["variables"]}


def test_only_an_approved_draft_becomes_a_task(shop, task_name):
    conf = {"description": "replicate shop.customers and shop.orders", "task_name": task_name}
    key = f"trempy_task_{task_name}"

    run_id = shop.api.trigger(DAG_ID, conf)
    shown = wait_for_draft(shop, run_id)
    assert "of the first 500 rows, 500 pass" in shown["body"]
    assert key not in variables(shop)

    shop.api.patch(details_of(run_id), {"chosen_options": ["Approve"], "params_input": {}})
    state = shop.api.wait_for_run(DAG_ID, run_id, timeout_seconds=120)
    assert state == "success", shop.explain(DAG_ID, run_id)
    shop.variables.append(key)
    saved = json.loads(variables(shop)[key])
    assert [table["table_name"] for table in saved["tables"]] == ["customers", "orders"]
    assert shop.api.wait_for_dag(f"trempy_{task_name}_cdc")["is_paused"]

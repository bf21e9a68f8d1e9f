"""What others are told of a task in a running Airflow: notifiers of its failures, OpenLineage of its tables."""

import json
from urllib.parse import urlsplit

import pytest

from tests.system.conftest import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


def test_threshold_that_is_passed_fails_the_monitor_and_a_notifier_carries_it(shop):
    dag_id = "trempy_test_monitor"

    run_id = shop.api.trigger(dag_id)

    assert shop.api.wait_for_run(dag_id, run_id, timeout_seconds=200) == "failed"
    states = {each["task_id"]: each["state"] for each in shop.api.task_instances(dag_id, run_id)}
    assert states == {"setup": "success", "monitor": "failed"}
    carried = json.loads((shop.airflow.home / "carried.json").read_text())
    assert carried["who"] == f"monitor of {dag_id}"
    assert "WAL retained on the source" in carried["error"]
    assert "max_retained_wal_bytes allows 1" in carried["error"]
    assert shop.api.xcom(dag_id, run_id, "monitor")["retained_wal_bytes"] > 1


def test_openlineage_is_told_which_columns_a_load_and_changes_are_made_of(shop):
    dag_id = "trempy_test_lineage"

    shop.run(dag_id, timeout_seconds=200)

    wait_until(
        lambda: {"full_load", "apply"} <= _completed(shop, dag_id).keys(),
        timeout_seconds=120,
        what="the events of both tasks",
    )
    told = _completed(shop, dag_id)
    source, target = urlsplit(shop.pair.source_uri), urlsplit(shop.pair.target_uri)
    for task_id in ("full_load", "apply"):
        (read,), (written,) = told[task_id]["inputs"], told[task_id]["outputs"]
        assert read["namespace"] == f"postgres://{source.hostname}:{source.port}"
        assert read["name"] == f"{source.path[1:]}.shop.customers"
        assert written["namespace"] == f"postgres://{target.hostname}:{target.port}"
        assert written["name"] == f"{target.path[1:]}.shop.customers"
        columns = written["facets"]["columnLineage"]["fields"]
        made_of = {name: [each["field"] for each in of["inputFields"]] for name, of in columns.items()}
        assert made_of == {"id": ["id"], "full_name": ["name"], "since": ["since"]}
    text = json.dumps(told)
    assert not [uri for uri in (source, target) if uri.password and uri.password in text]


def _completed(shop, dag_id):
    """Return the events of tasks that have ended well, by task id."""
    path = shop.airflow.home / "lineage.jsonl"
    text = path.read_text() if path.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()  # the last one may be half written
    events = [event for event in map(json.loads, lines) if event["eventType"] == "COMPLETE"]
    prefix = f"{dag_id}."
    names = [(event["job"]["name"], event) for event in events]
    return {name.removeprefix(prefix): event for name, event in names if name.startswith(prefix)}

"""The DAGs of dags/ in a real Airflow: scheduler, dag processor, triggerer and workers."""

import signal
import time

import pytest

from sandbox.airflow_api import FINISHED_STATES, connection_fields
from sandbox.processes import send_signal
from tests.system.conftest import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
KILL_SECONDS = 5.0  # after that time Airflow kills a task that was asked to end
EXAMPLES = {
    "trempy_example_full_load_by_hand",
    "trempy_example_cdc_by_hand",
    "trempy_example_on_any_table",
    "trempy_example_on_assets",
    "trempy_example_report",
    "trempy_example_suggest",
    "trempy_example_slot_changes",
    "trempy_example_queue_messages",
}


def test_every_dag_file_is_imported(shop, task_name):
    shop.define_task(task_name)

    for dag_id in (f"trempy_{task_name}_cdc", f"trempy_{task_name}_full_load", *EXAMPLES):
        shop.api.wait_for_dag(dag_id)
    assert shop.api.import_errors() == []


def test_broken_task_is_an_import_error_that_leaves_the_others_alone(shop, task_name):
    shop.define_task(task_name)
    shop.api.wait_for_dag(f"trempy_{task_name}_cdc")

    shop.set_variable("trempy_task_broken", {"task": {"task_name": "broken", "interval_seconds": "often"}})
    (error,) = wait_until(shop.api.import_errors, timeout_seconds=60, what="an import error")

    assert "Variable trempy_task_broken" in error["stack_trace"]
    assert "task.interval_seconds" in error["stack_trace"]
    assert error["filename"] == "trempy_settings_errors.py"
    assert shop.api.get(f"/dags/trempy_{task_name}_cdc")["has_import_errors"] is False

    shop.delete_variable("trempy_task_broken")
    wait_until(lambda: not shop.api.import_errors(), timeout_seconds=60, what="the import error to be gone")


def test_example_full_load_maps_a_square_to_each_table(shop):
    run_id = shop.run("trempy_example_full_load_by_hand")

    squares = [
        i
        for i in shop.api.task_instances("trempy_example_full_load_by_hand", run_id)
        if i["task_id"] == "load"
    ]
    assert sorted(square["rendered_map_index"] for square in squares) == [
        "shop.customers",
        "shop.orders",
        "shop.products",
    ]
    count = "select count(*) from shop.orders"
    assert shop.pair.target.fetch_value(count) == shop.pair.source.fetch_value(count)


def test_example_cdc_by_hand_loads_and_follows(shop):
    run_id = shop.api.trigger("trempy_example_cdc_by_hand")
    shop.wait_for_state("trempy_example_cdc_by_hand", run_id, "apply", "running", seconds=120)

    shop.change("by hand")

    shop.wait_until_equal()


def test_load_then_changes_through_deferrals_and_a_report_on_fresh_data(shop):
    shop.define_task("shop")
    load_run = shop.run("trempy_shop_full_load")
    summary = shop.api.xcom("trempy_shop_full_load", load_run, "summary")
    dag_id, run_id = shop.start_cdc("shop")

    shop.change("while running")
    shop.wait_until_equal()
    shop.wait_for_silence(dag_id, run_id)
    shop.change("while deferred")
    shop.wait_until_equal()
    report_run = shop.run("trempy_example_report")

    orders = shop.pair.source.fetch_value("select count(*) from shop.orders")
    assert {entry["source"]: entry["state"] for entry in summary} == {
        f"shop.{name}": "ready" for name in ("customers", "orders", "products", "visits")
    }
    assert shop.api.xcom("trempy_example_report", report_run, "count_orders") == orders
    assert shop.links("trempy_shop_full_load", load_run, "setup") == {
        "RabbitMQ queue": "http://127.0.0.1:15672/#/queues/%2F/trempy_queue_shop"
    }


def test_dag_scheduled_on_two_tables_runs_when_both_are_loaded_and_when_a_lease_has_changed_both(shop):
    shop.define_task("shop", run_duration_seconds=15)
    for dag_id in ("trempy_example_on_assets", "trempy_example_on_any_table"):
        shop.api.wait_for_dag(dag_id)
        shop.api.unpause(dag_id)

    def runs():
        runs = [r for r in shop.api.dag_runs("trempy_example_on_assets") if r["state"] in FINISHED_STATES]
        for run in runs:
            assert run["state"] == "success", shop.explain("trempy_example_on_assets", run["dag_run_id"])
        return runs

    shop.run("trempy_shop_full_load", {"tables": ["shop.orders", "shop.customers", "shop.products"]})
    (loaded,) = wait_until(runs, timeout_seconds=60, what="the run after the load")
    shop.pair.target_admin.execute("alter table shop.products add check (price >= 0)")
    shop.pair.source_admin.execute("update shop.products set price = -1 where id = 1")
    shop.change("a lease")
    dag_id, _ = shop.start_cdc("shop")
    (changed, _) = wait_until(
        lambda: (found := runs()) and len(found) > 1 and found[:2], timeout_seconds=120, what="the second run"
    )

    told = shop.api.xcom("trempy_example_on_assets", changed["dag_run_id"], "what_is_new")
    (orders,), (customers,) = told["trempy://shop/shop/orders"], told["trempy://shop/shop/customers"]
    (any_table, *_) = shop.api.dag_runs("trempy_example_on_any_table")
    assert any_table["run_type"] == "asset_triggered"
    assert loaded["run_type"] == changed["run_type"] == "asset_triggered"
    assert (orders["insert_count"], orders["delete_count"], customers["update_count"]) == (50, 1, 10)
    assert orders["end_lsn"] == customers["end_lsn"]
    failed = shop.pair.target.fetch_value("select transaction_id from trempy.apply_errors")
    wait_until(lambda: failed in _logged_transactions(shop, dag_id), timeout_seconds=60, what="its log")


def _logged_transactions(shop, dag_id):
    """Return the transactions that the logs of apply speak of, in whichever lease and try."""
    found = set()
    for run in shop.api.dag_runs(dag_id):
        run_id = run["dag_run_id"]
        for number in range(1, shop.api.task_instance(dag_id, run_id, "apply")["try_number"] + 1):
            path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/apply/logs/{number}"
            found |= {entry.get("transaction_id") for entry in shop.api.get(path)["content"]}
    return found


def test_task_that_only_loads_is_loaded_from_one_snapshot_and_again_by_each_run(shop, task_name):
    shop.define_task(task_name, replication_type="full_load")
    dag_id = f"trempy_{task_name}_full_load"

    shop.run(dag_id)
    shop.change("between the runs")
    second = shop.run(dag_id)

    tables = shop.api.xcom(dag_id, second, "full_load")["tables"]
    assert len({table["snapshot_lsn"] for table in tables}) == 1
    assert shop.is_equal()


def test_run_may_choose_its_tables(shop, task_name):
    shop.define_task(task_name)
    dag_id = f"trempy_{task_name}_full_load"

    run_id = shop.run(dag_id, {"tables": ["shop.products"]})

    states = {e["source"]: e["state"] for e in shop.api.xcom(dag_id, run_id, "summary")}
    assert states["shop.products"] == "ready"
    assert states["shop.orders"] == "pending"


def test_nothing_is_lost_or_doubled_by_killed_workers_a_cleared_task_and_a_pause(shop, task_name):
    shop.define_task(task_name, idle_seconds=20)
    shop.run(f"trempy_{task_name}_full_load")
    dag_id, run_id = shop.start_cdc(task_name)
    for task_id in ("capture", "apply"):
        shop.wait_for_state(dag_id, run_id, task_id, "running")

    for task_id in ("capture", "apply"):
        shop.change(f"before {task_id} is killed")
        shop.airflow.kill_task(dag_id, run_id, task_id)
        shop.change(f"after {task_id} is killed")
    shop.wait_until_equal(timeout_seconds=150)
    tries = {i["task_id"]: i["try_number"] for i in shop.api.task_instances(dag_id, run_id)}
    shop.api.clear_task(dag_id, run_id, "capture")
    shop.change("after capture is cleared")
    shop.wait_until_equal(timeout_seconds=150)
    shop.wait_for_try(dag_id, run_id, "capture", after=tries["capture"])  # a paused DAG starts no tasks
    shop.api.set_paused(dag_id, paused=True)
    shop.change("while the DAG is paused")
    shop.wait_until_equal(timeout_seconds=150)  # the lease goes on

    assert min(tries["capture"], tries["apply"]) >= 2  # both were tried again


def test_apply_in_lanes_defers_resumes_and_survives_killed_workers(shop, task_name):
    shop.define_task(task_name, idle_seconds=10, apply_lanes=2)
    shop.run(f"trempy_{task_name}_full_load")
    dag_id, run_id = shop.start_cdc(task_name)
    shop.change("while running")
    shop.wait_until_equal()
    shop.wait_for_silence(dag_id, run_id)
    shop.change("while deferred")
    shop.wait_until_equal()

    shop.wait_for_state(dag_id, run_id, "apply", "running")
    shop.airflow.kill_task(dag_id, run_id, "apply")
    shop.change("after apply is killed")
    shop.wait_until_equal(timeout_seconds=150)

    lanes = "select count(*) from trempy.lanes where task_name = %s"
    assert shop.pair.target.fetch_value(lanes, [task_name]) == 2


def test_tasks_that_are_asked_to_end_do_so_before_they_are_killed_and_are_tried_again(shop, task_name):
    shop.define_task(task_name, idle_seconds=60)
    shop.run(f"trempy_{task_name}_full_load")
    dag_id, run_id = shop.start_cdc(task_name)
    shop.change("in the first attempt")
    shop.wait_until_equal()

    seconds = {}
    for task_id in ("capture", "apply"):
        shop.wait_for_state(dag_id, run_id, task_id, "running")
        seconds[task_id] = shop.airflow.terminate_task(dag_id, run_id, task_id)
    shop.change("afterwards")

    shop.wait_until_equal(timeout_seconds=150)
    assert max(seconds.values()) < KILL_SECONDS, seconds


def test_lease_ends_with_success_and_a_summary_and_the_next_one_begins(shop, task_name):
    shop.define_task(task_name, run_duration_seconds=20, idle_seconds=1)
    shop.run(f"trempy_{task_name}_full_load")
    dag_id, run_id = shop.start_cdc(task_name)
    shop.change("in the first lease")

    assert shop.api.wait_for_run(dag_id, run_id, timeout_seconds=120) == "success", shop.explain(
        dag_id, run_id
    )
    wait_until(lambda: len(shop.api.dag_runs(dag_id)) > 1, timeout_seconds=30, what="the next lease")
    shop.change("in the second lease")
    shop.wait_until_equal(timeout_seconds=90)

    summary = shop.api.xcom(dag_id, run_id, "capture")
    assert summary["change_count"] == 63
    assert summary["segment_count"] >= 1


def test_two_triggerers_and_the_death_of_one_lose_and_double_nothing(shop, task_name):
    first = shop.airflow.component_pids("triggerer")
    shop.airflow.start_component("triggerer")
    shop.define_task(task_name, idle_seconds=1)
    shop.run(f"trempy_{task_name}_full_load")
    dag_id, run_id = shop.start_cdc(task_name)

    for number in range(2):
        shop.wait_for_silence(dag_id, run_id)
        shop.change(f"round {number}")
        shop.wait_until_equal()
    shop.wait_for_silence(dag_id, run_id)
    for pid in first:
        send_signal(pid, signal.SIGKILL)
    shop.change("while one triggerer is dead")
    shop.wait_until_equal(timeout_seconds=150)


def test_stop_that_needs_a_person_pauses_the_dag_and_says_why(shop, task_name):
    shop.define_task(task_name, max_consecutive_failures=2)
    shop.run(f"trempy_{task_name}_full_load")
    shop.pair.source.execute("select pg_drop_replication_slot(%s)", [f"trempy_{task_name}"])
    started_at = time.monotonic()

    dag_id, _ = shop.start_cdc(task_name)
    wait_until(
        lambda: shop.api.get(f"/dags/{dag_id}")["is_paused"], timeout_seconds=120, what="the DAG pauses"
    )

    runs = shop.api.dag_runs(dag_id)
    reason = shop.pair.target.fetch_value(
        "select stop_reason from trempy.tasks where task_name = %s", [task_name]
    )
    assert [run["state"] for run in runs[:2]] == ["failed", "failed"]
    assert len(runs) <= 3
    assert "was dropped" in shop.explain(dag_id, runs[0]["dag_run_id"])
    assert "was dropped" in reason
    assert time.monotonic() - started_at < 120


def test_connections_have_forms_and_are_tested_by_airflow_itself(shop):
    pair = shop.pair
    fields = {
        "rabbitmq": shop.api.get("/connections/trempy_broker") | {"password": "wrong"},
        "trempy_source": connection_fields(pair.source_admin_uri, "trempy_source"),  # no REPLICATION
        "trempy_target": connection_fields(pair.target_uri, "trempy_target"),
    }

    answers = {name: shop.test_connection(name, connection) for name, connection in fields.items()}

    assert {name: answer["status"] for name, answer in answers.items()} == {
        "rabbitmq": False,
        "trempy_source": False,
        "trempy_target": True,
    }
    assert "refused" in answers["rabbitmq"]["message"]
    assert "may not replicate" in answers["trempy_source"]["message"]
    assert "can be a target" in answers["trempy_target"]["message"]
    forms = {form["connection_type"]: form for form in shop.api.list_ui("/connections/hook_meta")}
    assert {"ca_file", "server_name", "management_url"} <= forms["rabbitmq"]["extra_fields"].keys()
    assert "sslmode" in forms["trempy_source"]["extra_fields"]

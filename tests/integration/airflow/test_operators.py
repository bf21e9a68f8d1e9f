import json
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from tests.integration.airflow.conftest import make_settings
from tests.support.databases import connect
from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.capture import TrempyCaptureOperator
from trempy_provider.operators.cutover import TrempyCutoverOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.lease import LeaseProgress
from trempy_provider.operators.setup import TrempySetupOperator
from trempy_provider.operators.status import TrempyStatusOperator
from trempy_provider.operators.sync_sequences import TrempySyncSequencesOperator
from trempy_provider.operators.tables import TrempyTablesOperator
from trempy_provider.operators.teardown import TrempyTeardownOperator
from trempy_provider.operators.validate import TrempyValidateOperator

BUSY_SECONDS = 1.0  # what a busy machine may add
ORDERS = "create table public.orders (id bigint primary key, note text)"


def _context(**params):
    return {"dag_run": SimpleNamespace(start_date=datetime.now(timezone.utc)), "params": params}


def _rows(database):
    return database.fetch_all("select id, note from public.orders order by id")


@contextmanager
def locked(database, table):
    """Keep everybody else from reading a table."""
    with connect(database.uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"begin; lock table {table}")
        yield
        cursor.execute("rollback")


@pytest.fixture
def orders(connections):
    connections.source_admin.execute(ORDERS)
    connections.source_admin.execute(
        "insert into public.orders select n, 'old' from generate_series(1, 100) n"
    )
    return connections


@pytest.fixture
def run(settings):
    """Run an operator for the task under test; the settings are given inline."""

    def run(operator_class, context=None, **arguments):
        operator = operator_class(task_id="tested", settings=settings, **arguments)
        return operator.execute(context or _context())

    return run


def test_task_is_set_up_loaded_and_torn_down_with_small_facts_as_results(orders, run):
    setup = run(TrempySetupOperator)
    load = run(TrempyFullLoadOperator)
    status = run(TrempyStatusOperator)
    teardown = run(TrempyTeardownOperator)

    assert setup["tables"] == ["public.orders"]
    assert load["rows"] == 100
    assert teardown["slot_dropped"]
    assert _rows(orders.target) == _rows(orders.source)
    json.dumps([setup, load, status, teardown])


def test_validation_and_cutover_fail_with_what_they_found_while_rows_differ(orders, run):
    run(TrempySetupOperator)
    run(TrempyFullLoadOperator)
    orders.target_admin.execute("update public.orders set note = 'damaged' where id in (1, 50)")
    pushed = {}
    ti = SimpleNamespace(xcom_push=lambda key, value: pushed.update(value))

    with pytest.raises(AirflowFailException, match=r"public\.orders \(different\)"):
        run(TrempyValidateOperator, {**_context(), "ti": ti})
    with pytest.raises(AirflowFailException, match="not safe to switch"):
        run(TrempyCutoverOperator, {**_context(), "ti": ti})

    assert pushed["tables"] == [
        {"table": "public.orders", "target": "public.orders", "state": "different"}
        | {"row_count": 100, "range_count": 1, "different_count": 2}
    ]
    assert pushed["is_safe"] is False
    chosen = {**_context(tables=["public.orders"]), "ti": ti}
    assert run(TrempyValidateOperator, chosen, choice_param="tables", repair="True")["repaired_count"] == 2
    assert run(TrempyCutoverOperator)["verdict"] == "safe to switch"
    assert _rows(orders.target) == _rows(orders.source)


def test_sequences_are_brought_to_where_the_source_has_them(orders, run):
    orders.source_admin.execute("alter table public.orders add number serial")
    run(TrempySetupOperator)
    run(TrempyFullLoadOperator)
    orders.source_admin.execute("select setval('public.orders_number_seq', 500)")

    run(TrempySyncSequencesOperator)

    assert orders.target_admin.fetch_value("select nextval('public.orders_number_seq')") == 501


def test_settings_come_from_the_variable_by_name(orders, settings, define_task, task_name):
    define_task(settings)

    TrempySetupOperator(task_id="tested", task_name=task_name).execute(_context())

    assert orders.source.fetch_value(
        "select count(*) from pg_replication_slots where slot_name = %s", [f"trempy_{task_name}"]
    )


def test_changes_arrive_through_capture_and_apply_which_defer_when_it_is_quiet(orders, run):
    run(TrempySetupOperator)
    run(TrempyFullLoadOperator)
    orders.source_admin.execute("update public.orders set note = 'new' where id <= 10")

    with pytest.raises(TaskDeferred) as capture:
        run(TrempyCaptureOperator)
    with pytest.raises(TaskDeferred) as apply:
        run(TrempyApplyOperator)

    assert _rows(orders.target) == _rows(orders.source)
    assert capture.value.trigger.progress["totals"]["change_count"] == 10
    assert apply.value.trigger.progress["totals"]["change_count"] == 10


def test_trigger_carries_names_and_no_secret(orders, run):
    run(TrempySetupOperator)

    with pytest.raises(TaskDeferred) as deferred:
        run(TrempyCaptureOperator)

    text = json.dumps(deferred.value.trigger.serialize())
    assert "trempy_source" in text
    assert orders.source_uri.split("@")[0].rpartition(":")[2] not in text


def test_lease_that_is_over_ends_with_the_sum_of_its_segments(settings):
    progress = LeaseProgress("2024-01-01T00:00:00+00:00").plus({"change_count": 2, "end_reason": "idle"})
    progress = progress.plus({"change_count": 3, "end_reason": "deadline", "confirmed_lsn": "0/1"})
    event = {
        "reason": "deadline",
        "progress": {"ends_at": progress.ends_at, "segment_count": 2, "totals": progress.totals},
    }

    summary = TrempyCaptureOperator(task_id="tested", settings=settings).resume(_context(), event)

    assert summary == {
        "change_count": 5,
        "end_reason": "deadline",
        "confirmed_lsn": "0/1",
        "segment_count": 2,
    }


def test_lease_keeps_its_end_when_it_is_tried_again():
    started_at = datetime.now(timezone.utc) - timedelta(seconds=1000)

    progress = LeaseProgress.starting(started_at.isoformat(), run_duration_seconds=1200)

    assert 198 < progress.remaining_seconds < 201


def test_lease_that_is_over_when_it_is_tried_again_still_does_something():
    progress = LeaseProgress.starting("2024-01-01T00:00:00+00:00", run_duration_seconds=60)

    assert progress.remaining_seconds > 9


def test_lease_without_deferral_streams_until_its_end(orders, task_name):
    settings = make_settings(task_name, run_duration_seconds=10)
    TrempySetupOperator(task_id="setup", settings=settings).execute(_context())
    operator = TrempyCaptureOperator(task_id="tested", settings=settings, deferrable=False)

    summary = operator.execute(_context())

    assert summary["end_reason"] == "deadline"


@pytest.mark.parametrize("job", [TrempyCaptureOperator, TrempyApplyOperator, TrempyFullLoadOperator])
def test_killed_task_ends_within_two_seconds_and_is_tried_again(orders, run, settings, job):
    run(TrempySetupOperator)
    waits = {} if job is TrempyFullLoadOperator else {"deferrable": False}
    operator = job(task_id="tested", settings=settings, **waits)
    killed_at = []

    def kill():
        killed_at.append(time.monotonic())
        operator.on_kill()

    timer = threading.Timer(2.0, kill)
    with locked(orders.source_admin, "public.orders"):  # a load waits for it; capture and apply do not care
        timer.start()
        with pytest.raises(AirflowException, match="stopped") as caught:
            operator.execute(_context())
        ended_at = time.monotonic()

    assert ended_at - killed_at[0] < 2 + BUSY_SECONDS
    assert not isinstance(caught.value, AirflowFailException)


def test_error_that_needs_a_person_is_not_tried_again_and_is_recorded(orders, run, task_name):
    run(TrempySetupOperator)
    orders.source.execute("select pg_drop_replication_slot(%s)", [f"trempy_{task_name}"])

    with pytest.raises(AirflowFailException, match="dropped"):
        run(TrempyCaptureOperator)

    reason = orders.target.fetch_value(
        "select stop_reason from trempy.tasks where task_name = %s", [task_name]
    )
    assert reason.startswith("capture: ")
    assert "trempy reload" in reason


def test_stop_reason_is_cleared_by_the_job_that_recorded_it(orders, run, task_name):
    run(TrempySetupOperator)
    write = "update trempy.tasks set stop_reason = %s where task_name = %s"
    read = "select stop_reason from trempy.tasks where task_name = %s"

    orders.target.execute(write, ["apply: a row", task_name])
    with pytest.raises(TaskDeferred):
        run(TrempyCaptureOperator)
    kept = orders.target.fetch_value(read, [task_name])
    orders.target.execute(write, ["capture: a slot", task_name])
    with pytest.raises(TaskDeferred):
        run(TrempyCaptureOperator)

    assert kept == "apply: a row"
    assert orders.target.fetch_value(read, [task_name]) is None


def test_unreachable_target_is_tried_again(orders, run, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_TREMPY_TARGET", "postgres://nobody@127.0.0.1:1/nothing")

    with pytest.raises(AirflowException) as caught:
        run(TrempySetupOperator)

    assert not isinstance(caught.value, AirflowFailException)


def test_wrong_settings_are_not_tried_again(connections):
    operator = TrempySetupOperator(task_id="tested", settings={"task": {"task_name": "a b"}, "tables": []})

    with pytest.raises(AirflowFailException, match=r"task\.task_name"):
        operator.execute(_context())


def test_tables_are_listed_for_mapping_as_the_run_chooses(orders, run):
    assert run(TrempyTablesOperator, choice_param="tables", context=_context(tables=[])) == [
        ["public.orders"]
    ]

    with pytest.raises(AirflowFailException, match=r"public\.nothing"):
        run(TrempyTablesOperator, choice_param="tables", context=_context(tables=["public.nothing"]))


def test_reload_that_is_tried_again_leaves_alone_what_this_run_has_loaded(orders, run):
    run(TrempySetupOperator)
    context = _context()

    first = run(TrempyFullLoadOperator, context=context, reload=True)
    again = run(TrempyFullLoadOperator, context=context, reload="True")
    next_run = run(TrempyFullLoadOperator, reload=True)

    assert [len(report["tables"]) for report in (first, again, next_run)] == [1, 0, 1]

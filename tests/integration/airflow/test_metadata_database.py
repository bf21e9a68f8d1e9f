"""metadata_conn_id through Airflow: operators, triggers and the sensor find both places by their connections."""

import asyncio
import copy
import json
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.capture import TrempyCaptureOperator
from trempy_provider.operators.check import TrempyCheckOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.setup import TrempySetupOperator
from trempy_provider.operators.status import TrempyStatusOperator
from trempy_provider.operators.teardown import TrempyTeardownOperator
from trempy_provider.sensors.caught_up import ReplicationCaughtUpSensor
from trempy_provider.triggers.capture import CaptureTrigger
from trempy_provider.triggers.caught_up import CaughtUpTrigger

CONTEXT = {"dag_run": SimpleNamespace(start_date=None), "params": {}}


def serialized(deferred):
    """Return a trigger's arguments as Airflow keeps them."""
    return json.loads(json.dumps(deferred.value.trigger.serialize()[1]))


async def fire(trigger):
    return (await anext(aiter(trigger.run()))).payload


def test_operators_triggers_and_sensor_resolve_the_metadata_connection(
    connections, metadata_database, monkeypatch, settings, define_task, task_name
):
    monkeypatch.setenv("AIRFLOW_CONN_OPERATIONS", metadata_database.uri)
    settings["task"]["metadata_conn_id"] = "operations"
    define_task(settings)
    connections.source_admin.execute(
        "create table public.orders (id bigint primary key, note text);"
        "insert into public.orders select n, 'old' from generate_series(1, 100) n"
    )

    def run(operator, given=settings):
        return operator(task_id="tested", settings=given).execute(CONTEXT)

    assert run(TrempyCheckOperator)["findings"] == []
    run(TrempySetupOperator)
    assert run(TrempyFullLoadOperator)["rows"] == 100
    connections.source_admin.execute("update public.orders set note = 'new'")
    with pytest.raises(TaskDeferred) as captured:
        run(TrempyCaptureOperator)
    with pytest.raises(TaskDeferred) as waiting:
        ReplicationCaughtUpSensor(task_id="tested", task_name=task_name).execute(CONTEXT)
    with pytest.raises(TaskDeferred):
        run(TrempyApplyOperator)
    assert connections.target.fetch_value("select count(*) from public.orders where note = 'new'") == 100

    arguments = serialized(captured)
    assert arguments["metadata_conn_id"] == "operations"
    assert metadata_database.uri.split("@")[0].rpartition(":")[2] not in str(arguments)
    connections.source_admin.execute("insert into public.orders values (101, 'last')")
    assert asyncio.run(fire(CaptureTrigger(**arguments)))["reason"] == "work"
    for operator in (TrempyCaptureOperator, TrempyApplyOperator):
        with pytest.raises(TaskDeferred):
            run(operator)
    event = asyncio.run(fire(CaughtUpTrigger(**serialized(waiting))))
    assert event["lsn"] == waiting.value.trigger.lsn

    status = run(TrempyStatusOperator)
    assert (status["unreachable"], status["capture"]["change_count"]) == ({}, 101)
    moved = copy.deepcopy(settings)
    del moved["task"]["metadata_conn_id"]
    for operator in (TrempySetupOperator, TrempyCaptureOperator, TrempyApplyOperator):
        with pytest.raises(AirflowFailException, match="metadata_conn_id"):
            run(operator, moved)

    assert metadata_database.fetch_all("select task_name, stop_reason from trempy.tasks") == [
        (task_name, None)
    ]
    assert run(TrempyTeardownOperator)["task_deleted"]
    assert metadata_database.fetch_value("select count(*) from pg_namespace where nspname = 'trempy'") == 0

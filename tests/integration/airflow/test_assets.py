"""Replicated tables as assets: names, and the events that apply and full load hand to Airflow."""

import json
import socket
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from airflow.sdk import AssetAlias
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors

from tests.integration.airflow.conftest import make_settings
from trempy_provider.assets import asset_of, replicated_table, replicated_tables
from trempy_provider.errors import ConfigurationError
from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.capture import TrempyCaptureOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator
from trempy_provider.operators.setup import TrempySetupOperator
from trempy_provider.postgres.tables import QualifiedName

HOSTILE = QualifiedName("sch/ema?", "ta\"ble #1 <script>\n.é%2F'")
OVER = {"reason": "deadline"}


@pytest.fixture
def context():
    """Return a context with what a task instance is given to emit events."""
    return make_context("first")


def make_context(run_id):
    instance = SimpleNamespace(dag_id="dag", run_id=run_id, task_id="tested", map_index=-1)
    return {
        "ti": instance,
        "dag_run": SimpleNamespace(start_date=datetime.now(timezone.utc)),
        "params": {},
        "outlet_events": OutletEventAccessors(),
    }


def events(context, task_name):
    """Return the extra of each event by its asset's URI."""
    found = context["outlet_events"][replicated_tables(task_name)].asset_alias_events
    assert len({event.dest_asset_key.uri for event in found}) == len(found)  # one for each table
    return {event.dest_asset_key.uri: event.extra for event in found}


@pytest.fixture
def shop(connections):
    """Two tables with rows, one of them with a hostile name."""
    connections.source_admin.execute(f"""
        create table public.orders (id bigint primary key);
        insert into public.orders select generate_series(1, 10);
        create schema "{HOSTILE.schema_name}";
        create table {HOSTILE} (id bigint primary key);
    """)
    return connections


@pytest.fixture
def shop_settings(task_name):
    settings = make_settings(task_name)
    settings["tables"].append({"schema_name": HOSTILE.schema_name, "table_name": HOSTILE.table_name})
    return settings


@pytest.fixture
def run(shop_settings):
    def run(operator_class, context, **arguments):
        return operator_class(task_id="tested", settings=shop_settings, **arguments).execute(context)

    return run


def finish_lease(settings, context):
    """Let a lease of apply be over that was deferred."""
    event = {**OVER, "progress": {"ends_at": "2024-01-01T00:00:00+00:00"}}
    TrempyApplyOperator(task_id="tested", settings=settings).resume(context, event)


def change(shop, statement):
    shop.source_admin.execute(statement)


def test_asset_is_named_by_task_schema_and_table_without_looking_anything_up(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", None)

    asset = replicated_table("shop", "sales.orders")

    assert (asset.name, asset.uri) == ("trempy://shop/sales/orders",) * 2
    assert replicated_table("shop", str(HOSTILE)) == asset_of("shop", HOSTILE)
    assert replicated_tables("shop") == AssetAlias("trempy_shop")
    with pytest.raises(ConfigurationError, match="not a table name"):
        replicated_table("shop", "orders")


def test_names_that_differ_give_assets_that_differ():
    names = [
        QualifiedName("a", "b/c"),
        QualifiedName("a/b", "c"),
        QualifiedName("A", "b/c"),
        QualifiedName("a", "b%2Fc"),
        QualifiedName("a", "b/c/"),
        QualifiedName("a", "b/c?d=e"),
        QualifiedName("a", "b/c#d"),
        HOSTILE,
    ]

    assets = [asset_of("shop", name) for name in names]

    assert len({asset.uri for asset in assets}) == len(names)
    assert all(asset.uri.isascii() and asset.uri.isprintable() for asset in assets)


def test_full_load_tells_of_the_tables_it_has_loaded(shop, run, context, task_name):
    run(TrempySetupOperator, context)
    report = run(TrempyFullLoadOperator, context, tables=["public.orders"])

    (event,) = events(context, task_name).values()
    assert event["task_name"] == task_name
    assert event["source_table"] == event["target_table"] == "public.orders"
    assert event["loaded_row_count"] == 10
    assert event["insert_count"] == 0
    assert event["end_lsn"] == report["tables"][0]["snapshot_lsn"]


def test_lease_tells_once_of_each_table_it_has_changed_with_one_end_lsn(
    shop, run, shop_settings, context, task_name
):
    run(TrempySetupOperator, context)
    run(TrempyFullLoadOperator, make_context("load"))
    change(shop, f"""
        begin;
        insert into public.orders select generate_series(11, 13);
        delete from public.orders where id <= 2;
        commit;
        begin;
        insert into public.orders values (14);
        update public.orders set id = 100 where id = 3;
        insert into {HOSTILE} values (1);
        commit;
    """)  # fmt: skip
    for operator in (TrempyCaptureOperator, TrempyApplyOperator):
        with pytest.raises(TaskDeferred):
            run(operator, context)

    deferred = events(context, task_name)
    finish_lease(shop_settings, context)
    finish_lease(shop_settings, next_lease := make_context("second"))

    told = events(context, task_name)
    orders, hostile = told["trempy://" + task_name + "/public/orders"], told[asset_of(task_name, HOSTILE).uri]
    checkpoint = "select end_lsn::text, committed_at from trempy.checkpoints where task_name = %s"
    end_lsn, committed_at = shop.target.fetch_all(checkpoint, [task_name])[0]
    assert deferred == {}  # Airflow emits events when a task succeeds, and this one goes on
    assert orders == {
        "task_name": task_name,
        "source_table": "public.orders",
        "target_table": "public.orders",
        "insert_count": 4,
        "update_count": 1,
        "delete_count": 2,
        "truncate_count": 0,
        "loaded_row_count": None,
        "end_lsn": end_lsn,
        "committed_at": committed_at.isoformat(),
    }
    assert (hostile["insert_count"], hostile["end_lsn"]) == (1, end_lsn)
    assert hostile["source_table"] == str(HOSTILE)
    assert events(next_lease, task_name) == {}
    json.dumps(told)


def test_lease_that_is_tried_again_tells_again_what_nobody_may_have_heard(
    shop, run, shop_settings, context, task_name
):
    run(TrempySetupOperator, context)
    run(TrempyFullLoadOperator, make_context("load"))
    for number in (20, 21):
        change(shop, f"insert into public.orders values ({number})")
        for operator in (TrempyCaptureOperator, TrempyApplyOperator):
            with pytest.raises(TaskDeferred):
                run(operator, context)
        finish_lease(shop_settings, again := make_context("first"))

    (event,) = events(again, task_name).values()
    assert event["insert_count"] == 2


def test_table_that_is_ahead_of_the_others_is_told_of_when_they_have_come_there(
    shop, run, shop_settings, context, task_name
):
    run(TrempySetupOperator, context)
    shop.target.execute(
        "update trempy.table_states set load_finished_at = now(), snapshot_lsn = 'F/0' where source_table = %s",
        ["orders"],
    )

    finish_lease(shop_settings, early := make_context("early"))
    shop.target.execute("update trempy.checkpoints set end_lsn = 'F/10' where task_name = %s", [task_name])
    finish_lease(shop_settings, late := make_context("late"))

    assert events(early, task_name) == {}
    (event,) = events(late, task_name).values()
    assert event["end_lsn"] == "F/10"


def test_alias_is_an_outlet(shop_settings, task_name):
    operator = TrempyApplyOperator(task_id="tested", settings=shop_settings)
    by_name = TrempyFullLoadOperator(task_id="tested", task_name=task_name)

    assert operator.outlets == by_name.outlets == [replicated_tables(task_name)]

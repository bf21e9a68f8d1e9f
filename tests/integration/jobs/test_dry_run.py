"""A dry run shows what the settings make of a sample, and leaves nothing behind on either side."""

import json
from typing import Any

import pytest

from tests.support.databases import DatabasePair
from tests.support.tasks import make_source, make_target, make_task
from trempy_provider.assistant.presentation import dry_run_text
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError
from trempy_provider.jobs.dry_run import DryRunReport, TableTrial, dry_run

TABLES = """
create schema shop;
create table shop.customers (id int primary key, name text not null, state char(2), email text, big numeric);
insert into shop.customers
    select g, 'Name ' || g, case g % 4 when 0 then 'RJ' when 1 then 'SP' when 2 then 'BA' end, 'e' || g || '@x', g
    from generate_series(1, 40) g;
create table shop.parts (id int primary key, v int) partition by range (id);
create table shop.parts_1 partition of shop.parts for values from (0) to (100);
insert into shop.parts select g, g from generate_series(1, 10) g;
create table shop.empty (id int primary key);
"""
CUSTOMERS = {"schema_name": "shop", "table_name": "customers"}


@pytest.fixture
def shop(databases: DatabasePair) -> DatabasePair:
    databases.source_admin.execute(TABLES)
    return databases


def change(column: str, **contract: Any) -> dict[str, Any]:
    settings = {
        "transformation_type": "modify_column_value",
        "contract": {"column_name": column, **contract},
    }
    return {"table_info": CUSTOMERS, "settings": settings}


def task_with(task_name: str, *tables: str, **parts: Any) -> ReplicationTask:
    task = make_task(task_name, tables, **parts.pop("task", {}))
    return ReplicationTask.model_validate(task.model_dump(mode="json", exclude_defaults=True) | parts)


def run(task: ReplicationTask, databases: DatabasePair, **options: Any) -> DryRunReport:
    source, target = make_source(databases, task.task_name), make_target(databases, task.task_name)
    return dry_run(task, source=source, target=target, **options)


def trial(report: DryRunReport, table: str) -> TableTrial:
    return next(each for each in report.tables if each.source == f"shop.{table}")


def everything_on(admin: Any) -> list[tuple[Any, ...]]:
    return admin.fetch_all(
        "select n.nspname, c.relname, c.relkind, pg_relation_size(c.oid) from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^pg_' or n.nspname ~ '^pg_temp'"
        " union all select 'slot', slot_name, 'S', 0 from pg_replication_slots"
        " union all select 'publication', pubname, 'P', 0 from pg_publication"
        " union all select 'schema', nspname, 'N', 0 from pg_namespace where nspname !~ '^pg_' order by 1, 2"
    )


def test_the_targets_sequences_do_not_advance(shop: DatabasePair, task_name: str) -> None:
    shop.target_admin.execute(
        "create schema shop; create table shop.customers (id int primary key, name text not null,"
        ' state char(2), email text, big numeric, "it\'s" serial, code text default'
        " 'C' || nextval('shop.\"customers_it''s_seq\"'))"
    )

    report = run(task_with(task_name, "customers"), shop, shown_rows=1)

    assert report.error is None
    assert trial(report, "customers").sample.passing_rows == 40
    assert shop.target_admin.fetch_value('select is_called from shop."customers_it\'s_seq"') is False


def test_rows_before_and_after_filters_and_ddl_are_shown_and_undone(
    shop: DatabasePair, task_name: str
) -> None:
    filters = [
        {
            "table_info": CUSTOMERS,
            "settings": {"filter_type": "in", "column_name": "state", "values": ["RJ", "SP"]},
        },
        {
            "table_info": CUSTOMERS,
            "settings": {"filter_type": "less_than", "column_name": "id", "value": 31},
        },
    ]
    changes = [change("name", operation="uppercase"), change("email", operation="redact")]
    task = task_with(task_name, "customers", "parts", "empty", filters=filters, transformations=changes)
    on_source, on_target = everything_on(shop.source_admin), everything_on(shop.target_admin)

    report = run(task, shop)

    assert report.error is None
    customers = trial(report, "customers")
    assert customers.sample is not None
    assert (customers.sample.rows, customers.sample.passing_rows) == (40, 15)
    assert customers.sample.rejected == {"filters[0]": 20, "filters[1]": 10}  # NULL passes none
    assert customers.sample.before[0] == {
        "id": "1", "name": "Name 1", "state": "SP", "email": "(masked)", "big": "1",
    }  # fmt: skip
    assert customers.sample.after[0] == {
        "id": "1", "name": "NAME 1", "state": "SP", "email": "***", "big": "1",
    }  # fmt: skip
    assert len(customers.sample.after) == 3
    create, key = customers.sample.ddl
    assert create.startswith('create table "shop"."customers" ("id" integer not null, "name" text, ')
    assert key.startswith('alter table "shop"."customers" add constraint "customers_pkey" primary key')
    parts, empty = trial(report, "parts").sample, trial(report, "empty").sample
    assert parts is not None
    assert empty is not None
    assert (parts.rows, empty.rows) == (10, 0)
    text = dry_run_text(report)
    assert "shop.customers → shop.customers: of the first 40 rows, 15 pass and 25 do not" in text
    assert "before  id=1, name=Name 1, state=SP, email=(masked), big=1" in text
    assert everything_on(shop.source_admin) == on_source
    assert everything_on(shop.target_admin) == on_target


def test_a_table_that_the_target_has_stays_as_it_is_and_nobody_waits(
    shop: DatabasePair, task_name: str
) -> None:
    shop.target_admin.execute(
        "create schema shop; grant usage, create on schema shop to public;"
        "create table shop.customers (id bigint primary key, name varchar(20) not null, state text, email text,"
        " big numeric check (big > 0), scd_start_date timestamptz, scd_end_date timestamptz, scd_current int);"
        "create unique index on shop.customers (name);"
        "insert into shop.customers (id, name) values (1, 'somebody');"
        f"grant select, insert, update, delete, truncate on shop.customers to {shop.target.role}"
    )
    task = task_with(task_name, "customers", task={"cdc_settings": {"mode": "scd2"}})

    report = run(task, shop, sample_rows=10)

    sample = trial(report, "customers").sample
    assert sample is not None
    assert (sample.rows, sample.passing_rows, sample.ddl) == (10, 10, ())
    assert sample.after[0]["scd_current"] == "1"
    assert sample.after[0]["scd_start_date"]
    assert shop.target_admin.fetch_all("select id, name from shop.customers") == [(1, "somebody")]


def test_one_table_that_fails_says_why_and_hides_none(shop: DatabasePair, task_name: str) -> None:
    shop.source_admin.execute("create table shop.zero (id int primary key, v int)")
    shop.source_admin.execute("insert into shop.zero select g, 0 from generate_series(1, 3) g")
    failing = {
        "table_info": {"schema_name": "shop", "table_name": "zero"},
        "settings": {
            "transformation_type": "modify_column_value",
            "contract": {"operation": "math_expression", "column_name": "v", "expression": "1 / value"},
        },
    }
    task = task_with(task_name, "zero", "customers", transformations=[failing])

    report = run(task, shop)

    assert "division by zero" in str(trial(report, "zero").error)
    assert trial(report, "customers").sample is not None
    assert "shop.zero" in str(report.error)


def test_keys_that_become_equal_are_found(shop: DatabasePair, task_name: str) -> None:
    keys = [
        ("remove_primary_key", {"column_names": ["id"]}),
        ("add_primary_key", {"column_names": ["state"]}),
    ]
    changes = [
        {"table_info": CUSTOMERS, "settings": {"transformation_type": kind, "contract": contract}}
        for kind, contract in keys
    ]
    shop.source_admin.execute("update shop.customers set state = 'XX' where state is null")

    report = run(task_with(task_name, "customers", transformations=changes), shop)

    error = str(trial(report, "customers").error)
    assert "unique" in error
    assert "RJ" not in error


def test_without_rows_to_show_no_value_is_in_the_report(shop: DatabasePair, task_name: str) -> None:
    report = run(task_with(task_name, "customers"), shop, shown_rows=0)

    text = json.dumps(report.as_dict())
    assert "Name 1" not in text
    assert '"rows": 40' in text


def test_what_preflight_finds_is_said_beside_the_sample(shop: DatabasePair, task_name: str) -> None:
    shop.source_admin.execute("create table shop.nokey (a int)")

    report = run(task_with(task_name, "nokey", "customers", "absent"), shop)

    words = [finding.what for finding in report.preflight.errors]
    assert any("would fail once published" in each for each in words)
    assert "it does not exist" in words
    assert {each.source for each in report.tables} == {"shop.nokey", "shop.customers"}
    assert "problem(s) found" in str(report.error)


def test_a_sample_too_large_for_memory_is_refused(
    shop: DatabasePair, task_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trempy_provider.postgres.samples._SAMPLE_BYTES_MAX", 100)

    report = run(task_with(task_name, "customers", "empty"), shop)

    assert "larger than 100 bytes — Take fewer rows." in str(trial(report, "customers").error)
    assert trial(report, "empty").sample is not None


def test_a_table_that_is_recreated_is_proved_beside_the_one_that_is_there(
    shop: DatabasePair, task_name: str
) -> None:
    shop.target.execute("create schema shop; create table shop.customers (other int)")
    options = {"full_load_settings": {"recreate_table_if_exists": True}}

    report = run(task_with(task_name, "customers", task=options), shop)

    sample = trial(report, "customers").sample
    assert sample is not None
    assert sample.passing_rows == 40
    assert sample.ddl[0].startswith('create table "shop"."customers"')
    assert shop.target.fetch_all("select * from shop.customers") == []


def test_a_missing_table_that_may_not_be_created_is_said(shop: DatabasePair, task_name: str) -> None:
    task = task_with(task_name, "customers", task={"create_table_if_not_exists": False})

    report = run(task, shop)

    assert "does not exist" in str(trial(report, "customers").error)
    assert ConfigurationError.__name__ not in str(report.error)


def test_no_further_table_is_tried_once_nobody_wants_it(shop: DatabasePair, task_name: str) -> None:
    looks = iter([False, True, True])

    task = task_with(task_name, "customers", "parts", "empty")
    report = run(task, shop, is_unwanted=lambda: next(looks))

    assert len(report.tables) == 1

"""Check finds everything that is wrong, says how to mend it, and the remedy works."""

import re
from typing import Any

import pytest

from tests.support.databases import DatabasePair
from tests.support.tasks import make_endpoint, make_source, make_target, make_task
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import BrokerUnavailableError, PreflightError
from trempy_provider.jobs.check import CheckReport, check
from trempy_provider.jobs.setup import setup
from trempy_provider.postgres.findings import Finding, Severity
from trempy_provider.postgres.preflight_server import (
    ServerFacts,
    check_replication,
    check_version,
    needed_slots,
)


@pytest.fixture
def shop(databases: DatabasePair) -> DatabasePair:
    databases.source_admin.execute(
        "create schema shop;"
        "create table shop.customers (id int primary key, name text);"
        "create table shop.nokey (a int not null, b text);"
    )
    return databases


def run(task: ReplicationTask, databases: DatabasePair, **options: Any) -> CheckReport:
    return check(
        task,
        source=make_source(databases, task.task_name),
        target=make_target(databases, task.task_name),
        **options,
    )


def found(report: CheckReport, words: str) -> Finding:
    matching = [finding for finding in report.findings if words in finding.what]
    assert len(matching) == 1, [str(finding) for finding in report.findings]
    return matching[0]


def test_nothing_is_found_with_the_documented_grants(shop: DatabasePair, task_name: str) -> None:
    report = run(make_task(task_name, ["customers"]), shop)

    assert report.findings == ()
    assert report.as_dict() == {"findings": []}


def test_no_finding_hides_another(shop: DatabasePair, task_name: str) -> None:
    shop.source_admin.execute(
        "create view shop.glance as select 1 as one; create unlogged table shop.fast (id int primary key)"
    )
    task = make_task(
        task_name, ["glance", "fast", "nokey", "Absent", "customers"], create_table_if_not_exists=False
    )

    report = run(task, shop)

    for words in ("a view", "unlogged", "UPDATE and DELETE on it would fail", "lacks", "it does not exist"):
        assert any(words in finding.what for finding in report.errors) or words == "lacks", words
    with pytest.raises(PreflightError) as caught:
        report.raise_errors(task_name)
    assert str(caught.value).count("→") == len(report.errors)


def test_unreachable_servers_and_broker_are_all_named(shop: DatabasePair, task_name: str) -> None:
    nowhere = "postgresql://nobody:secret@127.0.0.1:1/nothing"

    class Broker:
        def check(self) -> None:
            raise BrokerUnavailableError("broker is away")

    report = check(
        make_task(task_name, ["customers"]),
        source=make_endpoint(nowhere, task_name, "source"),
        target=make_endpoint(nowhere, task_name, "target"),
        broker=Broker(),  # type: ignore[arg-type]
    )

    assert [finding.where for finding in report.errors] == ["source", "target", "broker"]
    assert "secret" not in str(report.findings)


SCD2 = {"cdc_settings": {"mode": "scd2"}}
HISTORY = (
    "target: create schema shop authorization {{role}}; set role {{role}};"
    "create table shop.customers (id int, name text, {columns})"
)

# Tables, options, what the administrator does first, a part of the finding, and where its remedy is run.
CASES: dict[str, tuple[list[Any], dict[str, Any], str, str, str, str]] = {
    "schema not usable": (
        ["customers"],
        {"replication_type": "full_load"},
        "source: revoke {owner} from {role}; revoke usage on schema shop from {role}; grant select on shop.customers to {role}",
        "may not use its schema",
        "source",
        "error",
    ),
    "table not readable": (
        ["customers"],
        {"replication_type": "full_load"},
        "source: revoke {owner} from {role}; grant usage on schema shop to {role}; grant select (id) on shop.customers to {role}",
        "may not read name",
        "source",
        "error",
    ),
    "table not owned": (
        ["customers"],
        {},
        "source: revoke {owner} from {role}; grant usage on schema shop to {role}; grant select on shop.customers to {role}",
        "does not own it",
        "source",
        "error",
    ),
    "no right to publish": (
        ["customers"],
        {},
        "source: revoke create on database {database} from {role}; alter database {database} owner to postgres",
        "may not create a publication",
        "source",
        "error",
    ),
    "no right to replicate": (
        ["customers"],
        {},
        "source: alter role {role} noreplication",
        "may not replicate",
        "source",
        "error",
    ),
    "row security": (
        ["customers"],
        {},
        "source: alter table shop.customers enable row level security, force row level security",
        "row-level security hides rows",
        "source",
        "error",
    ),
    "no right on the target database": (
        ["customers"],
        {},
        "target: revoke create on database {database} from {role}",
        "may not create the metadata schema",
        "target",
        "error",
    ),
    "no right to stage": (
        ["customers"],
        {},
        "target: revoke temporary on database {database} from {role}",
        "may not create temporary tables",
        "target",
        "error",
    ),
    "no right on the target schema": (
        ["customers"],
        {},
        "target: create schema shop authorization postgres",
        "may not create tables in it",
        "target",
        "error",
    ),
    "no right on the target table": (
        ["customers"],
        {},
        (
            "target: create schema shop authorization postgres; create table shop.customers (id int primary key, name text);"
            "grant usage on schema shop to {role}; grant select, insert on shop.customers to {role}"
        ),
        "lacks update, delete, truncate",
        "target",
        "error",
    ),
    "target column missing": (
        ["customers"],
        {},
        "target: create schema shop authorization {role}; set role {role}; create table shop.customers (id int primary key)",
        "lacks the column name",
        "target",
        "error",
    ),
    "target column must be given": (
        ["customers"],
        {},
        (
            "target: create schema shop authorization {role}; set role {role};"
            'create table shop.customers (id int primary key, name text, "Extra" int not null, fine int not null default 1)'
        ),
        '"Extra" is NOT NULL',
        "target",
        "error",
    ),
    "target identity always": (
        ["customers"],
        {},
        (
            "target: create schema shop authorization {role}; set role {role};"
            "create table shop.customers (id int generated always as identity primary key, name text)"
        ),
        "GENERATED ALWAYS AS IDENTITY",
        "target",
        "error",
    ),
    "target column generated": (
        ["customers"],
        {},
        (
            "target: create schema shop authorization {role}; set role {role};"
            "create table shop.customers (id int primary key, name text generated always as ('x') stored)"
        ),
        "is generated",
        "target",
        "error",
    ),
    "target type differs": (
        ["customers"],
        {},
        (
            "target: create schema shop authorization {role}; set role {role};"
            "create table shop.customers (id int primary key, name varchar(5))"
        ),
        "character varying(5), the source's text",
        "target",
        "warning",
    ),
    "upsert without unique index": (
        ["customers"],
        {"cdc_settings": {"mode": "upsert"}},
        "target: create schema shop authorization {role}; set role {role}; create table shop.customers (id int, name text)",
        "by which rows are found: changes will be slow",
        "target",
        "warning",
    ),
    "enum labels missing": (
        ["moods"],
        {},
        (
            "source: set role {owner}; create type shop.mood as enum ('up', 'do''wn');"
            "create table shop.moods (id int primary key, mood shop.mood)"
        ),
        "lacks the labels",
        "target",
        "error",
    ),
    "triggers": (
        ["customers"],
        {},
        (
            "target: create schema shop authorization {role}; set role {role};"
            "create table shop.customers (id int primary key, name text, parent int references shop.customers)"
        ),
        "triggers or foreign keys",
        "target",
        "warning",
    ),
    "no replica identity": (["nokey"], {}, "", "UPDATE and DELETE on it would fail", "", "error"),
    "upsert without key": (
        ["nokey"],
        {"cdc_settings": {"mode": "upsert"}},
        (
            "source: alter table shop.nokey replica identity full; target: create schema shop authorization {role}; "
            "set role {role}; create table shop.nokey (a int, b text)"
        ),
        "it has no key, which the mode upsert needs",
        "",
        "error",
    ),
    "partition without identity": (
        ["parts"],
        {},
        (
            "source: set role {owner}; create table shop.parts (id int, k int) partition by list (k);"
            "create table shop.part_1 partition of shop.parts for values in (1)"
        ),
        "it has no usable replica identity",
        "source",
        "error",
    ),
    "partition with another identity": (
        ["parts"],
        {},
        (
            "source: set role {owner}; create table shop.parts (id int, k int not null) partition by list (k);"
            "alter table shop.parts replica identity full;"
            "create table shop.part_1 partition of shop.parts for values in (1);"
            "create unique index i on shop.part_1 (k); alter table shop.part_1 replica identity using index i"
        ),
        "is not the one of shop.parts",
        "source",
        "error",
    ),
    "partition and root": (
        ["parts", "part_1"],
        {},
        (
            "source: set role {owner}; create table shop.parts (k int primary key) partition by list (k);"
            "create table shop.part_1 partition of shop.parts for values in (1)"
        ),
        "rows would arrive twice",
        "",
        "error",
    ),
    "key not replicated": (
        [{"table_name": "customers", "exclude_columns": ["id"]}],
        {},
        "",
        "its key has the column id, which is not replicated",
        "",
        "error",
    ),
    "full identity with a selection": (
        [{"table_name": "nokey", "columns": ["a"]}],
        {},
        "source: alter table shop.nokey replica identity full",
        "forbids a selection of columns",
        "",
        "error",
    ),
    "unknown column": (
        [{"table_name": "customers", "exclude_columns": ["Nmae"]}],
        {},
        "",
        'it has no column "Nmae"',
        "",
        "error",
    ),
    "inheritance": (
        ["customers"],
        {},
        "source: set role {owner}; create table shop.vip () inherits (shop.customers)",
        "only its own rows are replicated",
        "",
        "warning",
    ),
    "pattern without a match": ([("shop", "zzz*")], {}, "", "no table matches", "", "error"),
    "history without a key": (["nokey"], SCD2, "", "which the mode scd2 needs", "", "error"),
    "history's name taken": (
        ["customers"],
        SCD2,
        "source: alter table shop.customers add scd_current int",
        "its column scd_current has the name of a column that the mode scd2 adds",
        "",
        "error",
    ),
    "history's column missing": (
        ["customers"],
        SCD2,
        HISTORY.format(columns="scd_start_date timestamp, scd_end_date timestamp"),
        "lacks the column scd_current of the mode scd2",
        "target",
        "error",
    ),
    "history's column unfit": (
        ["customers"],
        SCD2,
        HISTORY.format(columns="scd_start_date timestamptz, scd_end_date timestamptz, scd_current bool"),
        "scd_current of the mode scd2 is boolean; allowed: integer",
        "target",
        "error",
    ),
    "history's index missing": (
        ["customers"],
        SCD2,
        HISTORY.format(columns="scd_start_date timestamp, scd_end_date timestamp, scd_current int"),
        "no unique index on the key and the start of a version (id, scd_start_date)",
        "target",
        "error",
    ),
    "index that allows no history": (
        ["customers"],
        SCD2,
        HISTORY.format(
            columns="scd_start_date timestamp, scd_end_date timestamp, scd_current int, unique (name)"
        ),
        "on (name) allows one version only",
        "",
        "error",
    ),
    "history that loads remove": (
        ["customers"],
        {**SCD2, "full_load_settings": {"truncate_before_insert": True}},
        "",
        "each full load removes the table's history",
        "",
        "warning",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_finding_names_its_remedy_and_the_remedy_works(shop: DatabasePair, task_name: str, case: str) -> None:
    tables, options, preparation, words, mended_on, severity = CASES[case]
    task = make_task(task_name, tables, **options)
    if case == "enum labels missing":
        shop.target.execute("create schema shop; create type shop.mood as enum ('up')")
    _prepare(shop, preparation)

    finding = found(run(task, shop), words)

    assert str(finding.severity) == severity
    assert finding.remedy
    if mended_on:
        superuser = shop.source_superuser if mended_on == "source" else shop.target_superuser
        superuser.execute(_first_statement(finding.remedy))
        assert not any(words in left.what for left in run(task, shop).findings)


def _first_statement(remedy: str) -> str:
    return re.split(r" \((?:or|Amazon|the owner)| or give", remedy)[0].removeprefix("As a superuser: ")


def _prepare(databases: DatabasePair, preparation: str) -> None:
    source = {
        "role": databases.source.role,
        "owner": databases.source_admin.role,
        "database": databases.source.name,
    }
    target = {
        "role": databases.target.role,
        "owner": databases.target_admin.role,
        "database": databases.target.name,
    }
    on_source, _, on_target = preparation.partition("target: ")
    if on_source:
        databases.source_superuser.execute(on_source.removeprefix("source: ").format(**source))
    if on_target:
        databases.target_superuser.execute(on_target.format(**target))


def test_history_by_a_key_that_delete_does_not_send_is_refused(shop: DatabasePair, task_name: str) -> None:
    options = make_task(task_name, ["customers"], **SCD2).model_dump(mode="json", by_alias=True)
    key = {"transformation_type": "add_primary_key", "contract": {"column_names": ["name"]}}
    of_customers = {"schema_name": "shop", "table_name": "customers"}
    transformations = [{"table_info": of_customers, "settings": key}]
    task = ReplicationTask.model_validate({**options, "transformations": transformations})

    finding = found(run(task, shop), "its history has another key")

    assert "may not send name" in finding.what
    shop.source_admin.execute(finding.remedy)
    assert run(task, shop).errors == ()


def test_source_and_target_must_differ(shop: DatabasePair, task_name: str) -> None:
    endpoint = make_source(shop, task_name)

    report = check(make_task(task_name, ["customers"]), source=endpoint, target=endpoint)

    assert found(report, "the same database").severity is Severity.ERROR


def test_target_table_of_another_task_is_refused(shop: DatabasePair, task_name: str) -> None:
    options = {"source": make_source(shop, task_name), "target": make_target(shop, task_name)}
    setup(make_task(f"{task_name}_a", ["customers"], replication_type="full_load"), **options)

    report = run(make_task(f"{task_name}_b", ["customers"], replication_type="full_load"), shop)

    assert f"{task_name}_a writes to it too" in found(report, "writes to it").what


def test_extension_type_is_named_with_its_extension(shop: DatabasePair, task_name: str) -> None:
    shop.source_superuser.execute("create extension hstore schema public")
    shop.source_admin.execute(
        "create table shop.tagged (id int primary key, tags public.hstore, more public.hstore[])"
    )

    finding = found(run(make_task(task_name, ["tagged"]), shop), "hstore")

    assert "of the extension hstore" in finding.what
    shop.target_superuser.execute(finding.remedy.removeprefix("On the target: "))
    assert run(make_task(task_name, ["tagged"]), shop).errors == ()


def test_publication_made_by_an_administrator_needs_no_ownership(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    owner, role = shop.source_admin.role, shop.source.role
    shop.source_superuser.execute(
        f"revoke {owner} from {role}; grant usage on schema shop to {role}; grant select on shop.customers to {role};"
        f"create publication {task.publication_name} for table shop.customers with (publish_via_partition_root)"
    )

    assert run(task, shop).errors == ()


@pytest.mark.pg(18, 16)
def test_newer_servers_are_checked(shop: DatabasePair, task_name: str) -> None:
    assert run(make_task(task_name, ["customers"]), shop).errors == ()


FACTS = ServerFacts(
    version=150000,
    role="r",
    database="d",
    is_superuser=False,
    may_replicate=True,
    may_create=True,
    may_create_temporary=True,
    may_set_replica_role=True,
    is_standby=False,
    wal_level="replica",
    max_slots=1,
    slot_count=1,
    max_walsenders=3,
    walsender_count=2,
    slot_wal_keep_bytes=0,
    encoding="UTF8",
    collation="c C",
    collation_version=None,
)


def test_server_without_room_or_wal_level_is_found(task_name: str) -> None:
    needs = needed_slots(make_task(task_name, ["t"]), slot_exists=False, slot_is_active=False)

    findings = list(check_replication(FACTS, "source", needs))

    seen = " ".join(finding.what for finding in findings)
    for words in (
        "wal_level is replica",
        "0 of 1 replication slots",
        "1 of 3 walsenders",
        "max_slot_wal_keep_size",
    ):
        assert words in seen
    assert not list(check_version(FACTS, "source"))

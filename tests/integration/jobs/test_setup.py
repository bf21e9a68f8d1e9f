"""Setup makes everything once, with least privileges, and mends what a kill left."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg2 import sql

from tests.support.databases import Database, DatabasePair
from tests.support.tasks import make_source, make_target, make_task, open_source, open_target
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import JobInProgressError, PreflightError, SlotCreationBlockedError
from trempy_provider.jobs import setup as setup_job
from trempy_provider.jobs.setup import SetupReport, setup
from trempy_provider.postgres.checkpoints import read_capture_progress, read_checkpoint
from trempy_provider.postgres.metadata import read_task, record_stop
from trempy_provider.postgres.replication_connection import open_replication
from trempy_provider.postgres.schema import create_target_table
from trempy_provider.postgres.setup_lock import setup_lock
from trempy_provider.postgres.slot import create_slot, read_slot
from trempy_provider.postgres.table_states import LoadState, read_table_states, update_table_state
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.lsn import Lsn

LONGEST = "ä" * 31 + "x"  # 63 bytes
HOSTILE = [
    'quo"te',
    "dotted.name",
    "Orders",
    "orders",
    LONGEST,
    "select",
    "sp ace",
    "%s",
    "{}",
    "back\\slash",
    "o'clock",
]


class Killed(BaseException):
    """Stands for SIGKILL between two steps."""


@pytest.fixture
def shop(databases: DatabasePair) -> DatabasePair:
    databases.source_admin.execute(
        "create schema shop;"
        "create table shop.customers (id bigint generated always as identity primary key, name text not null);"
        "create table shop.orders (shop int, number serial, total numeric(10,2) default 0, primary key (number, shop));"
        "create table shop.notes (note text); alter table shop.notes replica identity full;"
    )
    return databases


def run(task: ReplicationTask, databases: DatabasePair, *, restart: bool = False) -> SetupReport:
    return setup(
        task,
        source=make_source(databases, task.task_name),
        target=make_target(databases, task.task_name),
        restart=restart,
    )


def everything(database: Database) -> dict[str, Any]:
    """Describe all objects of a database, with the row versions of publications and schemas."""
    catalogs = {
        "pg_publication": "true",
        "pg_publication_rel": "true",
        "pg_namespace": "nspname !~ '^pg_'",
    }
    seen: dict[str, Any] = {
        catalog: database.fetch_all(
            f"select xmin::text, ctid::text, t::text from {catalog} t where {condition} order by 3"
        )
        for catalog, condition in catalogs.items()
    }
    seen["columns"] = database.fetch_all(
        "select attrelid::regclass::text, attname, attnum from pg_attribute where attrelid >= 16384"
        " order by 1, 3"
    )
    seen["slots"] = database.fetch_all(
        "select slot_name, confirmed_flush_lsn from pg_replication_slots where database = current_database()"
    )
    return seen


def metadata(database: Database) -> dict[str, Any]:
    tables = ("tasks", "checkpoints", "capture_progress", "table_states", "migrations")
    return {
        table: database.fetch_all(f"select xmin::text, t::text from trempy.{table} t order by 2")
        for table in tables
    }


def test_setup_makes_publication_slot_tables_and_metadata(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers", "orders", "notes"])

    report = run(task, shop)

    assert report.started_anew
    assert report.slot == report.publication == f"trempy_{task_name}"
    assert set(report.created_tables) == {"shop.customers", "shop.orders", "shop.notes"}
    with open_source(shop) as source, open_target(shop) as target:
        assert read_slot(source, task.slot_name).confirmed_flush_lsn == report.consistent_point
        row = read_task(target, task_name)
        assert row is not None
        assert row.consistent_point == report.consistent_point
        assert read_checkpoint(target, task_name).end_lsn == report.consistent_point
        assert read_capture_progress(target, task_name).published_lsn == report.consistent_point
        states = {str(state.source): state for state in read_table_states(target, task_name).values()}
    assert {state.state for state in states.values()} == {LoadState.PENDING}
    assert states["shop.orders"].key_columns == ("number", "shop")
    assert states["shop.notes"].key_columns == ()
    assert all(state.created_by_task for state in states.values())
    assert json.dumps(report.as_dict())


def test_second_setup_changes_nothing(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers", {"table_name": "o*", "exclude_columns": ["total"]}])
    first = run(task, shop)
    before = everything(shop.source_superuser), everything(shop.target_superuser), metadata(shop.target)

    second = run(task, shop)

    assert not second.started_anew
    assert second.consistent_point == first.consistent_point
    assert (
        everything(shop.source_superuser),
        everything(shop.target_superuser),
        metadata(shop.target),
    ) == before


@pytest.mark.pg(15, "15-18", 18)
def test_hostile_names_are_set_up(databases: DatabasePair, task_name: str) -> None:
    schema = 'Sch.e"ma {} %s'
    with open_source(databases) as source:
        source.execute('create schema "Sch.e""ma {} %s"')
        for name in HOSTILE:
            table = QualifiedName(schema, name)
            column = name.replace("%", "pct ")
            source.execute(create_sql(table, [column, "UPPER", "upper", 'a "quoted" one']))
    task = make_task(task_name, [(schema, name) for name in HOSTILE])

    report = run(task, databases)

    assert len(report.created_tables) == len(HOSTILE)
    with open_target(databases) as target:
        states = read_table_states(target, task_name)
        assert {state.source for state in states.values()} == {
            QualifiedName(schema, name) for name in HOSTILE
        }
    assert not run(task, databases).created_tables


def create_sql(table: QualifiedName, columns: list[str]) -> Any:
    return sql.SQL("create table {} ({}, primary key ({}, {}))").format(
        table.identifier,
        sql.SQL(", ").join(sql.SQL("{} int").format(sql.Identifier(column)) for column in columns),
        sql.Identifier(columns[1]),
        sql.Identifier(columns[0]),
    )


STEPS = [
    "migrate",
    "write_task",
    "ensure_publication",
    "create_slot",
    "find_start",
    "start_progress",
    "start_tables",
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_kill_around_any_step_is_mended_by_the_next_setup(
    shop: DatabasePair, task_name: str, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    task = make_task(task_name, ["customers", "orders"], start_mode="continue")
    original: Callable[..., Any] = getattr(setup_job, step)

    def killed(*args: Any, **options: Any) -> None:
        if when == "after":
            original(*args, **options)
        raise Killed

    monkeypatch.setattr(setup_job, step, killed)
    with pytest.raises(Killed):
        run(task, shop)
    monkeypatch.undo()
    report = run(task, shop)

    assert report.started_anew
    with open_source(shop) as source, open_target(shop) as target:
        assert read_slot(source, task.slot_name).confirmed_flush_lsn == report.consistent_point
        assert read_checkpoint(target, task_name).end_lsn == report.consistent_point
        assert len(read_table_states(target, task_name)) == 2
    assert not run(task, shop).started_anew


def test_restart_begins_from_zero_and_remembers_what_it_created(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    first = run(task, shop)
    with open_target(shop) as target:
        (oid,) = read_table_states(target, task_name)
        update_table_state(
            target, task_name, oid, state="ready", load_id=1, snapshot_lsn=Lsn(5), loaded_rows=7
        )
        record_stop(target, task_name, "a test")
        target.execute(
            "insert into trempy.held_changes (task_name, source_oid, commit_lsn, body) values (%s, %s, '0/1', '')",
            (task_name, oid),
        )

    second = run(task, shop, restart=True)

    assert first.consistent_point is not None
    assert second.consistent_point is not None
    assert second.consistent_point > first.consistent_point
    with open_source(shop) as source, open_target(shop) as target:
        assert read_slot(source, task.slot_name).confirmed_flush_lsn == second.consistent_point
        assert read_checkpoint(target, task_name).end_lsn == second.consistent_point
        (state,) = read_table_states(target, task_name).values()
        row = read_task(target, task_name)
        assert target.fetch_value("select count(*) from trempy.held_changes") == 0
    assert (state.state, state.load_id, state.snapshot_lsn, state.loaded_rows) == (
        LoadState.PENDING,
        1,
        None,
        0,
    )
    assert state.created_by_task
    assert row is not None
    assert row.stop_reason is None


def test_restart_takes_the_slot_from_its_own_reader(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    run(task, shop)
    with reading(shop, task):
        report = run(task, shop, restart=True)

    assert report.started_anew


@contextmanager
def reading(databases: DatabasePair, task: ReplicationTask) -> Iterator[None]:
    """Read the task's slot as its capture does."""
    with open_replication(make_source(databases, task.task_name), "capture") as connection:
        connection.start_streaming(
            f"START_REPLICATION SLOT {task.slot_name} LOGICAL 0/0"
            f" (proto_version '1', publication_names '{task.publication_name}')"
        )
        yield


def test_tables_of_a_task_that_only_follows_are_ready_at_once(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"], replication_type="cdc")

    report = run(task, shop)

    with open_target(shop) as target:
        (state,) = read_table_states(target, task_name).values()
    assert (state.state, state.snapshot_lsn) == (LoadState.READY, report.consistent_point)


def test_task_that_only_loads_touches_nothing_on_the_source(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"], replication_type="full_load")
    before = everything(shop.source_superuser)

    report = run(task, shop)

    assert (report.slot, report.publication, report.consistent_point) == (None, None, None)
    assert everything(shop.source_superuser) == before
    with open_target(shop) as target:
        assert read_checkpoint(target, task_name).end_lsn == 0


def test_task_that_stops_capturing_releases_the_slot(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    run(task, shop)

    run(make_task(task_name, ["customers"], replication_type="full_load"), shop)

    with open_source(shop) as source:
        assert not read_slot(source, task.slot_name).exists
        assert source.fetch_value("select count(*) from pg_publication") == 0


def test_task_that_begins_to_capture_gets_a_slot_and_loads_again(shop: DatabasePair, task_name: str) -> None:
    run(make_task(task_name, ["customers"], replication_type="full_load"), shop)
    with open_target(shop) as target:
        (oid,) = read_table_states(target, task_name)
        update_table_state(target, task_name, oid, state="ready", load_id=1)

    report = run(make_task(task_name, ["customers"]), shop)

    assert report.consistent_point is not None
    with open_target(shop) as target:
        assert read_table_states(target, task_name)[oid].state is LoadState.PENDING


def test_leftover_slot_starts_anew_when_the_task_reloads(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    with open_source(shop) as source:
        leftover = create_slot(source, task.slot_name, timeout_seconds=10)

    report = run(task, shop)

    assert report.consistent_point is not None
    assert report.consistent_point > leftover
    assert any("left over" in text for text in report.warnings)


def test_leftover_slot_is_refused_when_the_task_continues(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"], start_mode="continue")
    with open_source(shop) as source:
        create_slot(source, task.slot_name, timeout_seconds=10)

    with pytest.raises(PreflightError, match="no checkpoint of the task to continue from"):
        run(task, shop)


def test_dropped_slot_is_refused_with_the_remedy(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    run(task, shop)
    with open_source(shop) as source:
        source.fetch_all("select pg_drop_replication_slot(%s)", [task.slot_name])

    with pytest.raises(PreflightError, match="it was dropped") as caught:
        run(task, shop)

    assert "trempy reload" in str(caught.value)
    assert run(task, shop, restart=True).started_anew


def test_slot_created_again_by_somebody_is_refused(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    run(task, shop)
    with open_source(shop) as source:
        source.fetch_all("select pg_drop_replication_slot(%s)", [task.slot_name])
        create_slot(source, task.slot_name, timeout_seconds=10)

    with pytest.raises(PreflightError, match="created again by somebody else"):
        run(task, shop)


def test_another_source_is_refused(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    run(task, shop)
    shop.target.execute("update trempy.tasks set system_identifier = '4711'")

    with pytest.raises(PreflightError, match="was set up with 4711"):
        run(task, shop)


def test_open_transaction_in_the_way_is_named_without_its_values(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"], cdc_settings={"slot_creation_timeout_seconds": 1})
    with open_source(shop) as blocker:
        with blocker.transaction():
            blocker.execute("insert into shop.customers (name) values ('secret value')")
            with pytest.raises(SlotCreationBlockedError) as caught:
                run(task, shop)

        assert f"pid {blocker.backend_pid}" in str(caught.value)
    assert "'insert into shop'" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert run(task, shop).started_anew


def test_two_setups_at_once_are_refused(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    run(task, shop)

    with (
        open_target(shop) as other,
        setup_lock(other, task_name),
        pytest.raises(JobInProgressError, match=f"process {other.backend_pid}"),
    ):
        run(task, shop)


def test_existing_target_tables_stay_as_they_are(shop: DatabasePair, task_name: str) -> None:
    shop.target_admin.execute(
        "create schema shop; create table shop.customers (id bigint primary key, name text, extra int);"
        "insert into shop.customers values (1, 'before', 2)"
    )
    task = make_task(task_name, ["customers"])

    report = run(task, shop)

    assert report.created_tables == ()
    assert shop.target.fetch_all("select * from shop.customers") == [(1, "before", 2)]
    with open_target(shop) as target:
        (state,) = read_table_states(target, task_name).values()
    assert not state.created_by_task


def test_nothing_is_left_half_made_when_a_type_is_missing(
    shop: DatabasePair, task_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(task_name, ["customers", "orders"])
    calls: list[str] = []

    def fails_at_the_second(*args: Any, **options: Any) -> Any:
        calls.append("")
        if len(calls) == 2:
            raise Killed
        return create_target_table(*args, **options)

    monkeypatch.setattr("trempy_provider.postgres.task_tables.create_target_table", fails_at_the_second)
    with pytest.raises(Killed):
        run(task, shop)

    assert shop.target.fetch_all("select 1 from pg_namespace where nspname = 'shop'") == []


def test_task_of_an_older_version_goes_on_after_the_next_setup(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    before = run(task, shop)
    shop.target_superuser.execute(
        "drop table trempy.identity; alter table trempy.tasks drop metadata_id, drop target_id;"
        "delete from trempy.migrations where name like '0010%%'"
    )

    after = run(task, shop)

    assert not after.started_anew
    assert after.consistent_point == before.consistent_point

"""Full load, then changes: no gap and no duplicate, with writers at work all the time (G5)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.databases import DatabasePair, connect
from tests.support.replication import Background
from tests.support.wait import wait_until
from trempy_provider.errors import FullLoadError, SlotCreationBlockedError, UndecodableError
from trempy_provider.jobs import setup as setup_job
from trempy_provider.jobs.refresh import refresh
from trempy_provider.jobs.reload import reload
from trempy_provider.postgres.load_snapshot import LoadSnapshot
from trempy_provider.postgres.slot import read_slot

TABLES = """
create table public.keyed (id bigint generated always as identity primary key, v int);
create table public.keyless (v int); alter table public.keyless replica identity full;
insert into public.keyed (v) select g from generate_series(1, 20000) g;
insert into public.keyless select g % 100 from generate_series(1, 20000) g;
"""
WRITES = """
begin; insert into public.keyed (v) values (1), (2); insert into public.keyless values (1), (2);
update public.keyed set v = v + 1 where id = (select min(id) from public.keyed);
delete from public.keyed where id = (select min(id) + 1 from public.keyed);
delete from public.keyless where ctid = (select min(ctid) from public.keyless); commit
"""


@contextmanager
def writing(databases: DatabasePair, statement: str = WRITES) -> Iterator[None]:
    """Write to the source beside the block."""
    stopped = threading.Event()

    def write() -> None:
        with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
            while not stopped.wait(0.002):
                cursor.execute(statement)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stopped.set()
        writer.join()


@pytest.mark.pg("15-15", "15-18", "18-15", "16-16")
def test_changes_after_the_load_are_applied(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", "public.keyless")
    replication.setup()
    replication.load()

    for _ in range(20):
        databases.source_admin.execute(WRITES)
    replication.catch_up()

    replication.assert_equal()


def test_load_beside_writers_loses_and_doubles_nothing(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", "public.keyless")

    with writing(databases):
        replication.setup()
        replication.load()
        replication.catch_up()
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


def test_load_beside_capture_and_apply_loses_and_doubles_nothing(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", "public.keyless")
    replication.setup()

    with writing(databases), replication.running():
        replication.load()
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]
    assert replication.metadata("select count(*) from trempy.held_changes") == [(0,)]


def test_table_is_loaded_again_beside_capture_and_apply(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", "public.keyless")
    replication.setup()
    replication.load()
    before = replication.metadata("select load_id from trempy.table_states where source_table = 'keyed'")

    with writing(databases), replication.running():
        reload(
            replication.task,
            source=replication.source,
            target=replication.target,
            broker=replication.broker,
            tables=["public.keyless"],
        )
    replication.catch_up()

    replication.assert_equal()
    after = replication.metadata("select load_id from trempy.table_states where source_table = 'keyed'")
    assert after == before
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


def test_table_added_while_changes_are_followed(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed")
    replication.setup()
    replication.load()
    wider = replicate("public.keyed", "public.keyless")
    of_keyed = "select load_id from trempy.table_states where source_table = 'keyed'"
    loaded = replication.metadata(of_keyed)

    with writing(databases), wider.running():
        refresh(wider.task, source=wider.source, target=wider.target, broker=wider.broker)
        wider.load()
    wider.catch_up()

    wider.assert_equal()
    assert wider.metadata("select count(*) from trempy.table_states") == [(2,)]
    assert wider.metadata(of_keyed) == loaded  # it was not copied again


@pytest.mark.pg("15-18", "18-15")
def test_transactions_open_across_slot_and_copy_arrive_once(databases, replicate, monkeypatch):
    """Four transactions: open before the slot, before the snapshot, and committed during and after the copy."""
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", "public.keyless")
    with ExitStack() as stack:
        before_slot, before_copy, during, after = (
            stack.enter_context(stack.enter_context(connect(databases.source_admin_uri)).cursor())
            for _ in range(4)
        )

        def write(cursor, value: int) -> None:
            cursor.execute("begin")
            cursor.execute(
                "insert into public.keyless select %(v)s from generate_series(1, 3);"
                "update public.keyless set v = %(v)s where ctid = (select max(ctid) from public.keyless);"
                "insert into public.keyed (v) values (%(v)s)",
                {"v": value},
            )

        def open_snapshot_and_write(source, task):
            snapshot = open_snapshot(source, task)
            write(during, 1003)
            write(after, 1004)
            during.execute("commit")
            return snapshot

        open_snapshot = LoadSnapshot.open
        monkeypatch.setattr(LoadSnapshot, "open", open_snapshot_and_write)
        write(before_slot, 1001)
        setting_up = Background(replication.setup)
        wait_until(lambda: waits_for_transactions(databases), timeout_seconds=60, what="setup to wait")
        before_slot.execute("commit")
        setting_up.result()
        write(before_copy, 1002)
        loading = Background(replication.load)
        wait_until(lambda: waits_for_transactions(databases), timeout_seconds=60, what="the load to wait")
        before_copy.execute("commit")
        loading.result()
        databases.source_admin.execute("insert into public.keyless values (1005)")
        replication.catch_up()
        after.execute("commit")
        replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


def waits_for(databases: DatabasePair, cursor) -> bool:
    """Tell whether somebody waits for the transaction that the cursor's session has open."""
    return databases.source_superuser.fetch_value(
        "select exists (select from pg_locks where not granted and %s = any (pg_blocking_pids(pid)))",
        [cursor.connection.info.backend_pid],
    )


SMALL_TABLES = """
create table public.keyed (id bigint generated always as identity primary key, v int);
create table public.keyless (v int); alter table public.keyless replica identity full;
create table public.altered (id int primary key);
"""  # too small for autovacuum, which changes the catalog too


def set_up_beside_changes_of_the_catalog(databases: DatabasePair, replication) -> None:
    """Let tables be truncated and altered in the one moment that PostgreSQL's new snapshot does not see.

    It waits for the transactions open at first, then for those open after that; what is new then it decodes.
    """
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(stack.enter_context(connect(databases.source_admin_uri)).cursor())
            for _ in range(2)
        )
        first.execute("begin; insert into public.keyless values (1)")
        setting_up = Background(replication.setup)
        wait_until(lambda: waits_for(databases, first), timeout_seconds=60, what="setup to wait")
        second.execute("begin; insert into public.keyless values (2)")
        databases.source_admin.execute("truncate public.keyed; alter table public.altered add w int")
        first.execute("commit")
        wait_until(lambda: waits_for(databases, second), timeout_seconds=60, what="setup to wait again")
        databases.source_admin.execute("insert into public.keyless values (3)")  # lets it build the snapshot
        second.execute("commit")
        setting_up.result()


@pytest.mark.pg(15, 16, 18)
def test_changes_of_the_catalog_while_the_slot_is_created_are_decoded(databases, replicate):
    databases.source_admin.execute(SMALL_TABLES)
    replication = replicate(
        "public.keyed",
        "public.keyless",
        "public.altered",
        task={"cdc_settings": {"schema_evolution": "apply"}},
    )
    changes = "insert into public.keyed (v) values (1); insert into public.altered values (1, 1)"

    set_up_beside_changes_of_the_catalog(databases, replication)
    replication.load()
    databases.source_admin.execute(changes)
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


@pytest.mark.pg(15, 18)
def test_slot_that_postgresql_cannot_decode_names_the_remedy(databases, replicate, monkeypatch):
    """As slots are that setup does not move; it shows too that the test above meets the defect."""
    monkeypatch.setattr(
        setup_job, "find_start", lambda session, name, **_: read_slot(session, name).confirmed_flush_lsn
    )
    databases.source_admin.execute(SMALL_TABLES)
    replication = replicate("public.keyed", "public.keyless", "public.altered")
    set_up_beside_changes_of_the_catalog(databases, replication)
    databases.source_admin.execute("insert into public.keyed (v) values (1)")

    with pytest.raises(UndecodableError, match="could not map file") as raised:
        replication.capture(seconds=20)

    assert "trempy reload" in raised.value.hint


def waits_for_transactions(databases: DatabasePair) -> bool:
    return databases.source_superuser.fetch_value(
        "select exists (select from pg_locks where locktype = 'transactionid' and mode = 'ShareLock'"
        " and not granted)"
    )


@pytest.mark.pg(15, 18)
def test_slot_creation_that_waits_too_long_names_who_is_in_the_way_and_leaves_nothing(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", task={"cdc_settings": {"slot_creation_timeout_seconds": 1}})
    with connect(databases.source_admin_uri) as connection, connection.cursor() as blocker:
        blocker.execute("begin; insert into public.keyed (v) values (1)")
        blocker.execute("select pg_backend_pid(), pg_current_xact_id()::xid::text")
        pid, xid = blocker.fetchone()

        with pytest.raises(SlotCreationBlockedError) as raised:
            replication.setup()

    assert f"pid {pid}, xid {xid}, open for " in str(raised.value)
    assert "idle in transaction" in str(raised.value)
    assert "'select" in str(raised.value)
    assert "pg_terminate_backend" in raised.value.hint
    assert not replication.databases.source.fetch_all(
        "select from pg_replication_slots where slot_name = %s", [replication.task.slot_name]
    )
    assert replication.metadata("select consistent_point from trempy.tasks") == [(None,)]
    replication.setup()
    replication.load()
    replication.catch_up()
    replication.assert_equal()


def test_prepared_transaction_in_the_way_of_the_slot_is_named(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", task={"cdc_settings": {"slot_creation_timeout_seconds": 1}})
    with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
        cursor.execute("begin; insert into public.keyed (v) values (1); prepare transaction 'in the way'")
        try:
            with pytest.raises(SlotCreationBlockedError, match="in the way"):
                replication.setup()
        finally:
            cursor.execute("commit prepared 'in the way'")

    replication.setup()
    replication.load()
    replication.catch_up()
    replication.assert_equal()


def test_transaction_that_begins_while_the_slot_is_made_is_waited_for_and_named_too(
    databases, replicate, monkeypatch
):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", task={"cdc_settings": {"slot_creation_timeout_seconds": 1}})
    create_slot = setup_job.create_slot
    with connect(databases.source_admin_uri) as connection, connection.cursor() as blocker:

        def create_and_write(*args, **options):
            create_slot(*args, **options)
            blocker.execute("begin; insert into public.keyed (v) values (1)")

        monkeypatch.setattr(setup_job, "create_slot", create_and_write)
        with pytest.raises(SlotCreationBlockedError, match=f"pid {connection.info.backend_pid}, xid "):
            replication.setup()

    assert not replication.databases.source.fetch_all(
        "select from pg_replication_slots where slot_name = %s", [replication.task.slot_name]
    )
    assert replication.metadata("select consistent_point from trempy.tasks") == [(None,)]


def test_failing_copies_are_told_and_recorded_leave_others_alone_and_are_resumed(databases, replicate):
    """A unique violation, a missing column and a missing right, beside a table that is loaded and followed."""
    names = ("good", "twice", "narrow", "forbidden")
    databases.source_admin.execute(
        ";".join(f"create table public.{name} (id int primary key, v int)" for name in names)
        + ";"
        + ";".join(
            f"insert into public.{name} select g, g % 3 from generate_series(1, 100) g" for name in names
        )
    )
    replication = replicate(
        *(f"public.{name}" for name in names), error_handling={"stop_if_insert_error": True}
    )
    replication.setup()
    databases.target_admin.execute("create unique index one_v on public.twice (v)")
    databases.target_admin.execute("alter table public.narrow drop column v")
    databases.source_superuser.execute(
        f"alter table public.forbidden owner to {databases.source_superuser.role};"
        f"revoke all on public.forbidden from {databases.source.role}, {databases.source_admin.role}"
    )

    with writing(databases, "update public.good set v = v + 1 where id < 5"), replication.running():
        with pytest.raises(FullLoadError, match="3 of 4 tables") as raised:
            replication.load()
        failed = replication.metadata(
            "select source_table, state, error from trempy.table_states order by source_table"
        )
        databases.target_admin.execute("drop index public.one_v; alter table public.narrow add v int")
        databases.source_superuser.execute(
            f"alter table public.forbidden owner to {databases.source_admin.role};"
            f"grant select on public.forbidden to {databases.source.role}"
        )
        again = replication.load()
    replication.catch_up()

    causes = {name: (state, error or "") for name, state, error in failed}
    assert causes["good"] == ("ready", "")
    assert {causes[name][0] for name in names[1:]} == {"error"}
    assert "one_v" in causes["twice"][1] or "unique" in causes["twice"][1]
    assert "v" in causes["narrow"][1]
    assert "permission denied" in causes["forbidden"][1]
    for name in names[1:]:
        assert f"public.{name}" in str(raised.value)
    assert again.ready_count == 1
    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]

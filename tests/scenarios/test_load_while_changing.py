"""Loads while the source changes and readers read: no gap, no duplicate, never half a table (G5, G12)."""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager

import pytest

from tests.support.databases import connect
from tests.support.replication import Background
from tests.support.wait import wait_until
from trempy_provider.apply_modes.held_shapes import HeldShapes
from trempy_provider.apply_modes.replay import replay_held_changes
from trempy_provider.errors import StoppedError
from trempy_provider.jobs.full_load import full_load
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.reload import reload
from trempy_provider.postgres.known_tables import read_known_tables
from trempy_provider.postgres.table_states import LoadState, read_table_states, update_table_state

BASE_ROWS = 2000
TABLES = """
create table keyed (id int primary key, v text, n int);
create table keyless (id int, v text, n int); alter table keyless replica identity full;
create table parted (id int, v text, n int, primary key (id)) partition by range (id);
create table parted_1 partition of parted for values from (0) to (1000);
create table parted_2 partition of parted default;
"""
NAMES = ("keyed", "keyless", "parted")
SMALL_PARTS = {"full_load_settings": {"split_bytes": 65536, "parallel_streams": 2}}


@pytest.fixture
def replication(databases, replicate):
    """Make a task over three kinds of tables that are set up and full of rows."""
    databases.source_admin.execute(TABLES)
    for name in NAMES:
        databases.source_admin.execute(
            f"insert into {name} select g, repeat('x', g % 100), 0 from generate_series(1, {BASE_ROWS}) g"
        )
    made = replicate(*(f"public.{name}" for name in NAMES), task=SMALL_PARTS)
    made.setup()
    return made


@contextmanager
def writing(databases):
    """Change all tables without pause: rows up to BASE_ROWS are updated, others come and go."""
    stop = threading.Event()
    counter = [0]

    def write():
        choose = random.Random(7)
        with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                counter[0] += 1
                extra = BASE_ROWS + choose.randrange(1, 200)
                cursor.execute("begin")
                for name in NAMES:
                    some = choose.randrange(1, BASE_ROWS)
                    cursor.execute(
                        f"update {name} set n = n + 1, v = v || '.' where id between {some} and {some + 3}"
                    )
                    cursor.execute(f"delete from {name} where id = {extra}")
                    if choose.random() < 0.7:
                        cursor.execute(f"insert into {name} values ({extra}, 'extra', {counter[0]})")
                cursor.execute("rollback" if choose.random() < 0.1 else "commit")
                stop.wait(0.02)

    thread = Background(write)
    try:
        yield counter
    finally:
        stop.set()
        thread.result()


@contextmanager
def reading(databases, *, tables=NAMES):
    """Count the rows of the target's tables without pause; fail when one is seen without its base rows."""
    stop = threading.Event()
    counts = []

    def read():
        with connect(databases.target_admin_uri) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                for name in tables:
                    cursor.execute(f"select count(*) from public.{name} where id <= {BASE_ROWS}")
                    counts.append((name, cursor.fetchone()[0]))

    thread = Background(read)
    try:
        yield counts
    finally:
        stop.set()
        thread.result()
    assert {count for _, count in counts} == {BASE_ROWS}


def test_load_and_changes_meet_while_the_source_is_written_to(databases, replication):
    with replication.running(), writing(databases) as counter:
        wait_until(lambda: counter[0] > 20)
        report = replication.load()
        written = counter[0]
        wait_until(lambda: counter[0] > written + 20)
    replication.catch_up()

    assert {str(table.source) for table in report.tables} == {f"public.{name}" for name in NAMES}
    replication.assert_equal()


def test_changes_made_before_apply_ever_ran_are_in_the_load_and_not_applied_twice(databases, replication):
    with writing(databases) as counter:
        wait_until(lambda: counter[0] > 20)
        replication.load()
        written = counter[0]
        wait_until(lambda: counter[0] > written + 20)
    replication.catch_up()

    replication.assert_equal()


def test_one_session_replays_many_changes_in_several_passes(databases, replication):
    replication.load()
    with replication.target.connect("test") as session:
        name = replication.task.task_name
        state = next(s for s in read_table_states(session, name).values() if s.source.table_name == "keyed")
        update_table_state(session, name, state.source_oid, state=LoadState.LOADING)

        for _ in range(2):
            databases.source_admin.execute("update keyed set n = n + 1 where id <= 100")
            replication.catch_up()
            with session.transaction():
                known = read_known_tables(session, name)[state.source_oid]
                replayed = replay_held_changes(
                    session,
                    replication.task,
                    state=state,
                    into=state.target,
                    shapes=HeldShapes(session, replication.task, known),
                )
            assert replayed.changes == 100


@pytest.mark.parametrize("dependency", ["", "create view seen as select * from keyed"])
def test_readers_see_whole_tables_while_they_are_loaded_again_and_again(databases, replication, dependency):
    replication.load()
    if dependency:
        databases.target_admin.execute(dependency)

    with replication.running(), writing(databases), reading(databases) as counts:
        for _ in range(3):
            replication.load(reload=True)
    replication.catch_up()

    assert len(counts) > 20
    replication.assert_equal()


def test_one_table_is_reloaded_and_the_others_are_not_touched(databases, replication):
    replication.load()
    query = (
        "select load_finished_at from trempy.table_states"
        " where task_name = {task} and source_table <> 'keyless' order by source_oid"
    )
    before = replication.metadata(query)

    with replication.running(), writing(databases), reading(databases):
        report = reload(
            replication.task,
            source=replication.source,
            target=replication.target,
            tables=["public.keyless"],
        )
    replication.catch_up()

    assert [str(table.source) for table in report.tables] == ["public.keyless"]
    assert replication.metadata(query) == before
    replication.assert_equal()


def test_reload_of_everything_begins_from_zero_and_repairs_the_target(databases, replication):
    replication.load()
    replication.catch_up()
    databases.target_admin.execute("delete from keyed; update keyless set v = 'damaged'")

    with writing(databases):
        report = reload(
            replication.task, source=replication.source, target=replication.target, broker=replication.broker
        )
    replication.catch_up()

    assert len(report.tables) == 3
    replication.assert_equal()


def test_a_load_stopped_at_any_moment_and_started_again_converges(databases, replication):
    choose = random.Random(3)
    with replication.running(), writing(databases) as counter:
        wait_until(lambda: counter[0] > 5)
        for _ in range(4):
            stop = StopSignal()
            load = Background(
                lambda stop=stop: full_load(
                    replication.task,
                    source=replication.source,
                    target=replication.target,
                    stop=stop,
                    reload=True,
                )
            )
            wanted = counter[0] + choose.randrange(1, 40)
            wait_until(lambda wanted=wanted: counter[0] > wanted, poll_seconds=0.005)
            stop.set("test")
            try:
                load.result()
            except StoppedError:
                continue
        replication.load(reload=True)
    replication.catch_up()

    replication.assert_equal()


def test_an_index_and_a_comment_that_a_person_added_survive_a_reload(databases, replication):
    replication.load()
    databases.target_admin.execute(
        "create index keyed_n on keyed (n desc) where v <> 'it''s 100 %';"
        "comment on table keyed is 'mine, 100 %'"
    )

    replication.load(reload=True, tables=["public.keyed"])

    rows = databases.target_admin.fetch_all(
        "select indexdef from pg_indexes"
        " where schemaname = 'public' and tablename = 'keyed' order by indexname"
    )
    assert [definition.split(" USING ")[0] for (definition,) in rows] == [
        "CREATE INDEX keyed_n ON public.keyed",
        "CREATE UNIQUE INDEX keyed_pkey ON public.keyed",
    ]
    assert "100 %" in rows[0][0]
    assert (
        databases.target_admin.fetch_value("select obj_description('public.keyed'::regclass)")
        == "mine, 100 %"
    )


@pytest.mark.parametrize(
    "dependency",
    [
        "grant select on keyed to public",
        "create view seen as select * from keyed",
        "create table referring (id int references keyed)",
        "alter table keyed add foreign key (n) references keyed",
        "create trigger t before update on keyed execute function suppress_redundant_updates_trigger()",
        "create rule rule as on delete to keyed where false do also nothing",
        "create policy all_rows on keyed using (true)",
        "create publication p for table keyed",
        "create statistics stats on id, n from keyed",
        "alter table keyed set (fillfactor = 80)",
        "create table heir () inherits (keyed)",
        "create table row_holder (r keyed)",
        "alter table keyed alter n set (n_distinct = 5)",
    ],
)
def test_a_target_table_that_something_hangs_on_is_filled_in_place(databases, replicate, dependency):
    databases.source_admin.execute(
        "create table keyed (id int primary key, n int); insert into keyed values (1)"
    )
    replication = replicate("public.keyed")
    replication.setup()
    replication.load()
    query = "select 'keyed'::regclass::oid::bigint"
    oid = databases.target_admin.fetch_value(query)
    databases.target_admin.execute(dependency)
    databases.source_admin.execute("insert into keyed values (2)")

    replication.load(reload=True)

    assert databases.target_admin.fetch_value(query) == oid
    assert databases.target_admin.fetch_value("select count(*) from keyed") == 2

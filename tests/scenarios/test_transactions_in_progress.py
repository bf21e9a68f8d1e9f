"""Large transactions travel while they are in progress, and are applied at their commit, whole (G4, G12).

The source streams a transaction as soon as all of them together outgrow its `logical_decoding_work_mem`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.databases import DatabasePair, connect
from tests.support.replication import Background, Replication
from tests.support.wait import wait_until
from trempy_provider.errors import GapError
from trempy_provider.jobs.lease import StopSignal

SMALL_CHUNKS = {"cdc_settings": {"batch_max_rows": 200}}
TABLES = """
create table public.keyed (id int primary key, v text, w int);
create table public.keyless (v text); alter table public.keyless replica identity full;
create table public.log (n bigint generated always as identity primary key, who text);
insert into public.keyed select g, 'before', 0 from generate_series(1, 500) g;
"""


@pytest.fixture
def followed(databases: DatabasePair, replicate) -> Replication:
    """A loaded task of a source that streams transactions early."""
    databases.source_superuser.execute(
        f'alter database "{databases.source.name}" set logical_decoding_work_mem = 64'
    )
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", "public.keyless", "public.log", task=SMALL_CHUNKS)
    replication.setup()
    replication.load()
    return replication


@contextmanager
def transactions(databases: DatabasePair, count: int) -> Iterator[list]:
    """Open cursors, each in a transaction of its own that the test ends itself."""
    with ExitStack() as stack:
        cursors = []
        for _ in range(count):
            connection = stack.enter_context(connect(databases.source_admin_uri))
            cursors.append(stack.enter_context(connection.cursor()))
            cursors[-1].execute("begin")
        yield cursors


def insert(cursor, start: int, count: int = 2000) -> None:
    cursor.execute(
        "insert into public.keyed select g, repeat('x', 50), 0 from generate_series(%s, %s) g",
        (start, start + count - 1),
    )


def held_transactions(replication: Replication) -> int:
    query = "select count(distinct transaction_id) from trempy.held_chunks where task_name = {task}"
    return replication.metadata(query)[0][0]


def assert_nothing_held(replication: Replication) -> None:
    for table in ("held_chunks", "rolled_back_subtransactions", "held_changes", "apply_errors"):
        assert replication.metadata(f"select count(*) from trempy.{table} where task_name = {{task}}") == [
            (0,)
        ], table


@pytest.mark.pg(15, 16, 18, "15-18", "18-15")
def test_interleaved_transactions_with_savepoints_arrive_whole_and_in_commit_order(followed, databases):
    with followed.running(), transactions(databases, 4) as (first, second, third, fourth):
        insert(first, 10_000)
        insert(second, 20_000)
        insert(third, 30_000)
        first.execute("savepoint a")
        first.execute("update public.keyed set w = w + 1 where id >= 10000 and id < 11000")
        first.execute("insert into public.keyless select 'a' from generate_series(1, 300)")
        first.execute("savepoint b")
        first.execute("delete from public.keyed where id < 400 and id % 2 = 0")
        first.execute("release savepoint b")
        wait_until(
            lambda: held_transactions(followed) == 3,
            timeout_seconds=60,
            what="the chunks of three transactions in progress",
        )
        before = databases.target_admin.fetch_value("select count(*) from public.keyed where id >= 10000")
        databases.source_admin.execute("insert into public.log (who) values ('beside')")
        first.execute("rollback to savepoint a")
        second.execute("insert into public.log (who) values ('second'); update public.keyed set v = 'second'")
        third.execute("rollback")
        fourth.execute("insert into public.log (who) values ('fourth')")
        second.execute("commit")
        insert(first, 40_000, 1500)
        first.execute("savepoint c")
        insert(first, 50_000, 1500)
        first.execute("release savepoint c; insert into public.log (who) values ('first')")
        first.execute("update public.keyed set v = 'first' where id % 3 = 0 and id < 20000")
        first.execute("commit")
        fourth.execute("commit")
        followed.wait_until_level()

    assert before == 0
    followed.assert_equal()
    assert_nothing_held(followed)


def test_small_changes_pass_a_large_transaction_in_progress(followed, databases):
    with followed.running(), transactions(databases, 1) as (large,):
        insert(large, 10_000)
        wait_until(lambda: held_transactions(followed) == 1, timeout_seconds=60, what="its chunks")

        databases.source_admin.execute("insert into public.log (who) values ('small')")
        wait_until(
            lambda: databases.target_admin.fetch_value("select count(*) from public.log") == 1,
            timeout_seconds=60,
            what="the small transaction",
        )
        assert databases.target_admin.fetch_value("select max(id) from public.keyed") == 500
        large.execute("commit")
        followed.wait_until_level()

    followed.assert_equal()
    assert_nothing_held(followed)


@pytest.mark.pg(15, 18)
def test_tables_altered_in_a_transaction_in_progress_keep_the_shape_of_each_change(followed, databases):
    databases.target_admin.execute("alter table public.keyed add added int")

    with followed.running(), transactions(databases, 2) as (altering, other):
        insert(altering, 10_000)
        other.execute("insert into public.keyless select 'o' from generate_series(1, 4000)")
        altering.execute("savepoint a; alter table public.keyed drop column w")
        altering.execute("update public.keyed set v = 'dropped'")
        altering.execute("rollback to savepoint a")
        altering.execute("update public.keyed set w = 7 where id > 11000")
        altering.execute("alter table public.keyed add column added int")
        altering.execute("update public.keyed set added = id where id < 11000")
        wait_until(lambda: held_transactions(followed) == 2, timeout_seconds=60, what="their chunks")
        other.execute("commit")
        altering.execute("commit")
        databases.source_admin.execute("update public.keyed set v = 'after' where id = 10001")
        followed.wait_until_level()

    followed.assert_equal()
    assert_nothing_held(followed)


@pytest.mark.pg(15, 16, 18)
def test_prepared_transactions_are_visible_at_commit_prepared_only(followed, databases):
    databases.source_admin.execute("insert into public.keyed values (600, 'small', 0)")
    suffix = followed.task.task_name
    with followed.running():
        for name, start, count in (("large", 10_000, 2000), ("small", 20_000, 3), ("undone", 30_000, 2000)):
            with transactions(databases, 1) as (cursor,):
                insert(cursor, start, count)
                cursor.execute(f"prepare transaction '{name}_{suffix}'")
        wait_until(lambda: held_transactions(followed) == 2, timeout_seconds=60, what="the chunks of two")
        databases.source_admin.execute("insert into public.log (who) values ('beside')")
        followed.wait_until_level()
        seen = databases.target_admin.fetch_value("select max(id) from public.keyed")

        databases.source_admin.execute(f"rollback prepared 'undone_{suffix}'")
        databases.source_admin.execute(f"commit prepared 'small_{suffix}'")
        databases.source_admin.execute(f"commit prepared 'large_{suffix}'")
        followed.wait_until_level()

    assert seen == 600
    followed.assert_equal()
    assert_nothing_held(followed)


def test_capture_restarted_in_the_middle_sends_the_transaction_anew_and_nothing_stays(followed, databases):
    applying = StopSignal()
    applied = Background(lambda: followed.apply(seconds=300, stop=applying))
    with transactions(databases, 1) as (cursor,):
        insert(cursor, 10_000)
        cursor.execute("insert into public.keyless select 'once' from generate_series(1, 500)")
        for session in range(3):
            stop = StopSignal()
            captured = Background(lambda stop=stop: followed.capture(seconds=300, stop=stop))
            wait_until(
                lambda session=session: (
                    followed.metadata(
                        "select min(session_number), count(*) > 5 from trempy.held_chunks"
                        " where task_name = {task}"
                    )
                    == [(session + 1, True)]
                ),
                timeout_seconds=60,
                what=f"the chunks of start {session + 1} alone",
            )
            stop.set()
            captured.result()
        cursor.execute("commit")
    followed.capture()
    followed.wait_until_level()
    applying.set()
    applied.result()

    followed.assert_equal()
    assert_nothing_held(followed)


def test_slot_advances_while_a_transaction_is_in_progress_and_nothing_of_it_is_lost(followed, databases):
    with transactions(databases, 1) as (cursor,):
        insert(cursor, 10_000)
        databases.source_admin.execute("insert into public.log (who) select 'a' from generate_series(1, 10)")
        followed.catch_up()
        followed.catch_up()
        insert(cursor, 20_000)
        cursor.execute("commit")
    followed.catch_up()

    followed.assert_equal()
    assert_nothing_held(followed)


def test_commit_is_refused_when_a_chunk_is_missing(followed, databases):
    stop = StopSignal()
    captured = Background(lambda: followed.capture(seconds=300, stop=stop))
    with transactions(databases, 1) as (cursor,):
        insert(cursor, 10_000)
        wait_until(lambda: followed.broker.depths().ready > 5, timeout_seconds=60, what="chunks in the queue")
        followed.apply()
        followed.databases.target.execute("delete from trempy.held_chunks where chunk_index = 1")
        cursor.execute("commit")

    with pytest.raises(GapError, match=r"chunk 1 of transaction .* is missing"):
        followed.apply(seconds=60)

    stop.set()
    captured.result()


@pytest.mark.pg(15, 16, 18)
def test_transaction_that_was_rolled_back_before_it_was_read_leaves_nothing(followed, databases):
    """PostgreSQL 18 does not send what it knows to be rolled back, but tells that it is."""
    with transactions(databases, 1) as (cursor,):
        cursor.execute("savepoint a")
        insert(cursor, 10_000)
        cursor.execute("release a; savepoint b")
        insert(cursor, 20_000)
        cursor.execute("rollback")
        cursor.execute("insert into public.log (who) values ('after')")

    followed.catch_up()

    followed.assert_equal()
    assert_nothing_held(followed)

"""Full load, then changes: no gap and no duplicate, with writers at work all the time (G5)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.databases import DatabasePair, connect
from trempy_provider.jobs.refresh import refresh
from trempy_provider.jobs.reload import reload

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

    with writing(databases), wider.running():
        refresh(wider.task, source=wider.source, target=wider.target, broker=wider.broker)
        wider.load()
    wider.catch_up()

    wider.assert_equal()
    assert wider.metadata("select count(*) from trempy.table_states") == [(2,)]

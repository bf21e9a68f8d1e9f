"""The way out of a gap: a new slot, and only the tables that differ are loaded again (G5, G10)."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.scenarios.test_hand_over import writing
from trempy_provider.errors import ConfigurationError, SlotLostError
from trempy_provider.jobs.reload import reload

TABLES = """
create table public.same (id int primary key, v text, at timestamptz default now());
create table public.changed (id int primary key, v text);
create table public.duplicates (v text); alter table public.duplicates replica identity full;
create table public.grown (v text); alter table public.grown replica identity full;
create table public.parted (id int, v text, primary key (id)) partition by range (id);
create table public.parted_1 partition of public.parted for values from (0) to (500);
create table public.parted_2 partition of public.parted default;
create table public.busy (v int); alter table public.busy replica identity full;
insert into public.same select g, 'é ' || g from generate_series(1, 1000) g;
insert into public.changed select g, 'v' from generate_series(1, 1000) g;
insert into public.duplicates select 'x' from generate_series(1, 10);
insert into public.grown select 'x' from generate_series(1, 10);
insert into public.parted select g, 'v' from generate_series(1, 1000) g;
"""
NAMES = ("same", "changed", "duplicates", "grown", "parted", "busy")


def loads(replication) -> dict[str, tuple[int, datetime]]:
    rows = replication.metadata(
        "select source_table, load_id, state from trempy.table_states where task_name = {task}"
    )
    return {name: (load_id, state) for name, load_id, state in rows}


@pytest.mark.pg("15-18", "18-15")
def test_only_tables_that_differ_are_loaded_again_after_a_lost_slot(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate(*(f"public.{name}" for name in NAMES))
    replication.setup()
    replication.load()
    databases.source_admin.execute("insert into public.same values (2000, 'followed')")
    replication.catch_up()
    databases.source.execute(f"select pg_drop_replication_slot('{replication.task.slot_name}')")
    databases.source_admin.execute(
        "update public.changed set v = 'unseen' where id = 7; insert into public.grown values ('x')"
    )
    with pytest.raises(SlotLostError, match="dropped") as raised:
        replication.capture(seconds=20)
    before = loads(replication)

    with writing(
        databases,
        "insert into public.busy values (1); insert into public.same values "
        "((select max(id) + 1 from public.same), 'meanwhile')",
    ):
        report = reload(
            replication.task,
            source=replication.source,
            target=replication.target,
            broker=replication.broker,
            keep_equal=True,
        )
        databases.source_admin.execute("update public.duplicates set v = 'y'")
        replication.catch_up()
    replication.catch_up()

    assert "--keep-equal" in raised.value.hint
    after = loads(replication)
    kept = {name for name in NAMES if after[name] == before[name]}
    assert {"duplicates", "parted"} <= kept
    assert not kept & {"changed", "grown"}
    assert report.kept_count == len(kept)
    assert {state for _, state in after.values()} == {"ready"}
    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


def test_changes_that_apply_holds_while_tables_are_compared_are_not_lost(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.duplicates", "public.busy")
    replication.setup()
    replication.load()
    replication.setup(restart=True)

    with replication.running(), writing(databases, "insert into public.duplicates values ('z')"):
        replication.load(keep_equal=True)
        databases.source_admin.execute("delete from public.duplicates where v = 'x'")
        replication.wait_until_level()
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.held_changes") == [(0,)]


def test_tables_that_are_followed_are_not_compared(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.same")

    with pytest.raises(ConfigurationError, match="cannot be compared"):
        reload(
            replication.task,
            source=replication.source,
            target=replication.target,
            tables=["public.same"],
            keep_equal=True,
        )

"""A value that an update left alone, and that the source therefore did not send, stays what it is (G7)."""

from __future__ import annotations

import pytest

LONG = "repeat(md5(random()::text), 200)"  # 6,400 characters, kept out of line
LONG_KEY = "lpad(g::text, 2400, md5(g::text))"  # fits into an index entry, and is still kept out of line
ROW = f"g, {LONG_KEY}, 'v', {LONG}, {LONG}, convert_to({LONG}, 'UTF8'), to_jsonb({LONG}), array[{LONG}, '']"

TABLES = {
    "by_id": "primary key (id)",
    "by_long_key": "primary key (k)",
    "by_index": "primary key (id), constraint by_index_k unique (k)",
    "by_both": "primary key (k, id)",
    "in_full": "primary key (id)",
    "in_parts": "primary key (k, id)",
    "without_key": "check (true)",
}
IDENTITIES = (
    "alter table public.by_index replica identity using index by_index_k;"
    "alter table public.in_full replica identity full;"
    "alter table public.without_key replica identity full;"
    # The partitions keep DEFAULT: they send no more than the key, in the name of their root.
    "alter table public.in_parts replica identity full;"
)


def create(count: int) -> str:
    return (
        "".join(
            f"create table public.{table} (id int, k text not null, v text, t text, x text, b bytea, j jsonb, a text[],"
            f" {constraint}){' partition by range (id)' if table == 'in_parts' else ''};"
            for table, constraint in TABLES.items()
        )
        + "create table public.odd_part partition of public.in_parts for values from (0) to (9999);"
        + "create table public.other_part partition of public.in_parts default;"
        + "".join(
            f"alter table public.{table} {', '.join(f'alter {column} set storage external' for column in 'ktxbja')};"
            for table in (*TABLES, "odd_part", "other_part")
        )
        + IDENTITIES
        + "".join(
            f"insert into public.{table} select {ROW} from generate_series(1, {count}) g;" for table in TABLES
        )
    )


# Alone and merged: another column, nothing, NULL, one long value of several, the key, a row that is new.
CHANGES = f"""
update {{table}} set v = 'w';
update {{table}} set v = v where id % 2 = 0;
update {{table}} set t = null where id % 3 = 0;
update {{table}} set x = {LONG} where id % 4 = 0;
update {{table}} set b = '', j = null, a = '{{{{}}}}' where id % 5 = 0;
update {{table}} set id = -id;
update {{table}} set id = id - 20000 where id = -1;
update {{table}} set k = 'short ' || k where id % 7 = 0;
begin;
update {{table}} set v = 'x';
update {{table}} set x = {LONG} where id % 2 = 0;
update {{table}} set v = 'y', t = 'short' where id % 4 = 0;
update {{table}} set id = id - 1000 where id % 5 = 0;
update {{table}} set v = 'z';
insert into {{table}} select {ROW} from generate_series(5001, 5040) g;
update {{table}} set v = 'new' where id > 5000;
update {{table}} set id = id + 100, v = 'newer' where id > 5030;
delete from {{table}} where id between 5010 and 5020;
commit;
begin;
create temporary table moved on commit drop as select * from {{table}} where id < -1;
delete from {{table}} where id < -1;
insert into {{table}} select * from moved;
update {{table}} set v = 'back';
commit;
"""


@pytest.mark.parametrize("mode", ["default", "upsert"])
@pytest.mark.parametrize("count", [3, 60])
@pytest.mark.pg("18-15")
@pytest.mark.usefixtures("way")
def test_unchanged_value_is_never_overwritten(databases, replicate, mode, count):
    databases.source_admin.execute(create(count))
    tables = [table for table in TABLES if mode == "default" or table != "without_key"]
    replication = replicate(*(f"public.{table}" for table in tables), task={"cdc_settings": {"mode": mode}})
    replication.setup()
    replication.load()

    for table in tables:
        databases.source_admin.execute(CHANGES.format(table=f"public.{table}"))
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []


@pytest.mark.usefixtures("way")
def test_upsert_does_not_invent_a_row_that_the_source_did_not_send_whole(databases, replicate):
    databases.source_admin.execute(create(40))
    replication = replicate("public.by_id", "public.in_full", task={"cdc_settings": {"mode": "upsert"}})
    replication.setup()
    replication.load()
    databases.target_admin.execute("delete from public.by_id; delete from public.in_full")

    databases.source_admin.execute("update public.in_full set v = 'whole'")
    databases.source_admin.execute("update public.by_id set v = 'in part'")
    databases.source_admin.execute(f"update public.by_id set t = {LONG} where id = 1")
    replication.catch_up()

    assert databases.target.fetch_value("select count(*) from public.by_id") == 0
    assert replication.errors() == [("by_id", "update", "02000")] * 41
    databases.source_admin.execute(
        "update public.by_id set k = k || '', v = '', t = '', x = '', b = '', j = '0', a = '{}'"
    )
    replication.catch_up()
    replication.assert_equal()

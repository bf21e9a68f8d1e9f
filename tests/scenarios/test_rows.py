"""Rows are found and written exactly, with and without a key (G2, G7)."""

from __future__ import annotations

import pytest

LONG = "repeat(md5(random()::text), 400)"  # 12,800 characters that do not compress: stored as TOAST


@pytest.mark.parametrize("mode", ["default", "upsert"])
@pytest.mark.parametrize("count", [3, 300])
def test_unchanged_toast_null_and_empty_stay_apart(databases, replicate, mode, count):
    databases.source_admin.execute(
        "create table public.t (id int primary key, small text, large text, other text);"
        "alter table public.t alter column large set storage external;"
        f"insert into public.t select g, 's', {LONG}, 'o' from generate_series(1, {count}) g"
    )
    replication = replicate("public.t", task={"cdc_settings": {"mode": mode}})
    replication.setup()
    replication.load()

    databases.source_admin.execute("update public.t set small = null where id % 3 = 0")
    databases.source_admin.execute("update public.t set small = '' where id % 3 = 1")
    databases.source_admin.execute("update public.t set large = null, other = '' where id % 5 = 0")
    databases.source_admin.execute(
        "begin; update public.t set other = 'x'; update public.t set other = 'y' where id % 2 = 0;"
        f"insert into public.t values (-1, 'n', {LONG}, 'n'); update public.t set small = 'm' where id = -1; commit"
    )
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


@pytest.mark.parametrize("count", [2, 200])
def test_keys_change_swap_and_are_used_again(databases, replicate, count):
    databases.source_admin.execute(
        "create table public.t (a int, b text, v text, primary key (b, a));"
        f"insert into public.t select g, 'k', 'v' || g from generate_series(1, {count}) g"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()

    databases.source_admin.execute("update public.t set a = a + 100000")
    databases.source_admin.execute(
        "begin; delete from public.t where a = 100001; insert into public.t values (100001, 'k', 'again');"
        "update public.t set a = -1 where a = 100002; update public.t set a = 100002 where a = 100001;"
        "update public.t set a = 100001 where a = -1; commit"
    )
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


def test_table_without_a_key_keeps_its_duplicates(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (n numeric, f float8, j json, p point, c char(4), b bool, i inet, t text);"
        "alter table public.t replica identity full;"
        "insert into public.t select 1.0, 'NaN', '{\"a\": 1}', '(1,2)', 'ab', true, '10.0.0.1', null"
        " from generate_series(1, 5);"
        "insert into public.t values (1.00, '-0', '{\"a\":1}', '(1,2)', 'ab', true, '10.0.0.1', '')"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "update public.t set t = 'one' where ctid = (select ctid from public.t where t is null limit 1);"
        "delete from public.t where ctid = (select ctid from public.t where t is null limit 1);"
        "update public.t set t = 'zero' where n::text = '1.00';"
        "insert into public.t select * from public.t"
    )
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


def test_truncate_empties_exactly_the_tables_named(databases, replicate):
    databases.source_admin.execute(
        "create table public.a (id int primary key); create table public.b (id int references public.a);"
        "create table public.c (id int primary key); alter table public.b replica identity full;"
        "insert into public.a select generate_series(1, 9); insert into public.b values (1);"
        "insert into public.c select generate_series(1, 9)"
    )
    replication = replicate("public.a", "public.b", "public.c")
    replication.setup()
    replication.load()

    databases.source_admin.execute("truncate public.a cascade; insert into public.a values (77)")
    replication.catch_up()

    replication.assert_equal()
    assert databases.target.fetch_all("select id from public.a") == [(77,)]


def test_secondary_unique_values_are_handed_from_row_to_row(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, u int unique);"
        "insert into public.t select g, g from generate_series(1, 100) g"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "begin; update public.t set u = -u where id <= 50; update public.t set u = id + 50 - 100 where id > 50;"
        "update public.t set u = id + 50 where id <= 50; commit"
    )
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


@pytest.mark.parametrize("mode", ["default", "upsert"])
@pytest.mark.parametrize("count", [3, 50])
def test_row_that_comes_and_goes_leaves_nothing_even_where_the_target_had_one(
    databases, replicate, mode, count
):
    databases.source_admin.execute("create table public.t (id int primary key, v int)")
    replication = replicate("public.t", task={"cdc_settings": {"mode": mode}})
    replication.setup()
    replication.load()
    databases.target_admin.execute("insert into public.t values (1, 0)")

    databases.source_admin.execute(
        f"begin; insert into public.t select g, g from generate_series(1, {count}) g;"
        "delete from public.t where id < 3; commit"
    )
    replication.catch_up()

    replication.assert_equal()
    recorded = replication.metadata("select operation, sqlstate from trempy.apply_errors")
    assert recorded == ([] if mode == "upsert" else [("insert", "23505")])

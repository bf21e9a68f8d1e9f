"""The comparison that end-to-end tests and the demo rely on: it must see every difference."""

import pytest

from sandbox.compare import compare_databases
from tests.support.compare import assert_equal_tables
from tests.support.databases import DatabasePair

TABLE = "create table public.reading (id int, value float8, taken_at timestamptz, raw bytea)"
ROWS = (
    "insert into public.reading"
    " select n, n / 3.0, '2024-03-31 01:30+01', '\\xff00' from generate_series(1, 100) n"
)


@pytest.fixture
def equal_databases(databases: DatabasePair) -> DatabasePair:
    databases.source_admin.execute(f"{TABLE}; {ROWS}")
    databases.target_admin.execute(f"{TABLE}; {ROWS} order by n desc")
    return databases


def test_order_of_rows_and_session_settings_do_not_matter(equal_databases: DatabasePair) -> None:
    database = f'"{equal_databases.target.name}"'
    equal_databases.target_superuser.execute(f"alter database {database} set timezone to 'Asia/Tokyo'")

    assert_equal_tables(equal_databases.source_uri, equal_databases.target_uri)


@pytest.mark.parametrize(
    "difference",
    [
        "delete from reading where id = 1",
        "update reading set value = value + 1e-12 where id = 7",
        "update reading set raw = null where id = 7",
        "insert into reading select * from reading where id = 1",
        "insert into reading select * from reading where id = 1; delete from reading where id = 2",
        "drop table reading",
        "alter table reading drop column raw",
    ],
)
def test_every_difference_is_seen(equal_databases: DatabasePair, difference: str) -> None:
    equal_databases.target_admin.execute(difference)

    (comparison,) = compare_databases(equal_databases.source_uri, equal_databases.target_uri)

    assert not comparison.is_equal


def test_columns_that_only_the_target_has_do_not_matter(equal_databases: DatabasePair) -> None:
    equal_databases.target_admin.execute("alter table reading add column loaded_at timestamptz default now()")

    assert_equal_tables(equal_databases.source_uri, equal_databases.target_uri)


def test_names_are_only_names_and_tables_may_have_no_columns(databases: DatabasePair) -> None:
    for side in (databases.source_admin, databases.target_admin):
        side.execute(
            'create schema "My.Schema"; create table "My.Schema"."a ""b"".c" (v int);'
            'create table "My.Schema".bare (); insert into "My.Schema".bare default values'
        )

    compared = compare_databases(databases.source_admin_uri, databases.target_admin_uri)

    assert [comparison.table for comparison in compared] == ['"My.Schema"."a ""b"".c"', '"My.Schema".bare']
    assert all(comparison.is_equal for comparison in compared)
    databases.target_admin.execute('insert into "My.Schema".bare default values')
    assert not all(
        comparison.is_equal
        for comparison in compare_databases(databases.source_admin_uri, databases.target_admin_uri)
    )


def test_rows_of_inheriting_tables_are_theirs(databases: DatabasePair) -> None:
    databases.source_admin.execute(
        "create table a (v int); create table b () inherits (a); insert into b values (1)"
    )
    databases.target_admin.execute("create table a (v int); create table b (v int); insert into b values (1)")

    assert_equal_tables(databases.source_uri, databases.target_uri)


def test_a_partitioned_table_is_compared_once(databases: DatabasePair) -> None:
    databases.source_admin.execute(
        "create table event (at date) partition by range (at);"
        "create table event_2024 partition of event for values from ('2024-01-01') to ('2025-01-01');"
        "insert into event values ('2024-05-05')"
    )
    databases.target_admin.execute("create table event (at date); insert into event values ('2024-05-05')")

    assert [
        comparison.table for comparison in compare_databases(databases.source_uri, databases.target_uri)
    ] == ["public.event"]
    assert_equal_tables(databases.source_uri, databases.target_uri)

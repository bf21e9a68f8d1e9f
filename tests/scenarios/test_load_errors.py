"""One bad row never loses a good one, in a full load too (G11)."""

from __future__ import annotations

import pytest

from tests.support.settings_entries import change_value, transformation_entry
from trempy_provider.errors import FullLoadError

ROWS = 20_000
BAD = (1, 7777, 7778, 20_000)
SMALL_PARTS = {"full_load_settings": {"split_bytes": 400_000, "parallel_streams": 2}}
TABLES = f"""
create table computed (id int primary key, n int, large text);
insert into computed select g, case when g in {BAD} then 0 else g end, case when g % 100 = 0 then repeat(md5(g::text), 100) end
from generate_series(1, {ROWS}) g;
create table narrow (id int primary key, v text);
insert into narrow select g, case when g in {BAD} then 'much too long' else 'fits' end from generate_series(1, {ROWS}) g;
create table parted (id int, v text, primary key (id)) partition by range (id);
create table parted_1 partition of parted for values from (0) to (10000);
create table parted_2 partition of parted default;
insert into parted table narrow;
create table doubled (id int primary key, name text, n int);
insert into doubled select g, 'Name ' || case when g in {BAD} then 2 else g end, 0 from generate_series(1, {ROWS}) g;
update doubled set name = null where id = 50;
"""
NAMES = ("computed", "narrow", "parted", "doubled")
ENTRIES = [
    change_value("public.computed", "math_expression", "n", expression="100 / value"),
    change_value("public.doubled", "lowercase", "name"),
    transformation_entry("public.doubled", "remove_primary_key", priority=3, column_names=["id"]),
    transformation_entry("public.doubled", "add_primary_key", priority=4, column_names=["name"]),
]


@pytest.fixture
def loading(databases, replicate):
    """Return a function that makes a task whose tables have bad rows, with narrow target tables."""

    def make(names=NAMES, **options):
        databases.source_admin.execute(TABLES)
        for name in ("narrow", "parted"):
            databases.target_admin.execute(
                f"create table {name} (id int primary key, v varchar(6) check (v <> 'bad'))"
            )
        entries = [entry for entry in ENTRIES if entry["table_info"]["table_name"] in names]
        replication = replicate(
            *(f"public.{name}" for name in names), task=SMALL_PARTS, transformations=entries, **options
        )
        replication.setup()
        return replication

    return make


@pytest.mark.pg(15, "15-18", "18-15")
def test_rows_that_fail_are_recorded_with_their_keys_and_all_others_loaded(databases, loading):
    replication = loading()

    report = replication.load()

    failed = {table.source.table_name: (table.rows, table.failed_rows) for table in report.tables}
    assert failed == {
        "computed": (ROWS - 4, 4),
        "narrow": (ROWS - 4, 4),
        "parted": (ROWS - 4, 4),
        "doubled": (ROWS - 5, 5),
    }
    for name in ("computed", "narrow", "parted"):
        missing = databases.target_admin.fetch_all(
            f"select g from generate_series(1, {ROWS}) g where not exists (select from {name} where id = g) order by g"
        )
        assert tuple(number for (number,) in missing) == BAD
    recorded = replication.metadata(
        "select target_table, sqlstate, count(*), array_agg((key_values ->> 'id')::int order by (key_values ->> 'id')::int),"
        " array_agg(distinct operation) from trempy.apply_errors where task_name = {task} group by 1, 2 order by 1, 2"
    )
    assert recorded == [
        ("computed", "22012", 4, list(BAD), ["load"]),
        ("doubled", "23502", 1, [50], ["load"]),
        ("doubled", "23505", 4, recorded[2][3], ["load"]),
        ("narrow", "22001", 4, list(BAD), ["load"]),
        ("parted", "22001", 4, list(BAD), ["load"]),
    ]
    counts = replication.metadata("select error_count from trempy.table_states where task_name = {task}")
    assert sorted(count for (count,) in counts) == [4, 4, 4, 5]


def test_an_error_in_a_load_stops_its_table_where_the_policy_says_so(databases, loading):
    replication = loading(error_handling={"stop_if_insert_error": True})

    with pytest.raises(FullLoadError) as raised:
        replication.load()

    for words in ("public.computed", "22012", "public.narrow", "22001", "public.doubled"):
        assert words in str(raised.value)
    assert "too long" not in str(raised.value).replace("value too long for type", "")
    assert replication.errors() == []
    assert databases.target_admin.fetch_value("select count(*) from narrow") == 0


def test_a_load_stops_after_so_many_errors(loading):
    replication = loading(("narrow",), error_handling={"stop_after_errors": 3})

    with pytest.raises(FullLoadError, match="stop_after_errors is 3"):
        replication.load()

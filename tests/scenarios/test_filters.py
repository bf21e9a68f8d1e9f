"""Rows are filtered alike by load and by changes, whatever the filter reads and the change does (G8)."""

from __future__ import annotations

import pytest

from tests.support.settings_entries import filter_entry

MODES = pytest.mark.parametrize("mode", ["default", "upsert", "scd2"])
ROWS = 90

# Of every type, with values at the edges of the filters below; a third of them null.
WIDE = """
create type public.mood as enum ('sad', 'ok', 'happy');
create domain public.code as varchar(12) check (value <> 'x');
create table public.wide (id int primary key, t text, v varchar(20), c char(6), code public.code, i int,
    big bigint, n numeric(10,2), r real, f float8, b boolean, d date, ts timestamp, tz timestamptz, u uuid,
    e public.mood, ip inet, ln interval);
insert into public.wide
select g,
    (array['100%_x', '100 x', 'It''s', 'Ärger', 'ärger', '', 'abc\\', 'zebra', 'Zebra', '100%_', null, 'x 100%_x'])[1 + g % 12],
    (array['ab', 'AB', 'b', null])[1 + g % 4], (array['F', 'M', 'F  ', null])[1 + g % 4],
    (array['k1', 'k2', null])[1 + g % 3], nullif(g % 11, 3), g * 1000000000::bigint, (g % 7) / 4.0, (g % 5) / 10.0,
    (array[0.1, -1.5, 'NaN', 1e300, null])[1 + g % 5]::float8, (array[true, false, null])[1 + g % 3],
    date '2024-02-27' + g % 5, timestamp '2024-02-28 23:59:59.999999' + (g % 4) * interval '1 us',
    timestamptz '2024-02-29 23:30:00+02' + (g % 6) * interval '30 minutes',
    nullif(md5((g % 4)::text), md5('3'))::uuid, (array['sad', 'ok', 'happy', null])[1 + g % 4]::public.mood,
    ('10.0.0.' || g % 6)::inet, (g % 4) * interval '12:00'
from generate_series(1, %(rows)s) g;
"""

# name: filter_type, column, operands, and what they mean on the source
FILTERS = {
    "equals_text": ("equals", "t", {"value": "It's"}, "t = 'It''s'"),
    "equals_empty": ("equals", "t", {"value": ""}, "t = ''"),
    "equals_char": ("equals", "c", {"value": "F"}, "c = 'F'"),
    "equals_domain": ("equals", "code", {"value": "k1"}, "code = 'k1'"),
    "equals_number": ("equals", "n", {"value": 0.25}, "n = 0.25"),
    "equals_text_of_number": ("equals", "i", {"value": "5"}, "i = 5"),
    "equals_real": ("equals", "r", {"value": 0.1}, "r = 0.1::real"),
    "equals_boolean": ("equals", "b", {"value": True}, "b"),
    "equals_uuid": ("equals", "u", {"value": "CFCD208495D565EF66E7DFF9F98764DA"}, "u = md5('0')::uuid"),
    "equals_enum": ("equals", "e", {"value": "ok"}, "e = 'ok'"),
    "equals_inet": ("equals", "ip", {"value": "10.0.0.3"}, "ip = '10.0.0.3'"),
    "equals_interval": ("equals", "ln", {"value": "1 day"}, "ln = '24:00'"),
    "equals_nan": ("equals", "f", {"value": "NaN"}, "f = 'NaN'"),
    "not_equals": ("not_equals", "v", {"value": "ab"}, "v <> 'ab'"),
    "greater": ("greater_than", "n", {"value": 1}, "n > 1"),
    "greater_enum": ("greater_than", "e", {"value": "sad"}, "e > 'sad'"),
    "greater_float": ("greater_than", "f", {"value": -1.5}, "f > -1.5"),
    "greater_or_equal": ("greater_than_or_equal", "big", {"value": 30000000000}, "big >= 30000000000"),
    "greater_moment": (
        "greater_than_or_equal",
        "tz",
        {"value": "2024-02-29 23:00"},
        "tz >= '2024-02-29 23:00+00'",
    ),
    "less": ("less_than", "i", {"value": "5"}, "i < 5"),
    "less_or_equal": ("less_than_or_equal", "d", {"value": "2024-02-29"}, "d <= '2024-02-29'"),
    "in_list": ("in", "t", {"values": ["100%_x", "Ärger", "nowhere"]}, "t in ('100%_x', 'Ärger')"),
    "in_numbers": ("in", "i", {"values": [1, "2", 10]}, "i in (1, 2, 10)"),
    "not_in": ("not_in", "i", {"values": [1, 2]}, "i not in (1, 2)"),
    "within": ("between", "n", {"lower": 0.25, "upper": 1}, "n between 0.25 and 1"),
    "outside": ("not_between", "i", {"lower": "3", "upper": "8"}, "i not between 3 and 8"),
    "is_null": ("is_null", "t", {}, "t is null"),
    "is_not_null": ("is_not_null", "f", {"value": ""}, "f is not null"),
    "starts": ("starts_with", "t", {"value": "100%_"}, "left(t, 5) = '100%_'"),
    "starts_domain": ("starts_with", "code", {"value": "k"}, "left(code, 1) = 'k'"),
    "ends": ("ends_with", "t", {"value": "%_x"}, "right(t, 3) = '%_x'"),
    "ends_backslash": ("ends_with", "t", {"value": "\\"}, "right(t, 1) = '\\'"),
    "contains": ("contains", "t", {"value": "%_"}, "position('%_' in t) > 0"),
    "contains_case": ("contains", "t", {"value": "är"}, "position('är' in t) > 0"),
    "not_contains": ("not_contains", "v", {"value": "b"}, "position('b' in v) = 0"),
    "day_equals": ("date_equals", "ts", {"value": "2024-02-29"}, "ts::date = '2024-02-29'"),
    "day_equals_date": ("date_equals", "d", {"value": "2024-02-29 10:00:00"}, "d = '2024-02-29'"),
    "day_equals_utc": (
        "date_equals",
        "tz",
        {"value": "2024-02-29"},
        "(tz at time zone 'UTC')::date = '2024-02-29'",
    ),
    "day_not_equals": ("date_not_equals", "ts", {"value": "2024-02-29"}, "ts::date <> '2024-02-29'"),
    "day_greater": ("date_greater_than", "d", {"value": "2024-02-28"}, "d > '2024-02-28'"),
    "day_greater_or_equal": (
        "date_greater_than_or_equal",
        "d",
        {"value": "2024-02-28"},
        "d >= '2024-02-28'",
    ),
    "day_less": ("date_less_than", "ts", {"value": "2024-02-29"}, "ts < '2024-02-29'"),
    "day_less_or_equal": ("date_less_than_or_equal", "ts", {"value": "2024-02-28"}, "ts < '2024-02-29'"),
    "day_within": (
        "date_between",
        "d",
        {"lower": "2024-02-28", "upper": "2024-02-29"},
        "d between '2024-02-28' and '2024-02-29'",
    ),
    "day_outside": (
        "date_not_between",
        "d",
        {"lower": "2024-02-28", "upper": "2024-02-29"},
        "d not between '2024-02-28' and '2024-02-29'",
    ),
}
COLUMNS = "t, v, c, code, i, big, n, r, f, b, d, ts, tz, u, e, ip, ln"

# Each row takes over another's values, so that rows enter and leave every filter.
FEW = """
update {table} set ({columns}) = (select {columns} from wide w where w.id = 1 + ({table}.id * 7) % {rows}) where id in (4, 17);
update {table} set id = id + 3000 where id = 5;
insert into {table} select id + 500, {columns} from wide where id = 23;
delete from {table} where id = 30;
update {table} set id = id + 4000, ({columns}) = (select {columns} from wide w where w.id = 1 + ({table}.id * 11) % {rows}) where id = 31;
"""
MANY = """
begin;
update {table} set ({columns}) = (select {columns} from wide w where w.id = 1 + ({table}.id * 13) % {rows}) where id % 2 = 0 and id < 60;
delete from {table} where id % 9 = 0;
insert into {table} select id + 1000, {columns} from wide where id % 3 = 0;
update {table} set ({columns}) = (select {columns} from wide w where w.id = 1 + ({table}.id * 17) % {rows}) where id % 5 = 0;
delete from {table} where id > 1040 and id < 1050;
insert into {table} select id + 2000, {columns} from wide where id < 20;
delete from {table} where id > 2000 and id < 2020 and id % 2 = 0;
commit;
begin; update {table} set id = -id where id % 10 = 1; commit;
"""


@pytest.fixture
def filtered(databases, replicate):
    """Return a function that makes a task over a table per filter."""

    def make(mode):
        databases.give_roles_other_defaults()
        admin = databases.source_admin
        admin.execute(WIDE.replace("%(rows)s", str(ROWS)))
        for name in FILTERS:
            admin.execute(f"create table {name} (like wide including all); insert into {name} table wide")
        entries = [
            filter_entry(f"public.{name}", kind, column, **operands)
            for name, (kind, column, operands, _) in FILTERS.items()
        ]
        replication = replicate(
            *(f"public.{name}" for name in FILTERS), task={"cdc_settings": {"mode": mode}}, filters=entries
        )
        replication.setup()
        replication.load()
        return replication

    return make


def run(databases, script):
    for name in FILTERS:
        databases.source_admin.execute(script.format(table=name, columns=COLUMNS, rows=ROWS))


def wrong_tables(databases, current="true"):
    """Return the tables whose rows on the target are not those of the source that pass."""
    wrong = {}
    for name, (*_, condition) in FILTERS.items():
        rows = f"select row(id, {COLUMNS})::text from {name} where "
        expected = rows_of(databases.source_admin, rows + condition)
        present = rows_of(databases.target_admin, rows + current)
        if expected != present:
            wrong[name] = (sorted(set(expected) - set(present)), sorted(set(present) - set(expected)))
    return wrong


def rows_of(server, query):
    return sorted(row for (row,) in server.fetch_all(query))


@pytest.mark.parametrize("mode", ["default", pytest.param("upsert", marks=pytest.mark.pg("15-18")), "scd2"])
def test_every_filter_passes_the_same_rows_by_load_and_by_few_and_many_changes(databases, filtered, mode):
    replication = filtered(mode)
    current = "scd_current = 1" if mode == "scd2" else "true"
    after_load = wrong_tables(databases, current)

    run(databases, FEW)
    replication.catch_up()
    after_few = wrong_tables(databases, current)
    databases.allow_replica_role()  # the many are written as arrays, the few were in the source's order
    run(databases, MANY)
    replication.catch_up()

    assert after_load == {}
    assert after_few == {}
    assert wrong_tables(databases, current) == {}
    assert replication.errors() == []


LARGE = "repeat(md5(random()::text), 400)"  # does not compress: stored out of line


@MODES
@pytest.mark.parametrize("count", [3, 300])
def test_a_filter_on_a_value_stored_out_of_line_sees_it_whether_it_is_sent_or_not(
    databases, replicate, mode, count
):
    databases.source_admin.execute(
        "create table one (id int primary key, large text, n int);"
        f"insert into one select g, (array['yes', 'no'])[1 + g % 2] || {LARGE}, 0 from generate_series(1, {count * 2}) g;"
        "create table whole (id int primary key, large text, other text, n int); alter table whole replica identity full;"
        f"insert into whole select g, (array['yes', 'no'])[1 + g % 2] || {LARGE}, {LARGE}, g % 3 from generate_series(1, {count * 2}) g;"
    )
    replication = replicate(
        "public.one",
        "public.whole",
        task={"cdc_settings": {"mode": mode}},
        filters=[
            filter_entry("public.one", "starts_with", "large", value="yes"),
            filter_entry("public.whole", "starts_with", "large", value="yes"),
            filter_entry("public.whole", "equals", "n", value=1),
        ],
    )
    replication.setup()
    replication.load()
    current = " where scd_current = 1" if mode == "scd2" else ""

    databases.source_admin.execute(
        "update one set n = 1; update whole set n = (n + 1) % 3;"
        "update one set large = 'no' where id % 4 = 0; update one set large = 'yes' || large where id % 3 = 0;"
    )
    replication.catch_up()

    for table, condition in (("one", "large like 'yes%'"), ("whole", "large like 'yes%' and n = 1")):
        rows = f"select row(id, large, n)::text from {table}"
        expected = rows_of(databases.source_admin, f"{rows} where {condition}")
        assert rows_of(databases.target_admin, rows + current) == expected
    assert replication.errors() == []


@pytest.mark.pg("15-18", "18-15")
@MODES
def test_filters_by_the_order_of_text_pass_the_same_rows_on_both_servers(databases, replicate, mode):
    databases.source_admin.execute(
        "create table words (id int primary key, t text);"
        "insert into words select n, t from unnest(array['a', 'B', 'b', 'Ä', 'ä', 'z', 'Z', '10', '9', '_', null])"
        " with ordinality as w(t, n)"
    )
    replication = replicate(
        "public.words",
        task={"cdc_settings": {"mode": mode}},
        filters=[
            filter_entry("public.words", "greater_than", "t", value="9"),
            filter_entry("public.words", "between", "t", lower="B", upper="z"),
        ],
    )
    replication.setup()
    replication.load()
    collation = replication.metadata("select text_collation from trempy.tasks where task_name = {task}")[0][0]
    current = " where scd_current = 1" if mode == "scd2" else ""
    passing = f"""t collate "{collation}" > '9' and t collate "{collation}" between 'B' and 'z'"""

    def wrong_rows():
        wanted = rows_of(databases.source_admin, f"select row(id, t)::text from words where {passing}")
        present = rows_of(databases.target_admin, f"select row(id, t)::text from words{current}")
        assert wanted
        return set(wanted) ^ set(present)

    after_load = wrong_rows()
    databases.source_admin.execute(
        "insert into words select id + 100, t from words; update words w set t = o.t from words o"
        " where o.id = 1 + (w.id * 7) % 10 and w.id % 3 = 0; delete from words where id % 5 = 0"
    )
    replication.catch_up()

    assert after_load == set()
    assert wrong_rows() == set()
    assert replication.errors() == []

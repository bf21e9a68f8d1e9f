"""Values, names and keys are changed alike by load and by changes (G9)."""

from __future__ import annotations

from datetime import timezone

import pytest

from tests.support.settings_entries import (
    change_value,
    create_column,
)

ROWS = 80
MODES = pytest.mark.parametrize(
    "mode", ["default", pytest.param("upsert", marks=pytest.mark.pg("18-15", 18)), "scd2"]
)

# operation, column, contract, the column's type on the target, and the same in SQL on the source
VALUES = [
    ("uppercase", "t_upper", {}, "text", "upper(t_upper)"),
    ("lowercase", "v_lower", {}, "character varying(20)", "lower(v_lower)"),
    ("uppercase", "c_upper", {}, "character(6)", "upper(c_upper)::char(6)"),
    ("trim", "t_trim", {}, "text", "btrim(t_trim, E' \\t\\n\\r')"),
    ("extract_year", "d_year", {}, "integer", "extract(year from d_year)::int"),
    ("extract_month", "ts_month", {}, "integer", "extract(month from ts_month)::int"),
    ("extract_day", "tz_day", {}, "integer", "extract(day from tz_day at time zone 'UTC')::int"),
    ("format_date", "d_text", {"format": "%d/%m/%Y"}, "text", "to_char(d_text, 'DD/MM/YYYY')"),
    (
        "format_date",
        "tz_text",
        {"format": '%A %-d. %B %Y "%H:%M:%S.%f" Mon\\th'},
        "text",
        """to_char(tz_text at time zone 'UTC', 'FMDay FMDD. FMMonth YYYY') || ' "'
        || to_char(tz_text at time zone 'UTC', 'HH24:MI:SS.US') || '" Mon\\th'""",
    ),
    (
        "math_expression",
        "i_math",
        {"expression": "(value * 1.1 + 5) / 12 - 2 ^ 3"},
        "numeric",
        "(i_math * 1.1 + 5) / 12 - 8.0000000000000000",
    ),
    (
        "math_expression",
        "n_math",
        {"expression": "-value ^ 2 + -(1 - value)"},
        "numeric",
        "n_math ^ 2 - 1 + n_math",
    ),
    (
        "math_expression",
        "f_math",
        {"expression": "value / 3 * 0.1"},
        "double precision",
        "f_math / 3::float8 * 0.1::float8",
    ),
    ("math_expression", "r_math", {"expression": "value * 2"}, "double precision", "r_math::float8 * 2"),
]
CREATED = [
    (
        "literal",
        "lit_text",
        {"value_type": "character varying", "value": "O'Neil %s"},
        "character varying",
        "'O''Neil %s'",
    ),
    ("literal", "lit_int", {"value_type": "integer", "value": "5"}, "integer", "5"),
    ("literal", "lit_small", {"value_type": "smallint", "value": -7}, "smallint", "-7::smallint"),
    (
        "literal",
        "lit_big",
        {"value_type": "bigint", "value": "9007199254740993"},
        "bigint",
        "9007199254740993",
    ),
    ("literal", "lit_real", {"value_type": "real", "value": 0.1}, "real", "0.1::real"),
    (
        "literal",
        "lit_double",
        {"value_type": "double precision", "value": "1e300"},
        "double precision",
        "1e300::float8",
    ),
    ("literal", "lit_numeric", {"value_type": "numeric", "value": "1.50"}, "numeric", "1.50"),
    ("literal", "lit_varchar", {"value_type": "varchar", "value": "ä"}, "character varying", "'ä'::varchar"),
    ("literal", "lit_long", {"value_type": "text", "value": "a\\b"}, "text", r"'a\b'"),
    ("literal", "lit_date", {"value_type": "date", "value": "2024-02-29"}, "date", "date '2024-02-29'"),
    ("literal", "lit_bool", {"value_type": "boolean", "value": True}, "boolean", "true"),
    ("literal", "lit_none", {"value_type": "date", "value": None}, "date", "null::date"),
    (
        "literal",
        "lit_ts",
        {"value_type": "timestamp", "value": "2024-02-29"},
        "timestamp without time zone",
        "timestamp '2024-02-29'",
    ),
    (
        "concat",
        "joined",
        {"depends_on": ["t_upper", "plain", "f_math"], "separator": " - "},
        "text",
        "concat_ws(' - ', upper(t_upper), plain, f_math / 3::float8 * 0.1::float8)",
    ),
    (
        "concat",
        "joined_plain",
        {"depends_on": ["plain", "tz", "b", "large"]},
        "text",
        "concat(plain, tz, b, large)",
    ),
    (
        "date_diff_years",
        "years",
        {"depends_on": ["d", "tz"]},
        "numeric",
        "((tz at time zone 'UTC')::date - d) / 365.25",
    ),
    (
        "date_diff_years",
        "whole_years",
        {"depends_on": ["d", "tz"], "round_result": True},
        "integer",
        "round(((tz at time zone 'UTC')::date - d) / 365.25)::int",
    ),
]
MOMENTARY = [
    ("datetime_now", "seen_at", "timestamp with time zone"),
    ("date_now", "seen_on", "date"),
]
SETUP = f"""
create table wide (id int primary key, plain text, t_upper text, v_lower varchar(20), c_upper char(6), t_trim text,
    d_year date, ts_month timestamp, tz_day timestamptz, d_text date, tz_text timestamptz, i_math int,
    n_math numeric(10,3), f_math float8, r_math real, d date, tz timestamptz, b boolean, large text);
alter table wide alter large set storage external;
create table pool as
select g as id, (array['a', 'b ', '', null])[1 + g % 4] as plain,
    (array['straße', 'İi', 'çéß', 'ABC def', null])[1 + g % 5] as t_upper,
    (array['ÀÉ', 'Xy', null])[1 + g % 3]::varchar(20) as v_lower, (array['ab', 'ü', null])[1 + g % 3]::char(6) as c_upper,
    (array[E' \\t x y\\n', 'z', '   ', null])[1 + g % 4] as t_trim,
    (array['2024-02-29', '0044-03-15 BC', '9999-12-31', null])[1 + g % 4]::date as d_year,
    timestamp '1999-12-31 23:59:59.999999' + g * interval '1 month' as ts_month,
    timestamptz '2024-03-31 23:30:00-05' + g * interval '1 hour' as tz_day, date '2023-01-01' + g as d_text,
    timestamptz '2024-01-01 00:00:00.5+09' + g * interval '25 hours' as tz_text, nullif(g, 7) - 40 as i_math,
    (g * 1.125)::numeric(10,3) as n_math, (array[1.1, -0.0, 'NaN', 'Infinity', null])[1 + g % 5]::float8 as f_math,
    (g * 0.1)::real as r_math, date '1980-06-15' + g * 31 as d, timestamptz '2024-06-15 00:00+02' as tz, g % 2 = 0 as b,
    repeat(md5(g::text), 200) as large
from generate_series(1, {ROWS}) g;
insert into wide table pool;
"""
COLUMNS = "plain, t_upper, v_lower, c_upper, t_trim, d_year, ts_month, tz_day, d_text, tz_text, i_math, n_math, f_math, r_math, d, tz, b, large"
FEW = f"""
update wide set ({COLUMNS}) = (select {COLUMNS} from pool where pool.id = 1 + wide.id) where id in (4, 17);
update wide set plain = 'changed' where id in (8, 9);
update wide set id = 1000 where id = 5;
insert into wide select 1001, {COLUMNS} from pool where id = 23;
delete from wide where id = 30;
"""
MANY = f"""
begin;
update wide set ({COLUMNS}) = (select {COLUMNS} from pool where pool.id = 1 + (wide.id * 13) % {ROWS}) where id % 2 = 0;
update wide set plain = 'many' where id % 3 = 0;
insert into wide select id + 2000, {COLUMNS} from pool;
delete from wide where id % 7 = 0;
commit;
"""


def dump(server, table):
    """Return a table's rows as text, in any order of columns but that of its own."""
    return sorted(row for (row,) in server.fetch_all(f"select r::text from {table} r"))


def types_of(server, table):
    return dict(
        server.fetch_all(
            "select attname::text, format_type(atttypid, atttypmod) from pg_attribute"
            f" where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"
        )
    )


def moments_of(databases, condition):
    """Return when rows were applied, with the date that they have in UTC."""
    rows = databases.target_admin.fetch_all(f"select distinct seen_at, seen_on from wide where {condition}")
    assert all(moment.astimezone(timezone.utc).date() == day for moment, day in rows)
    return rows


def assert_reload_gives_the_same(databases, replication, *tables):
    """Full load after the changes equals full load before plus the changes."""
    before = {table: dump(databases.target_admin, table) for table in tables}
    replication.load(reload=True)
    assert {table: dump(databases.target_admin, table) for table in tables} == before


@MODES
def test_every_operation_gives_the_same_by_load_and_by_few_and_many_changes(databases, replicate, mode):
    databases.give_roles_other_defaults()
    databases.source_admin.execute(SETUP)
    entries = [change_value("public.wide", op, column, **more) for op, column, more, *_ in VALUES]
    entries += [create_column("public.wide", op, column, **more) for op, column, more, *_ in CREATED]
    entries += [create_column("public.wide", op, column) for op, column, _ in MOMENTARY]
    replication = replicate("public.wide", task={"cdc_settings": {"mode": mode}}, transformations=entries)
    replication.setup()
    replication.load()
    collation = replication.metadata("select text_collation from trempy.tasks where task_name = {task}")[0][0]
    given = {column: expression for _, column, _, _, expression in (*VALUES, *CREATED)}
    names = ["id", *COLUMNS.split(", "), *(column for _, column, *_ in CREATED)]
    expected = ", ".join(f"{_collated(given.get(name, name), collation)} as {name}" for name in names)

    current = "scd_current = 1" if mode == "scd2" else "true"

    def wrong_rows():
        wanted = dump(databases.source_admin, f"(select {expected} from wide)")
        present = dump(databases.target_admin, f"(select {', '.join(names)} from wide where {current})")
        return sorted(set(wanted) ^ set(present))

    after_load, loaded_at = wrong_rows(), moments_of(databases, "true")
    databases.source_admin.execute(FEW)
    replication.catch_up()
    after_few, changed_at = wrong_rows(), moments_of(databases, f"id = 8 and {current}")
    databases.allow_replica_role()  # the many are written as arrays, the few were in the source's order
    databases.source_admin.execute(MANY)
    replication.catch_up()

    assert after_load == []
    assert after_few == []
    assert wrong_rows() == []
    assert replication.errors() == []
    types = types_of(databases.target_admin, "wide")
    assert {c: types[c] for _, c, _, _, _ in (*VALUES, *CREATED)} == {
        c: t for _, c, _, t, _ in (*VALUES, *CREATED)
    }
    assert {column: types[column] for _, column, _ in MOMENTARY} == {c: t for _, c, t in MOMENTARY}
    assert len(loaded_at) == len(changed_at) == 1  # one moment for all rows of the load
    assert changed_at > loaded_at
    lasting = ", ".join(sorted(types.keys() - {column for _, column, _ in MOMENTARY}))
    assert_reload_gives_the_same(databases, replication, f"(select {lasting} from wide)")


def _collated(expression, collation):
    for column in ("t_upper", "c_upper", "v_lower"):
        for function in ("upper", "lower"):
            expression = expression.replace(
                f"{function}({column})", f'{function}({column} collate "{collation}")'
            )
    return expression

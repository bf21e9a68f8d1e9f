"""The same row has the same bytes on the target, by full load and by changes (G7, G9)."""

from __future__ import annotations

import contextlib

import psycopg2
import pytest

VALUES = {
    "smallint": ["-32768", "0"],
    "integer": ["-2147483648", "2147483647"],
    "bigint": ["-9223372036854775808", "9007199254740993"],
    "numeric": [
        "NaN",
        "Infinity",
        "-Infinity",
        "1.00",
        "0.000000000000000000001",
        "9" * 500 + "." + "9" * 200,
    ],
    "numeric(12,3)": ["123456789.125"],
    "real": ["NaN", "-0", "1e-45", "3.4028235e+38", "Infinity"],
    "double precision": ["NaN", "-0", "5e-324", "1.7976931348623157e308", "-Infinity", "0.1"],
    "money": ["-92233720368547758.08", "1234.56"],
    "text": [
        "",
        "tab\tnewline\nreturn\rbackslash\\",
        "\\N",
        "\\.",
        "😀 שלום",
        "quote ' double \" $$",
        "%s %% {x}",
    ],
    "varchar(20)": ["trailing  ", ""],
    "char(6)": ["ab", "      "],
    '"char"': ["a", ""],
    "name": ["a name"],
    "bytea": ["\\x", "\\x00ff5c0a09", "\\x" + "00" * 300],
    "boolean": ["t", "f"],
    "date": ["0044-03-15 BC", "infinity", "-infinity", "5874897-12-31"],
    "time": ["24:00:00", "00:00:00.000001"],
    "timetz": ["24:00:00-15:59", "12:34:56.789+05:30"],
    "timestamp": ["4713-01-01 00:00:00 BC", "infinity", "294276-12-31 23:59:59.999999"],
    "timestamptz": ["-infinity", "1900-01-01 00:00:00+00:19:32", "2024-02-29 12:00:00.123456+00"],
    "interval": ["178000000 years", "-1 mons +2 days -03:04:05.678901", "00:00:00"],
    "uuid": ["00000000-0000-0000-0000-000000000000"],
    "json": ['{"b": 1,   "a": 9007199254740993, "a": null}', "null", '"\\u00e9"'],
    "jsonb": ['{"a": 9007199254740993.000000000000001}', "null", "[]"],
    "xml": ["<a b='1'>text &amp; more</a>", "plain"],
    "bit(5)": ["10101"],
    "bit varying": ["", "1010101010101"],
    "inet": ["10.0.0.1", "10.0.0.1/8", "::ffff:1.2.3.4/100"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "point": ["(1e-300,-0)"],
    "line": ["{1,2,3}"],
    "lseg": ["[(0,0),(1,1)]"],
    "box": ["(1,1),(0,0)"],
    "path": ["((0,0),(1,1))", "[(0,0),(1,1)]"],
    "polygon": ["((0,0),(1,1),(2,0))"],
    "circle": ["<(1,2),3>"],
    "tsvector": ["'a':1A 'b c':2"],
    "tsquery": ["'a' & !'b':*A"],
    "int4range": ["empty", "[1,10)", "(,)"],
    "numrange": ["[1.10,2.20]"],
    "tstzrange": ["[2020-01-01 00:00:00+00,infinity]"],
    "int4multirange": ["{}", "{[1,3),[5,9)}"],
    "integer[]": ["{}", "{1,NULL,3}", "[0:1][-2:-1]={{1,2},{3,4}}"],
    "text[]": ['{"",NULL,"NULL","a,b","\\"q\\\\"}'],
    "pg_lsn": ["16/B374D848"],
    "oid": ["4294967295"],
    "xid8": ["18446744073709551615"],
    "txid_snapshot": ["10:20:10,14"],
    "jsonpath": ['$."a"[*]?(@ > 1)'],
    "regtype": ["integer"],
    "public.mood": ["sad", 'o\'k, "fine"'],
    "public.small_mood": ["sad"],
    "public.pair": ['(1,"a, \\"b\\"")', "(,)"],
    "public.pair[]": ['{"(1,a)","(,)"}'],
    "public.positive": ["7"],
}
TYPES = """
create type public.mood as enum ('sad', 'o''k, "fine"');
create domain public.small_mood as public.mood check (value <> 'o''k, "fine"');
create type public.pair as (a int, b text);
create domain public.positive as int check (value > 0);
"""


def table_of_all_types(databases) -> None:
    columns = ", ".join(f"c{i} {type_name}" for i, type_name in enumerate(VALUES))
    databases.source_admin.execute(f"{TYPES} create table public.t (id int primary key, {columns})")


def insert_all_values(databases, first_id: int) -> int:
    """Insert one row per value, the other columns null, and return how many."""
    number = 0
    for i, values in enumerate(VALUES.values()):
        for value in values:
            with contextlib.suppress(psycopg2.errors.FeatureNotSupported):  # xml, where not built in
                databases.source_admin.execute(
                    f"insert into public.t (id, c{i}) values (%s, %s)", (first_id + number, value)
                )
            number += 1
    return number


@pytest.mark.pg("15-15", "16-18", "18-15")
def test_every_type_is_equal_by_load_and_by_change(databases, replicate):
    table_of_all_types(databases)
    insert_all_values(databases, 1)
    replication = replicate("public.t")
    replication.setup()
    replication.load()
    count = insert_all_values(databases, 1001)
    databases.source_admin.execute("insert into public.t (id) values (5000), (5001)")
    databases.source_admin.execute("update public.t set id = id where id > 1000")

    replication.catch_up()

    replication.assert_equal()
    loaded, applied = (
        databases.target.fetch_all(
            f"select (t.*)::text from (select id - {base} as id, {', '.join(f'c{i}' for i in range(len(VALUES)))}"
            f" from public.t where id between {base} and {base + count - 1}) t order by id"
        )
        for base in (1, 1001)
    )
    assert loaded == applied
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


@pytest.mark.pg(15)
def test_hostile_names_are_only_names(databases, replicate):
    databases.source_admin.execute(
        'create schema "Sch.ema %s"; create table "Sch.ema %s"."sel""ect \'t\' {0}" '
        '("Id" int, "id" int, "ü-%%(x)s" text, "order" text, primary key ("id", "Id"))'.replace("%%", "%")
    )
    databases.source_admin.execute(
        "insert into \"Sch.ema %s\".\"sel\"\"ect 't' {0}\" values (1, 2, 'a', 'b')"
    )
    replication = replicate('"Sch.ema %s"."sel""ect \'t\' {0}"')
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "insert into \"Sch.ema %s\".\"sel\"\"ect 't' {0}\" select g, g, '%s', '{}' from generate_series(5, 60) g;"
        'update "Sch.ema %s"."sel""ect \'t\' {0}" set "order" = \'c\' where "Id" = 1;'
        'delete from "Sch.ema %s"."sel""ect \'t\' {0}" where "id" = 9'
    )
    replication.catch_up()

    rows = 'select "Id", "id", "ü-%(x)s", "order" from "Sch.ema %s"."sel""ect \'t\' {0}" order by 1'
    assert databases.target.fetch_all(rows) == databases.source.fetch_all(rows)

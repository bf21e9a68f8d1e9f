"""A full load after any changes equals a full load before them plus the changes (G8, G9).

Random changes over tables of every shape, with filters and transformations that meet in one chain; the seed
of a failure is in its name.
"""

from __future__ import annotations

import random

import pytest

from tests.scenarios.test_transformations import dump
from tests.support.settings_entries import (
    change_value,
    create_column,
    filter_entry,
    transformation_entry,
)

NAMES = ("keyed", "coded", "loose", "wide", "narrowed")
TABLES = """
create table keyed (id int primary key, v text, n int, d date, large text);
create table coded (code text, part int, v text, n int, d date, large text, primary key (code, part));
create table loose (id int, v text, n int, d date, large text); alter table loose replica identity full;
create table wide (id int primary key, v text, n int, d date, large text); alter table wide replica identity full;
create table narrowed (id int primary key, v text, n int, d date, large text);
alter table keyed replica identity full; alter table coded replica identity full;
"""
LARGE = "repeat(md5(random()::text), 120)"
# What the target of `narrowed` has is made by somebody else, with other types and an index on nothing.
NARROWED = "create table narrowed (id bigint, v varchar(40), n text, d text, large text, twice text)"


def entries(names):
    """Return the filters and transformations of some tables."""
    filters = [
        filter_entry("public.keyed", "greater_than", "n", value=2),
        filter_entry("public.coded", "not_equals", "v", value="b"),
        filter_entry("public.coded", "less_than", "n", value=8),
        filter_entry("public.loose", "in", "v", values=["a", "c", "Ä"]),
        filter_entry("public.wide", "contains", "v", value="c"),
        filter_entry("public.wide", "is_not_null", "d"),
    ]
    transformations = [
        transformation_entry(
            "public.keyed", "modify_column_name", priority=0, column_name="v", target_column_name="renamed"
        ),
        change_value("public.keyed", "uppercase", "renamed"),
        create_column(
            "public.keyed", "concat", "joined", depends_on=["renamed", "large", "n"], separator="|"
        ),
        change_value("public.keyed", "extract_year", "d"),
        transformation_entry("public.coded", "modify_table_name", target_table_name="coded_too"),
        change_value("public.coded", "lowercase", "code"),
        change_value("public.coded", "math_expression", "n", expression="value / 3"),
        change_value("public.loose", "math_expression", "n", expression="value * 1.5"),
        change_value("public.loose", "format_date", "d", format="%B %Y"),
        create_column("public.wide", "date_diff_years", "age", depends_on=["d", "d"]),
        transformation_entry("public.wide", "remove_primary_key", priority=3, column_names=["id"]),
        create_column("public.narrowed", "concat", "twice", depends_on=["n", "n"]),
        change_value("public.narrowed", "math_expression", "n", expression="value * 2"),
        change_value("public.narrowed", "extract_month", "d"),
    ]
    sections = {"filters": filters, "transformations": transformations}
    return {
        name: [entry for entry in section if entry["table_info"]["table_name"] in names]
        for name, section in sections.items()
    }


class Writer:
    """Make random changes; each of a few kinds of transaction."""

    def __init__(self, seed):
        self._choose = random.Random(seed)
        self._next_id = 1000

    def statements(self, count):
        for _ in range(count):
            statements = [self._statement() for _ in range(self._choose.randrange(1, 6))]
            yield (
                "begin;" + ";".join(statements) + (";rollback" if self._choose.random() < 0.1 else ";commit")
            )

    def _statement(self):
        table = self._choose.choice(NAMES)
        kind = self._choose.choice(
            ["insert", "insert", "update", "update", "touch", "delete", "rekey", "bulk"]
        )
        where = f"{self._number(table)} % {self._choose.randrange(5, 40)} = {self._choose.randrange(5)}"
        if kind == "insert":
            return self._insert(table, self._choose.randrange(1, 4))
        if kind == "bulk":
            return self._insert(table, 70)
        if kind == "delete":
            return f"delete from {table} where {where}"
        if kind == "rekey":
            self._next_id += 10_000
            place = "part" if table == "coded" else "id"
            return f"update {table} set {place} = {place} + {self._next_id} where {where}"
        values = ", ".join(
            f"{name} = {self._value(name)}"
            for name in self._choose.sample(["v", "n", "d"], self._choose.randrange(1, 3))
        )
        return f"update {table} set {values}{f', large = {LARGE}' if kind == 'touch' else ''} where {where}"

    def _insert(self, table, count):
        first = self._next_id
        self._next_id += count
        key = "'Code ' || g % 7, g" if table == "coded" else "g"
        values = ", ".join(self._value(name) for name in ("v", "n", "d"))
        return f"insert into {table} select {key}, {values}, {LARGE} from generate_series({first}, {first + count - 1}) g"

    def _number(self, table):
        return "part" if table == "coded" else "id"

    def _value(self, name):
        return {
            "v": "(array['a', 'b', 'c', 'Ä', '', null, 'bc\\\\'])[1 + floor(random() * 7)]",
            "n": "floor(random() * 12)::int",
            "d": "(array[date '2024-02-29', '1999-12-31', '0044-03-15 BC', null])[1 + floor(random() * 4)]",
        }[name]


@pytest.mark.parametrize(
    ("mode", "seed"),
    [
        ("default", 1),
        pytest.param("upsert", 2, marks=pytest.mark.pg("18-15")),
        pytest.param("default", 3, marks=pytest.mark.pg("15-18")),
        ("scd2", 4),
    ],
)
def test_load_after_the_changes_equals_load_before_plus_changes(databases, replicate, mode, seed):
    tables = ["keyed", "coded_too"] if mode == "scd2" else ["keyed", "coded_too", "loose", "wide", "narrowed"]
    names = [table.removesuffix("_too") for table in tables]
    writer = Writer(seed)
    databases.source_admin.execute(f"select setseed(0.{seed});" + TABLES)
    databases.target_admin.execute(NARROWED)
    for statement in writer.statements(30):
        databases.source_admin.execute(statement)
    cdc = {"mode": mode, "push_down_filters": seed == 1}
    replication = replicate(
        *(f"public.{name}" for name in names), task={"cdc_settings": cdc}, **entries(names)
    )
    replication.setup()
    replication.load()

    for turn in range(3):
        if turn == 1:
            databases.allow_replica_role()  # from here on, changes are written as arrays where they can
        for statement in writer.statements(15):
            databases.source_admin.execute(statement)
        replication.catch_up()

    assert replication.errors() == []
    before = {table: dump(databases.target_admin, table) for table in tables}
    replication.load(reload=True)
    after = {table: dump(databases.target_admin, table) for table in tables}
    assert {table: len(rows) > 5 for table, rows in after.items()} == dict.fromkeys(tables, True)
    assert {table for table in tables if before[table] != after[table]} == set()

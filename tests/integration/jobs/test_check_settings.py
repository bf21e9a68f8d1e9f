"""Filters and transformations that a table does not allow are refused before anything runs."""

from __future__ import annotations

import pytest

from tests.support.replication import Replication, settings
from tests.support.settings_entries import (
    change_value,
    create_column,
    filter_entry,
    transformation_entry,
)
from trempy_provider.errors import SettingsError
from trempy_provider.jobs.check import check

T = "public.t"
TABLES = """
create type mood as enum ('sad', 'ok');
create table t (id int primary key, i int, n numeric(5,2), v varchar(10), t text, d date, ts timestamptz, b boolean, e mood,
    j json, u uuid, g int generated always as (i * 2) stored);
create table long (id int primary key, a text, b text, c varchar(500), d varchar(20), s int);
create table full_identity (id int primary key, a text, b text); alter table full_identity replica identity full;
"""


def large(*columns, table="public.long"):
    return [filter_entry(table, "is_not_null", column) for column in columns]


# name: filters, transformations, words of the error or warning, None for none
CASES = {
    "text for a number": (
        [filter_entry(T, "equals", "i", value="abc")],
        [],
        "does not fit its column i of type integer",
    ),
    "fraction for whole numbers": (
        [filter_entry(T, "less_than", "i", value=10.5)],
        [],
        "does not fit its column i",
    ),
    "too large": (
        [filter_entry(T, "in", "i", values=[1, 3000000000])],
        [],
        "does not fit its column i of type integer",
    ),
    "wrong end": (
        [filter_entry(T, "between", "n", lower="1", upper="x")],
        [],
        "does not fit its column n of type numeric(5,2)",
    ),
    "no label": (
        [filter_entry(T, "equals", "e", value="angry")],
        [],
        "does not fit its column e of type public.mood",
    ),
    "no boolean": (
        [filter_entry(T, "equals", "b", value="perhaps")],
        [],
        "does not fit its column b of type boolean",
    ),
    "no uuid": ([filter_entry(T, "not_in", "u", values=["1"])], [], "does not fit its column u of type uuid"),
    "no equality": ([filter_entry(T, "equals", "j", value="{}")], [], "operator does not exist: json = json"),
    "day of text": (
        [filter_entry(T, "date_equals", "t", value="2024-01-01")],
        [],
        "its column is text, not date, timestamp or",
    ),
    "text of number": (
        [filter_entry(T, "starts_with", "i", value="1")],
        [],
        "its column is integer, not a type of text",
    ),
    "filter without column": ([filter_entry(T, "is_null", "nowhere")], [], 'has no column "nowhere"'),
    "generated column": ([filter_entry(T, "equals", "g", value=2)], [], 'has no column "g"'),
    "filter of a pattern": (
        [filter_entry("public.*", "is_null", "ts")],
        [],
        'public.long: the table has no column "ts"',
    ),
    "letters of number": (
        [],
        [change_value(T, "uppercase", "i")],
        "its column is integer, not a type of text",
    ),
    "number of text": (
        [],
        [change_value(T, "math_expression", "v", expression="value + 1")],
        "is character varying(10), not a type of numbers",
    ),
    "year of text": ([], [change_value(T, "extract_year", "t")], "its column is text, not date"),
    "format of number": (
        [],
        [change_value(T, "format_date", "n", format="%Y")],
        "its column is numeric(5,2), not date",
    ),
    "years of text": (
        [],
        [create_column(T, "date_diff_years", "x", depends_on=["d", "t"])],
        "its column is text, not date",
    ),
    "name taken": (
        [],
        [transformation_entry(T, "modify_column_name", column_name="i", target_column_name="n")],
        'has a column "n" already',
    ),
    "new name taken": ([], [create_column(T, "date_now", "i")], 'has a column "i" already'),
    "name too early": (
        [],
        [
            change_value(T, "uppercase", "w"),
            transformation_entry(
                T, "modify_column_name", priority=3, column_name="v", target_column_name="w"
            ),
        ],
        'has no column "w"',
    ),
    "not in the key": (
        [],
        [transformation_entry(T, "remove_primary_key", column_names=["i"])],
        '"i" is not in the primary key',
    ),
    "key changed": (
        [],
        [change_value(T, "math_expression", "id", expression="value * 0")],
        "the settings change the value of its key column id",
    ),
    "table not there": (
        [filter_entry("public.lang", "is_null", "a")],
        [],
        "names public.lang, which is none of the task's tables",
    ),
    "same target": (
        [],
        [
            transformation_entry("public.*", "modify_schema_name", target_schema_name="s"),
            transformation_entry("public.t", "modify_table_name", target_table_name="long"),
        ],
        "both public.long and public.t would be written to it",
    ),
    "out of line beside others": (
        large("a", "s"),
        [],
        "alter table public.long replica identity full; or, if its values are short: alter table public.long alter column a set storage plain;",
    ),
    "out of line alone": (large("c"), [], "cannot be inserted, since their values may not be sent"),
    "short beside others": (large("d", "s"), [], None),
    "full identity": (large("a", "b", table="public.full_identity"), [], None),
    "made of unsent": (
        [],
        [
            change_value("public.long", "uppercase", "a"),
            create_column("public.long", "concat", "x", depends_on=["a", "s"]),
        ],
        "column x is made of a and others",
    ),
    "pattern without column": ([], [change_value("public.*", "uppercase", "v")], None),
}


@pytest.fixture
def found(databases, rabbitmq_uri, task_name):
    """Return a function that checks settings over the tables above and returns what it finds."""
    databases.source_admin.execute(TABLES)

    def find(filters, transformations):
        given = settings(task_name, ["public.*"], filters=filters, transformations=transformations)
        try:
            replication = Replication(given, databases=databases, rabbitmq_uri=rabbitmq_uri)
        except SettingsError as error:
            return [str(problem) for problem in error.problems]
        report = check(replication.task, source=replication.source, target=replication.target)
        return [str(finding) for finding in report.findings]

    return find


def test_what_a_table_does_not_allow_is_refused_by_name_and_type(found):
    wrong = {}
    for name, (filters, transformations, words) in CASES.items():
        findings = [text for text in found(filters, transformations) if "collation" not in text]
        if words is None and name.startswith("short"):
            findings = [text for text in findings if not text.startswith("warning")]
        if (words is None and findings) or (
            words is not None and not any(words in text for text in findings)
        ):
            wrong[name] = findings

    assert wrong == {}


@pytest.mark.pg("15-18")
def test_servers_without_a_common_collation_are_warned_of(found):
    assert any(
        "no collation of all languages in common" in text
        for text in found([], [change_value(T, "uppercase", "v")])
    )
    assert not any("collation" in text for text in found([], []))

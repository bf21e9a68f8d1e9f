"""The report of apply says which path the changes of each table took, and why."""

from __future__ import annotations

import pytest

from trempy_provider.cli.reports import facts_text
from trempy_provider.replication.exact_reasons import ExactReason


def path_of(report, table):
    (path,) = [path for path in report.as_dict()["paths"] if path["table"] == table]
    return path


def test_each_table_of_a_batch_takes_the_path_its_changes_allow(databases, replicate):
    databases.allow_replica_role()
    databases.source_admin.execute(
        "create table public.plain (id int primary key, v int); create table public.moved (id int primary key, v int);"
        "create table public.bare (id int, v int); alter table public.bare replica identity full;"
    )
    replication = replicate("public.plain", "public.moved", "public.bare")
    replication.setup()
    replication.load()
    databases.source_admin.execute(
        "begin; insert into public.plain select g, g from generate_series(1, 100) g; update public.plain set v = v + 1;"
        "insert into public.moved select g, g from generate_series(1, 100) g; update public.moved set id = id + 1000;"
        "insert into public.bare select g, g from generate_series(1, 100) g; update public.bare set v = v + 1; commit"
    )

    _, report = replication.catch_up()

    replication.assert_equal()
    assert path_of(report, "public.plain") == {
        "table": "public.plain", "as_arrays": 200, "one_by_one": 0, "why_one_by_one": [],
    }  # fmt: skip
    assert path_of(report, "public.moved")["why_one_by_one"] == [f"200: {ExactReason.KEY_CHANGED}"]
    assert path_of(report, "public.bare")["why_one_by_one"] == [f"200: {ExactReason.NO_KEY}"]
    assert f"200: {ExactReason.KEY_CHANGED}" in facts_text(report.as_dict())


@pytest.mark.parametrize(
    ("replica_role", "mode", "rows", "reason"),
    [
        (True, "default", 10, ExactReason.FEW_CHANGES),
        (True, "scd2", 100, ExactReason.VERSIONS),
        (False, "default", 100, ExactReason.KEEPS_ORDER),
    ],
)
def test_task_and_batch_decide_for_all_tables(databases, replicate, replica_role, mode, rows, reason):
    if replica_role:
        databases.allow_replica_role()
    databases.source_admin.execute("create table public.t (id int primary key, v int)")
    replication = replicate("public.t", task={"cdc_settings": {"mode": mode}})
    replication.setup()
    replication.load()
    databases.source_admin.execute(f"insert into public.t select g, g from generate_series(1, {rows}) g")

    _, report = replication.catch_up()

    assert path_of(report, "public.t")["why_one_by_one"] == [f"{rows}: {reason}"]


def test_failing_row_and_a_truncate_are_named_as_reasons(databases, replicate):
    databases.allow_replica_role()
    databases.source_admin.execute("create table public.t (id int primary key, v int)")
    databases.target_admin.execute("create table public.t (id int primary key, v int check (v <> 13))")
    replication = replicate("public.t")
    replication.setup()
    replication.load()
    databases.source_admin.execute("insert into public.t select g, g from generate_series(1, 100) g")
    _, failing = replication.catch_up()
    databases.source_admin.execute(
        "begin; truncate public.t; insert into public.t select g, 0 from generate_series(1, 100) g; commit"
    )
    _, truncating = replication.catch_up()

    assert path_of(failing, "public.t")["why_one_by_one"] == [f"100: {ExactReason.ROW_ERROR}"]
    assert path_of(truncating, "public.t")["why_one_by_one"] == [f"100: {ExactReason.OTHER_MESSAGES}"]

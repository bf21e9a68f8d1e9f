"""Filters pushed down to the publication give the same target, and keep rows that do not pass at home."""

from __future__ import annotations

import random

import pytest

from tests.scenarios.test_filters import FILTERS as EVERY_FILTER
from tests.scenarios.test_filters import ROWS, WIDE
from tests.support.replication import Replication, settings
from tests.support.settings_entries import filter_entry, transformation_entry
from trempy_provider.jobs.check import check

COLUMNS = "part int, id bigint, label text, n int, at timestamptz, large text"
# part: in the key; kept: a filter that only apply has; large: not sent by an UPDATE of the key
TABLES = f"""
create table by_key ({COLUMNS}, primary key (part, id)); alter table by_key alter large set storage external;
create table whole ({COLUMNS}, primary key (id)); alter table whole replica identity full;
create table partly ({COLUMNS}, primary key (id)); alter table partly replica identity full;
create table dated ({COLUMNS}, primary key (id)); alter table dated replica identity full;
create table kept ({COLUMNS}, primary key (id));
create table split ({COLUMNS}, primary key (part, id)) partition by list (part);
create table split_1 partition of split for values in (1); create table split_2 partition of split default;
"""
FILTERS = [
    filter_entry("public.by_key", "equals", "part", value=1),
    filter_entry("public.whole", "not_between", "n", lower=2, upper=3),
    filter_entry("public.whole", "starts_with", "label", value="o%"),
    filter_entry("public.partly", "greater_than_or_equal", "n", value=2),
    filter_entry("public.partly", "less_than", "label", value="o%5"),
    filter_entry("public.dated", "date_not_equals", "at", value="2024-02-29"),
    filter_entry("public.dated", "is_not_null", "label"),
    filter_entry("public.kept", "equals", "n", value=3),
    filter_entry("public.split", "in", "part", values=[0, 2]),
]
PUSHED = [
    "public.by_key: filters[0].settings",
    "public.dated: filters[5].settings",
    "public.dated: filters[6].settings",
    "public.partly: filters[3].settings",
    "public.split: filters[8].settings",
    "public.whole: filters[1].settings",
    "public.whole: filters[2].settings",
]
NAMES = ("by_key", "whole", "partly", "dated", "kept", "split")
NEW_ROWS = """insert into {table} select g % 3, g, (array['o%', 'x', null])[1 + g % 3] || g, g % 5,
    timestamptz '2024-02-28 22:00+00' + g % 4 * interval '9 hours', repeat(md5(g::text), 100)
    from generate_series({first}, {last}) g"""
STEPS = (
    "update {table} set n = (n + 1) % 5 where id % 7 = {k}",
    "update {table} set label = case when label like 'o%' then 'x' when label is null then 'o%' || id end where id % 5 = {k}",
    "update {table} set part = (part + 1) % 3 where id % 6 = {k}",
    "update {table} set part = (part + 1) % 3, large = md5(id::text) where id % 6 = {k}",
    "update {table} set id = id + {first}, n = {k} where id % 9 = {k}",
    "update {table} set at = at + interval '9 hours' where id % 4 = {k}",
    "update {table} set large = repeat('{k}', 3000) where id % 8 = {k}",
    "delete from {table} where id % 10 = {k}",
    NEW_ROWS,
)


def make_script(seed):
    """Return transactions of random statements over every table, one of them rolled back, one with TRUNCATE."""
    chance, first = random.Random(seed), 1000
    for number in range(12):
        statements = []
        for _ in range(4):
            first += 1000
            table, step = chance.choice(NAMES), chance.choice(STEPS)
            statements.append(
                step.format(
                    table=table, k=chance.randrange(5), first=first, last=first + chance.choice((3, 90))
                )
            )
        if number == 6:
            truncated = ("by_key", "whole", "split")
            statements.append(f"truncate {', '.join(truncated)}")
            statements += [NEW_ROWS.format(table=table, first=1, last=60) for table in truncated]
        end = "rollback" if number == 9 else "commit"
        yield f"begin; {'; '.join(statements)}; {end};"


@pytest.fixture
def make_pair(databases, rabbitmq_uri, make_task_name):
    """Return a function that makes two tasks of the same tables: with filters pushed down, and without."""
    made = []

    def make(mode):
        databases.give_roles_other_defaults()
        databases.source_admin.execute(TABLES)
        for name in NAMES:
            databases.source_admin.execute(NEW_ROWS.format(table=name, first=1, last=90))
        tables = [f"public.{name}" for name in NAMES]
        for schema, is_pushed in (("pushed", True), ("plain", False)):
            given = settings(
                make_task_name(),
                tables,
                task={"cdc_settings": {"mode": mode, "push_down_filters": is_pushed}},
                filters=FILTERS,
                transformations=[
                    transformation_entry(table, "modify_schema_name", target_schema_name=schema)
                    for table in tables
                ],
            )
            made.append(Replication(given, databases=databases, rabbitmq_uri=rabbitmq_uri))
        return made

    yield make
    for replication in made:
        replication.teardown()


def rows_of(databases, schema, mode):
    """Return the rows of each table; of a history without the times of the load, which differ."""
    versions = ""
    if mode == "scd2":
        versions = (
            ", scd_current, scd_end_date, nullif(scd_start_date, (select min(scd_start_date) from {table}))"
        )
    query = f"select row(part, id, label, n, at, md5(large){versions})::text from {{table}} order by 1"
    return {
        name: [row for (row,) in databases.target_admin.fetch_all(query.format(table=f"{schema}.{name}"))]
        for name in NAMES
    }


@pytest.mark.pg(15, 18)
@pytest.mark.parametrize("mode", ["default", "upsert", "scd2"])
def test_filters_pushed_down_give_the_same_target_and_send_fewer_changes(databases, make_pair, mode):
    databases.allow_replica_role()
    pushed, plain = make_pair(mode)
    report = pushed.setup()
    plain.setup()
    for replication in (pushed, plain):
        replication.load()

    counts = [0, 0]
    script = list(make_script(seed=mode))
    for transactions in (script[:3], script[3:]):
        for transaction in transactions:
            databases.source_admin.execute(transaction)
        for i, replication in enumerate((pushed, plain)):
            captured, _ = replication.catch_up()
            counts[i] += captured.change_count

        assert rows_of(databases, "pushed", mode) == rows_of(databases, "plain", mode)
        assert sorted(pushed.errors()) == sorted(plain.errors())
    assert all(rows_of(databases, "pushed", mode).values())
    assert list(report.pushed_filters) == PUSHED
    assert 0 < counts[0] < counts[1]


@pytest.mark.pg(15, 18)
def test_rows_that_do_not_pass_never_leave_the_source_whatever_filter_and_operation(databases, replicate):
    databases.give_roles_other_defaults()
    admin = databases.source_admin
    admin.execute(WIDE.replace("%(rows)s", str(ROWS)))
    for name in EVERY_FILTER:
        admin.execute(
            f"create table {name} (like wide including all); insert into {name} table wide;"
            f"alter table {name} replica identity full"
        )
    replication = replicate(
        *(f"public.{name}" for name in EVERY_FILTER),
        task={"replication_type": "cdc", "cdc_settings": {"push_down_filters": True}},
        filters=[
            filter_entry(f"public.{name}", kind, column, **operands)
            for name, (kind, column, operands, _) in EVERY_FILTER.items()
        ],
    )

    report = replication.setup()
    for name in EVERY_FILTER:
        admin.execute(f"update {name} set id = id; delete from {name}; insert into {name} table wide")
    captured = replication.capture()

    kept = {"equals_domain", "starts_domain", "equals_enum", "greater_enum"}
    pushed = {text.partition(":")[0].removeprefix("public.") for text in report.pushed_filters}
    passing = [
        admin.fetch_value(f"select count(*) from {name} where {'true' if name in kept else condition}")
        for name, (*_, condition) in EVERY_FILTER.items()
    ]
    assert EVERY_FILTER.keys() - pushed == kept
    assert captured.change_count == 3 * sum(passing)


@pytest.mark.usefixtures("way")
def test_a_row_that_comes_to_pass_without_values_that_were_not_sent_is_an_error_and_not_null(
    databases, make_pair
):
    pushed, plain = make_pair("default")
    for replication in (pushed, plain):
        replication.setup()
        replication.load()

    databases.source_admin.execute("update by_key set part = 1 where part <> 1")
    for replication in (pushed, plain):
        replication.catch_up()

    assert len(pushed.errors()) == 60
    assert pushed.errors() == plain.errors()
    assert rows_of(databases, "pushed", "default") == rows_of(databases, "plain", "default")
    assert databases.target_admin.fetch_value("select count(*) from pushed.by_key where large is null") == 0


def test_check_and_setup_say_what_is_pushed_down_and_change_nothing_twice(databases, make_pair):
    pushed, _ = make_pair("default")

    found = check(pushed.task, source=pushed.source, target=pushed.target)
    report = pushed.setup()

    told = [f"{finding.where}: {finding.what}" for finding in found.findings if "pushed down" in finding.what]
    (kept,) = [text for text in told if "public.kept" in text]
    assert "filters[7].settings is not pushed down" in kept
    assert kept.endswith("its column n is not in the replica identity")
    assert kept in report.warnings
    assert any("public.partly: filters[4].settings is not" in text and "collation" in text for text in told)
    assert (
        "source table public.whole: pushed down to the publication: filters[1].settings, filters[2].settings"
        in told
    )
    assert _row_filters(databases, pushed) == {"by_key", "whole", "partly", "dated", "split"}

    first = _publication_row(databases, pushed)
    pushed.setup()
    assert _publication_row(databases, pushed) == first


def test_a_changed_setting_is_followed_without_a_load(databases, make_pair):
    pushed, _ = make_pair("default")
    pushed.setup()
    pushed.load()
    given = pushed.task.model_dump(mode="json", by_alias=True)

    for is_pushed in (False, True):
        given["task"]["cdc_settings"]["push_down_filters"] = is_pushed
        pushed.change_settings(given)
        report = pushed.setup()
        databases.source_admin.execute(
            "update whole set n = (n + 1) % 5; update whole set label = 'o%' where id % 9 = 0; delete from whole where id % 9 = 1"
        )
        pushed.catch_up()

        assert bool(report.pushed_filters) is bool(_row_filters(databases, pushed)) is is_pushed
        wanted = databases.source_admin.fetch_all(
            "select id, n from whole where n not between 2 and 3 and label like 'o\\%%' order by 1"
        )
        assert databases.target_admin.fetch_all("select id, n from pushed.whole order by 1") == wanted != []
    assert pushed.errors() == []


def _row_filters(databases, replication):
    rows = databases.source_admin.fetch_all(
        "select tablename from pg_publication_tables where rowfilter is not null and pubname = %s",
        [replication.task.publication_name],
    )
    return {name for (name,) in rows}


def _publication_row(databases, replication):
    """Return what changes with every ALTER PUBLICATION that does anything."""
    return databases.source_admin.fetch_all(
        "select r.oid, r.xmin::text from pg_publication_rel r join pg_publication p on p.oid = r.prpubid"
        " where p.pubname = %s order by 1",
        [replication.task.publication_name],
    )

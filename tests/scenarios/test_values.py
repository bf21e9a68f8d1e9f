"""The same row has the same bytes on the target, by full load and by changes (G7, G9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import psycopg2
import pytest
from psycopg2 import sql

from tests.support.message_schema import assert_matches_schema
from tests.support.type_values import (
    EXTENSION_VALUES,
    EXTENSIONS,
    NOT_FOR_COLUMNS,
    TYPES,
    VALUES,
    columns_sql,
    rows,
)
from trempy_provider.jobs.full_load import FullLoadReport

# With at most so many rows, apply writes them one by one.
FEW = 10

Values = Mapping[str, Sequence[str]]


def create_tables(databases, values: Values) -> list[str]:
    """Create tables of all columns: with a key, without one, and as many as take a few rows each."""
    columns = columns_sql(list(values))
    few = [f"public.few_{number}" for number in range(len(list(chunks(values))))]
    databases.source_admin.execute(
        f"create table public.keyed (id int primary key, v int, {columns});"
        f"create table public.keyless (id int, v int, {columns}); alter table public.keyless replica identity full;"
        + "".join(f"create table {table} (id int primary key, v int, {columns});" for table in few)
        + "".join(f"alter table {table} replica identity full;" for table in few[::2])
    )
    return ["public.keyed", "public.keyless", *few]


def chunks(values: Values) -> Iterator[list[tuple[str, str]]]:
    remaining = iter(rows(values))
    while chunk := list(islice(remaining, FEW)):
        yield chunk


def insert_values(databases, table: str, pairs: Sequence[tuple[str, str]], *, first_id: int) -> None:
    """Insert a row for each value, in one transaction."""
    statements = [
        sql.SQL("insert into {} (id, {}) values ({}, {})").format(
            sql.SQL(table), sql.Identifier(column), sql.Literal(first_id + number), sql.Literal(text)
        )
        for number, (column, text) in enumerate(pairs)
    ]
    databases.source_admin.execute(sql.SQL("; ").join(statements))


def supported(database, values: Values) -> dict[str, Sequence[str]]:
    """Return the values of the types that the server was built with: some have no xml."""
    try:
        database.execute("select '<a/>'::xml")
    except psycopg2.errors.FeatureNotSupported:
        return {name: texts for name, texts in values.items() if name != "xml"}
    return dict(values)


def fill(databases, values: Values, tables: Sequence[str], *, first_id: int) -> None:
    everything = list(rows(values))
    for table in tables[:2]:
        insert_values(databases, table, everything, first_id=first_id)
    for table, chunk in zip(tables[2:], chunks(values), strict=True):
        insert_values(databases, table, chunk, first_id=first_id)


def assert_changes_equal_loads(databases, replication, values: Values) -> None:
    """Compare the rows that came by load with those that came by change, beyond source with target."""
    replication.assert_equal()
    columns = "v, " + ", ".join(f"c{i}" for i in range(len(values)))
    for table in ("public.keyed", "public.keyless"):
        loaded, applied = (
            databases.target.fetch_all(
                f"select (t.*)::text from (select id - {base} as id, {columns} from {table}"
                f" where id between {base} and {base + 999}) t order by 1"
            )
            for base in (1000, 2000)
        )
        assert loaded == applied
    assert replication.errors() == []


def test_values_are_of_every_type_that_a_column_can_have(databases):
    databases.source_admin.execute(TYPES)
    of_server = databases.source.fetch_all(
        "select typname::text from pg_type where typnamespace = 'pg_catalog'::regnamespace"
        " and typtype in ('b', 'r', 'm') and typcategory <> 'A'"
    )
    types = sql.SQL(", ").join(map(sql.Literal, VALUES))
    covered = databases.source.fetch_all(
        sql.SQL(
            "select t.typname::text from unnest(array[{}]) n"
            " join pg_type t on t.oid = to_regtype(regexp_replace(n, '\\(.*\\)', ''))"
        ).format(types)
    )

    assert {name for (name,) in of_server} - {name for (name,) in covered} == NOT_FOR_COLUMNS


@pytest.mark.pg(15, "15-18", "18-15")
@pytest.mark.usefixtures("way")
def test_every_type_is_equal_by_load_and_by_change(databases, replicate):
    for side in (databases.source_admin, databases.target_admin):
        side.execute(TYPES)
    values = supported(databases.source, supported(databases.target, VALUES))
    load_and_change(databases, replicate, values)


@pytest.mark.pg(15)
def test_every_type_is_equal_in_json_messages(databases, replicate, arrived):
    for side in (databases.source_admin, databases.target_admin):
        side.execute(TYPES)
    values = supported(databases.source, VALUES)

    load_and_change(databases, replicate, values, message_format="json")

    assert arrived
    for body in arrived:
        assert_matches_schema(body)


@pytest.mark.pg(16, "15-18", "18-15")
def test_types_that_travel_in_binary_are_equal_by_load_and_by_change(databases, replicate):
    values = {name: texts for name, texts in VALUES.items() if is_built_in(name)}

    report = load_and_change(databases, replicate, values)

    assert {table.format for table in report.tables} == {"binary"}


@pytest.mark.pg(15)
@pytest.mark.usefixtures("way")
def test_types_of_extensions_are_equal_by_load_and_by_change(databases, replicate):
    """Run on Debian's PostgreSQL: the other builds have no extensions."""
    for side in (databases.source_superuser, databases.target_superuser):
        side.execute("".join(f"create extension {name} schema public;" for name in EXTENSIONS))

    load_and_change(databases, replicate, EXTENSION_VALUES)


def is_built_in(name: str) -> bool:
    """Tell whether the type's binary form means the same on every server."""
    return not name.startswith(
        ("public.", "reg", "xml", "refcursor", "aclitem", "interval", "tsquery", "oidvector", "int2vector")
    )


def load_and_change(
    databases, replicate, values: Values, *, message_format: str = "binary"
) -> FullLoadReport:
    """Bring all values to the target twice, by a load and by changes, and compare."""
    tables = create_tables(databases, values)
    fill(databases, values, tables, first_id=1000)
    replication = replicate(*tables, task={"cdc_settings": {"message_format": message_format}})
    replication.setup()
    report = replication.load()

    fill(databases, values, tables, first_id=2000)
    columns = ", ".join(f"c{i}" for i in range(len(values)))
    for table in tables:
        databases.source_admin.execute(
            f"update {table} set v = 1 where id % 2 = 0; delete from {table} where id % 5 = 0;"
            f"insert into {table} select id + 2, 2, {columns} from {table} where id % 5 = 3"
        )
    replication.catch_up()

    assert_changes_equal_loads(databases, replication, values)
    return report


@pytest.mark.pg("18-15")
def test_value_that_the_target_does_not_know_is_an_error_of_its_row_alone(databases, replicate):
    databases.source_admin.execute("create table public.t (id int primary key, i interval)")
    replication = replicate("public.t")
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "insert into public.t select g, case when g % 10 = 0 then 'infinity' else '1 day' end::interval"
        " from generate_series(1, 40) g"
    )
    replication.catch_up()

    assert replication.errors() == [("t", "insert", "22007")] * 4
    assert databases.target.fetch_all("select count(*), min(i)::text from public.t") == [(36, "1 day")]

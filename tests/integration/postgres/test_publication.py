"""The publication is exactly what the settings ask for."""

from typing import Any

import pytest
from psycopg2 import sql

from tests.support.databases import DatabasePair
from tests.support.tasks import make_task, open_source
from trempy_provider.config.task import OperationName, ReplicationTask
from trempy_provider.errors import SourcePermissionError
from trempy_provider.postgres.catalog import find_tables
from trempy_provider.postgres.publication import (
    Publication,
    drop_publication,
    ensure_publication,
    read_publication,
    wanted_publication,
)
from trempy_provider.postgres.session import Session


@pytest.fixture
def shop(databases: DatabasePair) -> DatabasePair:
    databases.source_admin.execute(
        "create schema shop; set search_path = shop; create table a (id int primary key, b text, c text);"
        "create table b (id int primary key); create table child () inherits (b);"
        "create table p (id int primary key) partition by list (id); create table p1 partition of p default"
    )
    return databases


def wanted(source: Session, task: ReplicationTask) -> Publication:
    return wanted_publication(task, find_tables(source, task))


def published(source: Session, task: ReplicationTask) -> dict[str, Any]:
    rows = source.fetch_all(
        "select schemaname || '.' || tablename, attnames::text[] from pg_publication_tables where pubname = %s",
        [task.publication_name],
    )
    return dict(rows)


@pytest.mark.pg(15, 16, 18)
def test_publication_has_exactly_the_tasks_tables(shop: DatabasePair) -> None:
    task = make_task("exact", [{"table_name": "a", "exclude_columns": ["c"]}, "b", "p"])
    with open_source(shop) as source:
        assert ensure_publication(source, wanted(source, task))

        assert published(source, task) == {"shop.a": ["id", "b"], "shop.b": ["id"], "shop.p": ["id"]}
        assert read_publication(source, task.publication_name) == wanted(source, task)
        assert not ensure_publication(source, wanted(source, task))


@pytest.mark.parametrize(
    "other",
    [
        ["a"],
        ["a", "b", "p"],
        [{"table_name": "a", "columns": ["id"]}, "b"],
        [
            {"table_name": "a", "operations": ["insert"]},
            {"table_name": "b", "operations": ["insert", "truncate"]},
        ],
        ["p"],
    ],
)
def test_publication_follows_the_settings(shop: DatabasePair, other: list[Any]) -> None:
    with open_source(shop) as source:
        ensure_publication(source, wanted(source, make_task("follow", ["a", "b"])))
        task = make_task("follow", other)

        assert ensure_publication(source, wanted(source, task))

        assert read_publication(source, task.publication_name) == wanted(source, task)


def test_operations_are_the_union_of_the_tables(shop: DatabasePair) -> None:
    task = make_task(
        "union",
        [{"table_name": "a", "operations": ["insert"]}, {"table_name": "b", "operations": ["delete"]}],
    )
    with open_source(shop) as source:
        assert wanted(source, task).operations == {OperationName.INSERT, OperationName.DELETE}


@pytest.mark.parametrize(
    "foreign",
    [
        "for all tables",
        "for tables in schema shop",
        "for table shop.a where (id > 1)",
        "for table shop.a with (publish = 'insert')",
        "for table shop.a",
        "",
    ],
)
def test_publication_of_another_shape_is_put_right(shop: DatabasePair, foreign: str) -> None:
    task = make_task("shape", ["a"])
    shop.source_superuser.execute(
        f"create publication {task.publication_name} {foreign};"
        f"alter role {shop.source.role} superuser;"  # who alone may own some of these
        f"alter publication {task.publication_name} owner to {shop.source.role};"
        f"alter role {shop.source.role} nosuperuser"
    )

    with open_source(shop) as source:
        assert ensure_publication(source, wanted(source, task))

        assert read_publication(source, task.publication_name) == wanted(source, task)


def test_publication_of_somebody_else_is_refused(shop: DatabasePair) -> None:
    task = make_task("foreign", ["a"])
    shop.source_superuser.execute(f"create publication {task.publication_name} for table shop.b")

    with open_source(shop) as source, pytest.raises(SourcePermissionError):
        ensure_publication(source, wanted(source, task))


def test_names_are_quoted(databases: DatabasePair) -> None:
    names = ['quo"te', "dot.ted", "Orders", "orders", "ä" * 31 + "x", "select", "%s", "{}"]
    with open_source(databases) as source:
        source.execute("create schema shop")
        for name in names:
            source.execute(
                sql.SQL("create table shop.{0} ({0} int primary key, secret int)").format(
                    sql.Identifier(name)
                )
            )
        task = make_task("quoted", [{"table_name": name, "exclude_columns": ["secret"]} for name in names])

        ensure_publication(source, wanted(source, task))

        assert {table.removeprefix("shop.") for table in published(source, task)} == set(names)
        assert not ensure_publication(source, wanted(source, task))


def test_drop_is_idempotent(shop: DatabasePair) -> None:
    task = make_task("dropped", ["a"])
    with open_source(shop) as source:
        ensure_publication(source, wanted(source, task))

        assert drop_publication(source, task.publication_name)
        assert not drop_publication(source, task.publication_name)

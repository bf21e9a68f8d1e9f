"""Sweep finds what tasks have left that nobody knows, and removes what is named and nothing else."""

from __future__ import annotations

import pytest
from psycopg2 import sql

from tests.support.databases import Database, DatabasePair
from tests.support.tasks import make_endpoint, make_source, make_target, make_task, open_target
from tests.support.wait import wait_until
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.errors import ConfigurationError, SlotInUseError
from trempy_provider.jobs.setup import setup
from trempy_provider.jobs.sweep import sweep
from trempy_provider.jobs.teardown import teardown
from trempy_provider.postgres.metadata import delete_task
from trempy_provider.postgres.origins import FUNCTIONS, apply_origin
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.replication_connection import open_replication
from trempy_provider.postgres.session import Endpoint


def apart(databases: DatabasePair, metadata_database: Database, task_name: str) -> dict[str, Endpoint]:
    """Return source and target of a task whose metadata is in a database of its own."""
    metadata = make_endpoint(metadata_database.uri, task_name, "metadata")
    target = Endpoint(
        lambda: ConnectionParameters.from_uri(databases.target_uri),
        task_name=task_name,
        role="target",
        metadata=metadata,
    )
    return {"source": make_source(databases, task_name), "target": target}


def test_orphans_are_listed_and_only_those_named_are_removed(
    databases: DatabasePair, make_task_name, rabbitmq_uri: str
) -> None:
    databases.source_admin.execute(
        "create schema shop; create table shop.a (id int primary key);"
        "create table shop.b (id int primary key); create table shop.c (id int primary key)"
    )
    names = [make_task_name() for _ in range(3)]
    tasks = [make_task(name, [table]) for name, table in zip(names, "abc", strict=True)]
    brokers = [
        RabbitMqBroker(lambda: RabbitMqParameters.from_uri(rabbitmq_uri), task_name=name) for name in names
    ]
    for task, broker in zip(tasks, brokers, strict=True):
        ends = {
            "source": make_source(databases, task.task_name),
            "target": make_target(databases, task.task_name),
        }
        setup(task, **ends, broker=broker)
    task, ends = (
        tasks[0],
        {"source": make_source(databases, names[0]), "target": make_target(databases, names[0])},
    )
    with open_target(databases) as target:
        for name in names[1:]:
            delete_task(target, name)

    found = sweep(task, **ends, broker=brokers[0])

    assert {(o.task_name, o.kind) for o in found.orphans} == {
        (name, kind) for name in names[1:] for kind in ("slot", "publication", "queue")
    }
    assert not any(orphan.is_removed for orphan in found.orphans)
    assert all(orphan.retained_bytes is not None for orphan in found.orphans if orphan.kind == "slot")
    with pytest.raises(ConfigurationError, match="is set up in this target"):
        sweep(task, **ends, broker=brokers[0], remove=[names[0]])
    with open_replication(ends["source"], "capture") as reader:
        name = tasks[1].slot_name
        reader.start_streaming(
            f"START_REPLICATION SLOT {name} LOGICAL 0/0 (proto_version '1', publication_names '{name}')"
        )
        with pytest.raises(SlotInUseError):
            sweep(task, **ends, broker=brokers[0], remove=[names[1]])

    wait_until(
        lambda: not any(orphan.is_active for orphan in sweep(task, **ends).orphans),
        timeout_seconds=30,
        what="the slot to be free",
    )
    removed = sweep(task, **ends, broker=brokers[0], remove=[names[1]])

    assert {(o.task_name, o.kind) for o in removed.orphans if o.is_removed} == {
        (names[1], kind) for kind in ("slot", "publication", "queue")
    }
    assert {o.task_name for o in sweep(task, **ends, broker=brokers[0]).orphans} == {names[2]}
    assert brokers[1].present_queues() == ()
    assert len(brokers[0].present_queues()) == 2
    teardown(tasks[2], **ends, broker=brokers[2])
    assert sweep(task, **ends, broker=brokers[0]).orphans == ()
    teardown(task, **ends, broker=brokers[0])


def test_origins_and_other_metadata_of_forgotten_tasks_are_found_and_removed(
    databases: DatabasePair, metadata_database: Database, make_task_name, rabbitmq_uri: str
) -> None:
    """A task that is called like another one's second origin stays."""
    databases.target_superuser.execute(
        sql.SQL("grant execute on function {} to {}").format(
            sql.SQL(", ".join(FUNCTIONS)), sql.Identifier(databases.target.role)
        )
    )
    databases.source_admin.execute(
        "create schema shop; create table shop.a (id int primary key); create table shop.b (id int primary key)"
    )
    gone = make_task_name()
    known = f"{gone}_load"
    tasks = [make_task(gone, ["a"]), make_task(known, ["b"])]
    ends = apart(databases, metadata_database, known)
    broker = RabbitMqBroker(lambda: RabbitMqParameters.from_uri(rabbitmq_uri), task_name=known)
    for task in tasks:
        setup(
            task, **apart(databases, metadata_database, task.task_name), broker=broker.of_task(task.task_name)
        )
    with open_target(databases) as target:
        names = [
            apply_origin(target, gone),
            apply_origin(target, known),
            f"{apply_origin(target, known)}_load",
        ]
        for name in names:
            target.execute(f"select pg_replication_origin_create('{name}')")
        delete_task(target, gone)
    databases.source.execute("select pg_drop_replication_slot(%s)", [tasks[0].slot_name])
    databases.source.execute(f"drop publication {tasks[0].publication_name}")

    found = sweep(tasks[1], **ends, broker=broker)
    removed = sweep(tasks[1], **ends, broker=broker, remove=[gone])

    assert {(o.task_name, o.kind) for o in found.orphans} == {
        (gone, "origin"), (gone, "metadata"), (gone, "queue"),
    }  # fmt: skip
    assert all(orphan.is_removed for orphan in removed.orphans)
    assert sweep(tasks[1], **ends, broker=broker).orphans == ()
    left = databases.target.fetch_all(
        "select roname from pg_replication_origin where roname = any(%s)", [names]
    )
    assert {name for (name,) in left} == set(names[1:])
    assert metadata_database.fetch_all("select task_name from trempy.tasks") == [(known,)]
    teardown(tasks[1], **ends, broker=broker)
    assert not databases.target.fetch_all("select from pg_replication_origin where roname = any(%s)", [names])

"""Sweep finds what tasks have left that nobody knows, and removes what is named and nothing else."""

from __future__ import annotations

import pytest

from tests.support.databases import DatabasePair
from tests.support.tasks import make_source, make_target, make_task, open_target
from tests.support.wait import wait_until
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.errors import ConfigurationError, SlotInUseError
from trempy_provider.jobs.setup import setup
from trempy_provider.jobs.sweep import sweep
from trempy_provider.jobs.teardown import teardown
from trempy_provider.postgres.metadata import delete_task
from trempy_provider.postgres.replication_connection import open_replication


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

"""Teardown leaves nothing behind but the rows."""

from typing import Any

import pytest

from tests.support.databases import DatabasePair
from tests.support.tasks import make_source, make_target, make_task, open_source, open_target
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import SlotInUseError, TopologyError
from trempy_provider.jobs import teardown as teardown_job
from trempy_provider.jobs.setup import setup
from trempy_provider.jobs.teardown import TeardownReport, teardown
from trempy_provider.postgres.replication_connection import open_replication
from trempy_provider.postgres.slot import drop_slot
from trempy_provider.postgres.table_states import read_table_states, update_table_state


@pytest.fixture
def shop(databases: DatabasePair) -> DatabasePair:
    databases.source_admin.execute("create schema shop; create table shop.customers (id int primary key)")
    return databases


def endpoints(databases: DatabasePair, task: ReplicationTask) -> dict[str, Any]:
    return {
        "source": make_source(databases, task.task_name),
        "target": make_target(databases, task.task_name),
    }


def left_behind(databases: DatabasePair) -> list[tuple[Any, ...]]:
    on_source = databases.source_superuser.fetch_all(
        "select slot_name::text from pg_replication_slots where database = current_database()"
        " union all select pubname::text from pg_publication"
    )
    return on_source + databases.target.fetch_all(
        "select nspname::text from pg_namespace where nspname = 'trempy'"
    )


def test_nothing_is_left_behind_but_the_rows(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    setup(task, **endpoints(shop, task))
    with open_target(shop) as target:
        (oid,) = read_table_states(target, task_name)
        target.execute("create table trempy.odd_name (); insert into shop.customers values (1)")
        update_table_state(target, task_name, oid, load_table="odd_name")

    report = teardown(task, **endpoints(shop, task))

    assert report == TeardownReport(
        slot_dropped=True, publication_dropped=True, task_deleted=True, metadata_dropped=True
    )
    assert left_behind(shop) == []
    assert shop.target.fetch_all("select * from shop.customers") == [(1,)]


def test_teardown_of_nothing_is_no_error(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])

    report = teardown(task, **endpoints(shop, task))

    assert report == TeardownReport(
        slot_dropped=False, publication_dropped=False, task_deleted=False, metadata_dropped=False
    )


def test_other_tasks_keep_their_metadata(shop: DatabasePair, task_name: str) -> None:
    shop.source_admin.execute("create table shop.orders (id int primary key)")
    one = make_task(f"{task_name}_1", ["customers"])
    other = make_task(f"{task_name}_2", ["orders"])
    setup(one, **endpoints(shop, one))
    setup(other, **endpoints(shop, other))

    report = teardown(one, **endpoints(shop, one))

    assert not report.metadata_dropped
    with open_target(shop) as target:
        assert read_table_states(target, one.task_name) == {}
        assert len(read_table_states(target, other.task_name)) == 1
    assert shop.source.fetch_all(
        "select slot_name::text from pg_replication_slots where database = current_database()"
    ) == [(other.slot_name,)]


def test_reader_of_the_task_is_disconnected(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    setup(task, **endpoints(shop, task))
    with open_replication(make_source(shop, task_name), "capture") as connection:
        connection.start_streaming(_start(task))
        report = teardown(task, **endpoints(shop, task))

    assert report.slot_dropped


def test_reader_of_somebody_else_is_left_alone(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["customers"])
    setup(task, **endpoints(shop, task))
    with open_replication(make_source(shop, "somebody"), "else") as connection, open_source(shop) as source:
        connection.start_streaming(_start(task))
        with pytest.raises(SlotInUseError):
            drop_slot(source, task.slot_name, application_prefix=f"trempy/{task_name}/", wait_seconds=0.3)


def _start(task: ReplicationTask) -> str:
    return (
        f"START_REPLICATION SLOT {task.slot_name} LOGICAL 0/0"
        f" (proto_version '1', publication_names '{task.publication_name}')"
    )


@pytest.mark.parametrize("step", ["drop_slot", "drop_publication", "delete_task", "drop_metadata"])
def test_killed_teardown_is_finished_by_the_next(
    shop: DatabasePair, task_name: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    task = make_task(task_name, ["customers"])
    setup(task, **endpoints(shop, task))
    original = getattr(teardown_job, step)

    def killed(*args: Any, **options: Any) -> None:
        original(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(teardown_job, step, killed)
    with pytest.raises(KeyboardInterrupt):
        teardown(task, **endpoints(shop, task))
    monkeypatch.undo()
    teardown(task, **endpoints(shop, task))

    assert left_behind(shop) == []


def test_queues_come_with_setup_and_go_with_teardown(
    shop: DatabasePair, task_name: str, rabbitmq_uri: str
) -> None:
    task = make_task(task_name, ["customers"])
    broker = RabbitMqBroker(lambda: RabbitMqParameters.from_uri(rabbitmq_uri), task_name=task_name)

    setup(task, **endpoints(shop, task), broker=broker)
    setup(task, **endpoints(shop, task), broker=broker)

    assert broker.depths().ready == 0
    teardown(task, **endpoints(shop, task), broker=broker)
    with pytest.raises(TopologyError):
        broker.depths()
    teardown(task, **endpoints(shop, task), broker=broker)

"""Refresh follows the settings and the source's catalog while the others go on."""

from typing import Any

import pytest

from tests.support.databases import DatabasePair
from tests.support.tasks import make_source, make_target, make_task, open_source, open_target
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import MetadataError
from trempy_provider.jobs import refresh as refresh_job
from trempy_provider.jobs.refresh import RefreshReport, refresh
from trempy_provider.jobs.setup import setup
from trempy_provider.postgres.catalog import find_tables
from trempy_provider.postgres.publication import read_publication, wanted_publication
from trempy_provider.postgres.table_states import LoadState, read_table_states, update_table_state
from trempy_provider.postgres.tables import QualifiedName


@pytest.fixture
def shop(databases: DatabasePair) -> DatabasePair:
    databases.source_admin.execute(
        "create schema shop; create table shop.order_1 (id int primary key); create table shop.order_2 (id int primary key)"
    )
    return databases


def endpoints(databases: DatabasePair, task: ReplicationTask) -> dict[str, Any]:
    return {
        "source": make_source(databases, task.task_name),
        "target": make_target(databases, task.task_name),
    }


def run(databases: DatabasePair, task: ReplicationTask) -> RefreshReport:
    return refresh(task, **endpoints(databases, task))


def states_of(databases: DatabasePair, task: ReplicationTask) -> dict[str, Any]:
    with open_target(databases) as target:
        return {str(state.source): state for state in read_table_states(target, task.task_name).values()}


def is_published_as_wanted(databases: DatabasePair, task: ReplicationTask) -> bool:
    with open_source(databases) as source:
        wanted = wanted_publication(task, find_tables(source, task))
        return read_publication(source, task.publication_name) == wanted


def test_table_newly_matching_a_pattern_waits_for_its_load(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["order_*"])
    setup(task, **endpoints(shop, task))
    with open_target(shop) as target:
        for oid in read_table_states(target, task_name):
            update_table_state(target, task_name, oid, state="ready", load_id=1)
    shop.source_admin.execute("create table shop.order_3 (id int primary key)")

    report = run(shop, task)

    assert report.added == report.created_tables == ("shop.order_3",)
    assert report.publication_changed
    states = states_of(shop, task)
    assert states["shop.order_3"].state is LoadState.PENDING
    assert states["shop.order_1"].state is states["shop.order_2"].state is LoadState.READY
    assert is_published_as_wanted(shop, task)


def test_second_refresh_changes_nothing(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["order_*"])
    setup(task, **endpoints(shop, task))
    before = states_of(shop, task)

    report = run(shop, task)

    assert report == RefreshReport((), (), (), publication_changed=False, warnings=())
    assert states_of(shop, task) == before


def test_table_no_longer_named_leaves_publication_and_task(shop: DatabasePair, task_name: str) -> None:
    setup(make_task(task_name, ["order_*"]), **endpoints(shop, make_task(task_name, ["order_*"])))
    narrower = make_task(task_name, ["order_1"])

    report = run(shop, narrower)

    assert report.removed == ("shop.order_2",)
    assert set(states_of(shop, narrower)) == {"shop.order_1"}
    assert is_published_as_wanted(shop, narrower)
    assert shop.target.fetch_value("select to_regclass('shop.order_2') is not null")


def test_table_created_again_is_loaded_again_and_may_be_replaced(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["order_*"])
    setup(task, **endpoints(shop, task))
    with open_target(shop) as target:
        for oid in read_table_states(target, task_name):
            update_table_state(target, task_name, oid, state="ready", load_id=3)
    shop.source_admin.execute("drop table shop.order_2; create table shop.order_2 (id int primary key)")

    report = run(shop, task)

    assert report.added == report.removed == ("shop.order_2",)
    state = states_of(shop, task)["shop.order_2"]
    assert (state.state, state.created_by_task, state.load_id) == (LoadState.PENDING, True, 3)


def test_renamed_table_keeps_its_target(shop: DatabasePair, task_name: str) -> None:
    task = make_task(task_name, ["order_*"])
    setup(task, **endpoints(shop, task))
    shop.source_admin.execute("alter table shop.order_2 rename to order_9")

    report = run(shop, task)

    assert report.added == ()
    assert states_of(shop, task)["shop.order_9"].target == QualifiedName("shop", "order_2")


def test_columns_newly_left_out_leave_the_publication(shop: DatabasePair, task_name: str) -> None:
    shop.source_admin.execute("alter table shop.order_1 add secret text")
    setup(make_task(task_name, ["order_1"]), **endpoints(shop, make_task(task_name, ["order_1"])))
    narrower = make_task(task_name, [{"table_name": "order_1", "exclude_columns": ["secret"]}])

    assert run(shop, narrower).publication_changed
    assert is_published_as_wanted(shop, narrower)


def test_killed_refresh_is_finished_by_the_next(
    shop: DatabasePair, task_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(task_name, ["order_*"])
    setup(task, **endpoints(shop, task))
    shop.source_admin.execute("create table shop.order_3 (id int primary key)")

    def killed(*_args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(refresh_job, "bring_tables_up_to_date", killed)
    with pytest.raises(KeyboardInterrupt):
        run(shop, task)
    monkeypatch.undo()

    assert run(shop, task).added == ("shop.order_3",)


def test_task_that_was_never_set_up_is_refused(shop: DatabasePair, task_name: str) -> None:
    with pytest.raises(MetadataError, match="has not been set up"):
        run(shop, make_task(task_name, ["order_*"]))

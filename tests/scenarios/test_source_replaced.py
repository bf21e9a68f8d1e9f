"""The source becomes another server, or an older one: refused with the remedy, unless nothing is missing (G10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sandbox.postgres import PostgresServer
from tests.support.databases import Database, DatabasePair, database_pair
from tests.support.replication import Replication, settings
from tests.support.standby import (
    copy_cluster,
    promote,
    restore_cluster,
    start_standby,
    wait_for_replay,
)
from tests.support.wait import wait_until
from trempy_provider.errors import SlotLostError, WrongSystemError
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint

TABLE = "create table public.t (v int); alter table public.t replica identity full"


def insert(replication: Replication, uri: str | None = None) -> None:
    Database(uri or replication.databases.source_admin_uri).execute(
        "insert into public.t select generate_series(1, 100)"
    )


def moved(uri: str, server: PostgresServer) -> str:
    """Return the URI of the same database on another server."""
    address, _, rest = uri.partition("@")
    return f"{address}@127.0.0.1:{server.port}/{rest.partition('/')[2]}"


def point_at(replication: Replication, server: PostgresServer) -> None:
    uri = moved(replication.databases.source_uri, server)
    replication.source = Endpoint(
        lambda: ConnectionParameters.from_uri(uri), task_name=replication.task.task_name, role="source"
    )


@pytest.fixture
def follow(
    target_server, rabbitmq_uri: str, task_name: str
) -> Iterator[Callable[..., Iterator[Replication]]]:
    """Return a function that follows a table of a source server of the test's own."""

    @contextmanager
    def make(source: PostgresServer, **options) -> Iterator[Replication]:
        with database_pair(source, target_server) as databases:
            databases.source_admin.execute(TABLE)
            given = settings(task_name, ["public.t"], task=options)
            replication = Replication(given, databases=databases, rabbitmq_uri=rabbitmq_uri)
            replication.setup()
            replication.load()
            insert(replication)
            replication.catch_up()
            yield replication
            replication.broker.delete_topology()

    return make


@pytest.fixture
def source(pg_versions) -> Iterator[PostgresServer]:
    """Start a source of the test's own."""
    server = PostgresServer(pg_versions[0])
    server.start()
    yield server
    server.remove()


def test_another_cluster_is_refused(databases: DatabasePair, replicate) -> None:
    databases.source_admin.execute(TABLE)
    replication = replicate("public.t")
    replication.setup()
    as_before = replication.source
    target_uri = replication.databases.target_uri
    replication.source = Endpoint(
        lambda: ConnectionParameters.from_uri(target_uri), task_name=replication.task.task_name, role="source"
    )

    with pytest.raises(WrongSystemError, match="system identifier") as raised:
        replication.capture(seconds=20)

    assert "trempy reload" in raised.value.hint
    replication.source = as_before


def test_older_copy_of_the_source_is_refused_also_when_it_has_grown_past(source, follow) -> None:
    with follow(source) as replication:
        source.stop()
        copy = copy_cluster(source)
        source.start()
        insert(replication)
        replication.catch_up()
        source.stop()
        restore_cluster(source, copy)
        source.start()

        with pytest.raises(WrongSystemError, match="restored from an older copy"):
            replication.capture(seconds=20)
        captured = "select published_lsn::text from trempy.capture_progress where task_name = {task}"
        ((position,),) = replication.metadata(captured)
        while replication.databases.source_superuser.fetch_value(
            "select pg_current_wal_lsn() <= %s::pg_lsn", [position]
        ):
            insert(replication)
        insert(replication)
        with pytest.raises(SlotLostError, match="another history") as raised:
            replication.capture(seconds=20)

        assert "trempy reload" in raised.value.hint


def test_slot_set_back_by_a_crash_before_anything_was_captured_is_no_older_copy(
    source, target_server, rabbitmq_uri: str, task_name: str
) -> None:
    """A slot that was moved stands where it was before, after a crash, until the next checkpoint."""
    with database_pair(source, target_server) as databases:
        databases.source_admin.execute(TABLE)
        given = settings(task_name, ["public.t"])
        replication = Replication(given, databases=databases, rabbitmq_uri=rabbitmq_uri)
        replication.setup()

        source.kill()
        source.start()
        insert(replication)
        replication.load()
        insert(replication)
        replication.catch_up()

        replication.assert_equal()
        replication.broker.delete_topology()


@pytest.mark.pg(15, 18)
def test_promoted_standby_without_the_slot_or_behind_the_task_is_refused(source, follow) -> None:
    with follow(source) as replication:
        standby = start_standby(source)
        try:
            wait_for_replay(source, standby)
            promote(standby)
            before, promoted = replication.source, standby
            point_at(replication, promoted)

            with pytest.raises(SlotLostError, match="promoted") as lost:
                replication.capture(seconds=20)
            replication.source = before
            insert(replication)
            replication.catch_up()
            point_at(replication, promoted)
            with pytest.raises(WrongSystemError, match=r"left timeline 1 at .* did not have") as wrong:
                replication.capture(seconds=20)

            assert "trempy reload" in lost.value.hint
            assert "trempy reload" in wrong.value.hint
            replication.source = before
            replication.catch_up()
            replication.assert_equal()
        finally:
            standby.remove()


@pytest.mark.pg(18)
def test_failover_slot_carries_the_task_over_to_the_promoted_standby(source, follow) -> None:
    with follow(source, cdc_settings={"failover_slot": True}) as replication:
        superuser = Database(source.superuser_uri())
        superuser.execute("select pg_create_physical_replication_slot('standby', true)")
        standby = start_standby(
            source, settings={"primary_slot_name": "standby", "hot_standby_feedback": "on"}
        )
        try:
            wait_until(
                lambda: is_synchronized(replication, source, standby),
                timeout_seconds=120,
                what="the slot to be synchronized",
            )
            insert(replication)
            wait_for_replay(source, standby)
            source.stop("immediate")
            promote(standby)
            point_at(replication, standby)

            replication.catch_up()
            insert(replication, moved(replication.databases.source_admin_uri, standby))
            replication.catch_up()

            assert replication.metadata("select timeline from trempy.tasks") == [(2,)]
            on_source = Database(moved(replication.databases.source_admin_uri, standby))
            rows = "select v, count(*) from public.t group by v order by v"
            assert replication.databases.target_admin.fetch_all(rows) == on_source.fetch_all(rows)
        finally:
            standby.remove()
            source.restart()  # for the fixtures to clean up


def is_synchronized(replication: Replication, primary: PostgresServer, standby: PostgresServer) -> bool:
    """Synchronize the slots; the standby's copy begins once the slot stands where the standby could begin."""
    Database(primary.superuser_uri()).execute("select pg_log_standby_snapshot()")
    replication.capture()
    wait_for_replay(primary, standby)
    on_standby = Database(standby.superuser_uri())
    on_standby.execute("select pg_sync_replication_slots()")
    return on_standby.fetch_value(
        "select count(*) = 1 from pg_replication_slots where slot_name = %s and synced and not temporary",
        [replication.task.slot_name],
    )


@pytest.mark.pg(15, 18)
def test_slot_invalidated_by_the_size_of_its_wal_is_refused(source, follow) -> None:
    with follow(source) as replication:
        superuser = Database(source.superuser_uri())
        superuser.execute("alter system set max_slot_wal_keep_size = '16MB'")
        superuser.execute("select pg_reload_conf()")
        for _ in range(6):
            insert(replication)
            superuser.execute("select pg_switch_wal()")
        superuser.execute("checkpoint")

        with pytest.raises(SlotLostError, match=r"invalidated \(wal_status=lost") as raised:
            replication.capture(seconds=20)

        assert "trempy reload" in raised.value.hint

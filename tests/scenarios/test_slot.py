"""The slot advances when idle, and a gap is refused (G6, G10)."""

from __future__ import annotations

import threading

import pytest
from psycopg2 import sql

from tests.scenarios.test_exactly_once import insert, slot_position
from tests.support.wait import wait_until
from trempy_provider.broker.publisher import RabbitMqPublisher
from trempy_provider.errors import GapError, SlotLostError, WrongSystemError
from trempy_provider.jobs import capture as capture_module
from trempy_provider.jobs.caught_up import current_position
from trempy_provider.jobs.starting_point import find_starting_point
from trempy_provider.jobs.watch import open_slot_watch


@pytest.fixture
def followed(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (v int); alter table public.t replica identity full;"
        "create table public.unrelated (v int)"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()
    return replication


def write_unrelated(databases) -> None:
    databases.source_admin.execute("insert into public.unrelated select generate_series(1, 20000)")


@pytest.mark.pg(15, 18)
def test_idle_slot_follows_a_busy_server_without_writing_to_it(followed, databases, monkeypatch):
    assert capture_module._IDLE_INTERVAL_SECONDS <= 30  # "within a minute"; less is enough for a test
    monkeypatch.setattr(capture_module, "_IDLE_INTERVAL_SECONDS", 0.5)
    role = followed.databases.source.role
    databases.source_superuser.execute(f'alter role "{role}" set default_transaction_read_only = on')
    write_unrelated(databases)
    busy_until = current_position(followed.source)

    with followed.running():
        wait_until(
            lambda: slot_position(followed) >= busy_until, timeout_seconds=45, what="the slot to advance"
        )

    insert(followed)
    followed.catch_up()
    followed.assert_equal()
    databases.source_superuser.execute(f'alter role "{role}" reset default_transaction_read_only')


def test_idle_slot_does_not_advance_past_what_is_in_flight(followed, databases, monkeypatch):
    monkeypatch.setattr(capture_module, "_IDLE_INTERVAL_SECONDS", 0.1)
    insert(followed)
    before = current_position(followed.source)
    monkeypatch.setattr(RabbitMqPublisher, "confirmed", lambda _self: None)
    monkeypatch.setattr(RabbitMqPublisher, "unconfirmed_count", lambda _self: 1)
    write_unrelated(databases)

    followed.capture(seconds=3)

    assert slot_position(followed) < before
    monkeypatch.undo()
    followed.catch_up()
    followed.assert_equal()


def test_changes_after_an_idle_advance_are_no_gap(followed, databases):
    for _ in range(3):
        write_unrelated(databases)
        followed.catch_up()
        insert(followed)
        followed.catch_up()

    followed.assert_equal()


def test_dropped_slot_is_refused(followed):
    followed.databases.source.execute(f"select pg_drop_replication_slot('{followed.task.slot_name}')")

    with pytest.raises(SlotLostError, match="dropped") as raised:
        followed.capture(seconds=5)

    assert "reload" in raised.value.hint


def test_recreated_slot_is_refused(followed, databases):
    insert(followed)
    followed.databases.source.execute(f"select pg_drop_replication_slot('{followed.task.slot_name}')")
    insert(followed)
    followed.databases.source.execute(
        f"select pg_create_logical_replication_slot('{followed.task.slot_name}', 'pgoutput')"
    )

    with pytest.raises(SlotLostError, match="created again"):
        followed.capture(seconds=5)


def test_slot_advanced_by_somebody_else_is_refused(followed):
    insert(followed)
    followed.databases.source.execute(
        f"select pg_replication_slot_advance('{followed.task.slot_name}', pg_current_wal_lsn())"
    )

    with pytest.raises(SlotLostError, match="advanced"):
        followed.capture(seconds=5)


def test_other_system_is_refused(followed):
    followed.databases.target.execute("update trempy.tasks set system_identifier = '1'")

    with pytest.raises(WrongSystemError, match="system identifier"):
        followed.capture(seconds=5)


def test_purged_queue_is_noticed_as_a_gap(followed):
    insert(followed)
    followed.capture()
    followed.broker.purge()
    insert(followed)
    followed.capture()

    with pytest.raises(GapError, match="missing") as raised:
        followed.apply(seconds=10)

    assert "reload" in raised.value.hint


def test_slot_recreated_while_nobody_captures_is_not_watched(followed):
    insert(followed)
    followed.databases.source.execute(f"select pg_drop_replication_slot('{followed.task.slot_name}')")
    insert(followed)
    followed.databases.source.execute(
        f"select pg_create_logical_replication_slot('{followed.task.slot_name}', 'pgoutput')"
    )

    with pytest.raises(SlotLostError, match="created again"):
        open_slot_watch(
            followed.source,
            followed.target,
            slot_name=followed.task.slot_name,
            publication_name=followed.task.publication_name,
        )


def test_check_beside_a_busy_capture_sees_no_gap(followed, monkeypatch):
    monkeypatch.setattr(capture_module, "_CONFIRM_INTERVAL_SECONDS", 0.0)

    with followed.running():
        for _ in range(30):
            insert(followed)
            with followed.target.connect("test") as session:
                find_starting_point(
                    followed.task.task_name, followed.task.slot_name, source=followed.source, metadata=session
                )


def test_lease_ends_while_the_broker_takes_nothing(followed, monkeypatch):
    insert(followed)
    monkeypatch.setattr(RabbitMqPublisher, "wait_for_room", lambda _self, *, timeout_seconds: False)

    report = followed.capture(seconds=2)

    assert report.end_reason == "deadline"
    monkeypatch.undo()
    followed.catch_up()
    followed.assert_equal()


def test_server_is_answered_in_time_while_the_broker_takes_nothing(followed, databases, monkeypatch):
    provider = sql.Identifier(databases.source.role)
    databases.source_superuser.execute(
        sql.SQL("alter role {} set wal_sender_timeout = '4s'").format(provider)
    )
    held_back = threading.Event()
    monkeypatch.setattr(
        RabbitMqPublisher, "wait_for_room", lambda _self, *, timeout_seconds: held_back.wait(timeout_seconds)
    )
    insert(followed)
    lived_on = """
        select clock_timestamp() - backend_start > interval '9 s'
        from pg_replication_slots join pg_stat_activity on pid = active_pid where slot_name = %s
    """

    with followed.running():
        wait_until(
            lambda: databases.source_superuser.fetch_all(lived_on, [followed.task.slot_name]) == [(True,)],
            timeout_seconds=60,
            what="a walsender that lives on beyond its timeout",
        )
        held_back.set()

    followed.catch_up()
    followed.assert_equal()

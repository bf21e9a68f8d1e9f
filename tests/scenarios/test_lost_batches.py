"""Batches that are gone are missed even when nothing comes after them (G10, G12)."""

from __future__ import annotations

import pytest

from tests.support.replication import Background
from tests.support.wait import wait_until
from trempy_provider.errors import GapError
from trempy_provider.jobs.applying import starving
from trempy_provider.jobs.lease import StopSignal


@pytest.fixture
def followed(databases, replicate, monkeypatch):
    """A table without a key, and an apply that soon asks why nothing comes."""
    monkeypatch.setattr(starving, "FIRST_PAUSE_SECONDS", 0.3)
    databases.source_admin.execute(
        "create table public.t (v int); alter table public.t replica identity full"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()
    return replication


def insert(replication) -> None:
    replication.databases.source_admin.execute("insert into public.t select generate_series(1, 5)")


def test_queue_that_was_emptied_is_noticed_though_nothing_follows(followed):
    insert(followed)
    followed.capture()
    followed.broker.purge()

    with pytest.raises(GapError, match="batches between them are missing") as raised:
        followed.apply(seconds=30)

    assert "reload" in raised.value.hint


def test_queue_that_was_deleted_and_made_again_is_noticed(followed):
    insert(followed)
    followed.capture()
    followed.broker.delete_topology()
    followed.setup()

    with pytest.raises(GapError, match="batches between them are missing"):
        followed.apply(seconds=30)


def test_message_dead_lettered_under_a_waiting_apply_is_taken_back_though_nothing_follows(followed):
    """Its consumers died one after the other, the last one after apply had looked at the dead letters."""
    insert(followed)
    followed.capture()
    for _ in range(3):
        with_message(followed).close()
    last = with_message(followed)
    stop = StopSignal()
    applying = Background(lambda: followed.apply(seconds=60, stop=stop))
    wait_until(lambda: followed.broker.depths().ready > 0, timeout_seconds=30, what="apply to ask")

    last.close()

    followed.wait_until_level()
    stop.set()
    applying.result()
    followed.assert_equal()
    assert followed.broker.depths().dead_letters == 0


def test_messages_whose_consumer_died_with_both_in_hand_are_taken_back_in_order(followed):
    for _ in range(2):
        insert(followed)
        followed.capture()
    for _ in range(4):
        consumer = followed.broker.open_consumer(prefetch_count=2)
        assert [consumer.get(timeout_seconds=20) is not None for _ in range(2)] == [True, True]
        consumer.close()
    wait_until(lambda: followed.broker.depths().dead_letters == 2, what="both to be dead letters")

    followed.catch_up()

    followed.assert_equal()
    assert followed.broker.depths().dead_letters == 0


def with_message(replication):
    """Return a consumer that holds the message."""
    consumer = replication.broker.open_consumer()
    assert consumer.get(timeout_seconds=20) is not None
    return consumer


def test_apply_that_has_everything_does_not_complain(followed):
    insert(followed)
    followed.catch_up()

    report = followed.apply(seconds=3)

    assert report.end_reason == "deadline"


def test_apply_that_waits_for_another_does_not_complain(followed):
    insert(followed)
    followed.capture()
    other = with_message(followed)

    report = followed.apply(seconds=3)

    other.close()
    assert report.end_reason == "deadline"
    followed.catch_up()
    followed.assert_equal()

"""Every change has its effect exactly once, whatever is lost on the way (G1, G2, G3)."""

from __future__ import annotations

import pytest

from tests.support.databases import connect
from trempy_provider.broker.consumer import RabbitMqConsumer
from trempy_provider.broker.publisher import RabbitMqPublisher
from trempy_provider.errors import BrokerUnavailableError, SourceUnavailableError, TargetUnavailableError
from trempy_provider.jobs import capture as capture_module
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.slot import read_slot
from trempy_provider.postgres.stream import ChangeStream
from trempy_provider.replication.lsn import Lsn


@pytest.fixture
def keyless(databases, replicate):
    """A task for a table without a key: there, nothing hides a change applied twice."""
    databases.source_admin.execute(
        "create table public.t (v int); alter table public.t replica identity full;"
        "insert into public.t select generate_series(1, 10)"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()
    return replication


def insert(replication, count: int = 5) -> None:
    replication.databases.source_admin.execute(f"insert into public.t select generate_series(1, {count})")


def slot_position(replication) -> Lsn:
    with replication.source.connect("test") as session:
        position = read_slot(session, replication.task.slot_name).confirmed_flush_lsn
    assert position is not None
    return position


def fail_once(monkeypatch, owner, name, *, error, after: bool = False) -> list[str]:
    """Make a method fail the first time it is called, before or after its work; return what failed."""
    original, failed = getattr(owner, name), []

    def faulty(*args, **kwargs):
        if failed:
            return original(*args, **kwargs)
        failed.append(name)
        if after:
            original(*args, **kwargs)
        raise error

    monkeypatch.setattr(owner, name, faulty)
    return failed


def test_slot_is_not_confirmed_before_the_broker_confirms(keyless, monkeypatch):
    insert(keyless)
    before = slot_position(keyless)
    monkeypatch.setattr(RabbitMqPublisher, "confirmed", lambda _self: None)

    keyless.capture(seconds=3)

    assert slot_position(keyless) == before
    monkeypatch.undo()
    keyless.catch_up()
    keyless.assert_equal()
    assert slot_position(keyless) > before


def test_batch_published_but_not_confirmed_to_the_slot_is_applied_once(keyless, monkeypatch):
    failed = fail_once(monkeypatch, ChangeStream, "confirm", error=SourceUnavailableError("connection lost"))
    insert(keyless)

    keyless.catch_up()
    _, applied = keyless.catch_up()

    assert failed
    assert applied.end_reason == "caught_up"
    keyless.assert_equal()


def test_nothing_read_but_unpublished_is_skipped_after_a_crash(keyless, monkeypatch):
    failed = fail_once(
        monkeypatch, capture_module, "message_of", error=BrokerUnavailableError("connection lost")
    )
    insert(keyless)

    keyless.catch_up()

    assert failed
    keyless.assert_equal()


def test_keepalive_does_not_move_the_slot_past_an_unpublished_transaction(keyless, databases):
    """An old transaction that commits late lies before the confirmed position with its first change."""
    with connect(databases.source_admin_uri) as late, late.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("insert into public.t values (1001)")
        insert(keyless, 3)
        keyless.catch_up()
        stop = StopSignal()
        keyless.capture(seconds=2, stop=stop)
        cursor.execute("commit")

    keyless.catch_up()

    keyless.assert_equal()


def test_batch_is_not_applied_twice_when_the_ack_is_lost(keyless, monkeypatch):
    failed = fail_once(monkeypatch, RabbitMqConsumer, "ack", error=BrokerUnavailableError("connection lost"))
    insert(keyless)

    keyless.catch_up()
    redelivered = keyless.apply(seconds=3)

    assert failed
    assert redelivered.skipped_batch_count == 1
    keyless.assert_equal()


@pytest.mark.parametrize("after", [False, True], ids=["before commit", "after commit"])
def test_connection_lost_around_the_commit_neither_loses_nor_doubles(keyless, monkeypatch, after):
    original, failed = Session.execute, []

    def faulty(session, query, params=None):
        if query == "commit" and session.parameters.dbname == keyless.databases.target.name and not failed:
            failed.append(query)
            if after:
                original(session, query, params)
            session.close()
            raise TargetUnavailableError("connection lost")
        return original(session, query, params)

    insert(keyless)
    keyless.capture()
    monkeypatch.setattr(Session, "execute", faulty)

    keyless.apply()

    assert failed
    keyless.assert_equal()


def test_transaction_cut_into_chunks_and_sent_again_is_applied_once(databases, replicate, monkeypatch):
    databases.source_admin.execute(
        "create table public.t (v int); alter table public.t replica identity full"
    )
    replication = replicate("public.t", task={"cdc_settings": {"batch_max_rows": 10}})
    replication.setup()
    replication.load()
    insert(replication, 100)
    original, sent = capture_module.message_of, []

    def dies_in_the_middle(batch, message_format):
        sent.append(batch.chunk)
        if len(sent) == 5:
            raise BrokerUnavailableError("connection lost")
        return original(batch, message_format)

    monkeypatch.setattr(capture_module, "message_of", dies_in_the_middle)
    replication.catch_up()

    replication.assert_equal()
    assert len(sent) > 12
    assert replication.metadata("select count(*) from trempy.held_changes") == [(0,)]

"""The triggers, each in an event loop of its own, against real servers."""

import asyncio
import time
from datetime import datetime, timedelta, timezone

import pytest

from tests.support.wait import wait_until
from trempy_provider.broker.base import OutgoingMessage
from trempy_provider.config.loader import load_task
from trempy_provider.hooks.endpoints import endpoints_of
from trempy_provider.jobs.full_load import full_load
from trempy_provider.jobs.setup import setup
from trempy_provider.triggers.apply import ApplyTrigger
from trempy_provider.triggers.capture import CaptureTrigger

MINIMUM_SECONDS = 3.0
ACTIVE = "select active_pid from pg_replication_slots where slot_name = %s"


def _in(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()


@pytest.fixture
def task(settings):
    return load_task(settings, origin="test")


@pytest.fixture
def prepared(connections, task):
    """Set a task up and load it."""
    connections.source_admin.execute("create table public.orders (id bigint primary key)")
    connections.source_admin.execute("create table public.others (id bigint primary key)")
    endpoints = endpoints_of(task)
    setup(task, **endpoints.for_job(task))
    full_load(task, source=endpoints.source, target=endpoints.target)
    yield connections
    endpoints.broker.delete_topology()


def capture_trigger(task, *, seconds=20.0):
    return CaptureTrigger(
        task_name=task.task_name,
        ends_at=_in(seconds),
        progress={"ends_at": "x", "segment_count": 1, "totals": {}},
        minimum_seconds=MINIMUM_SECONDS,
        interval_seconds=0.3,
        slot_name=task.slot_name,
        publication_name=task.publication_name,
        source_conn_id=task.source_conn_id,
        target_conn_id=task.target_conn_id,
    )


def apply_trigger(task, *, seconds=20.0):
    return ApplyTrigger(
        task_name=task.task_name,
        ends_at=_in(seconds),
        minimum_seconds=MINIMUM_SECONDS,
        broker_conn_id=task.broker_conn_id,
    )


async def fire(trigger):
    """Return the first event's payload and the seconds it took."""
    started_at = time.monotonic()
    event = await anext(aiter(trigger.run()))
    return event.payload, time.monotonic() - started_at


async def while_waiting(trigger, condition, act=lambda: None):
    """Start the trigger, act once a condition holds; return its payload and the seconds since then."""
    firing = asyncio.ensure_future(fire(trigger))
    await asyncio.to_thread(wait_until, condition, what="the trigger waits")
    await asyncio.sleep(MINIMUM_SECONDS)
    acted_at = time.monotonic()
    await asyncio.to_thread(act)
    payload, _ = await firing
    return payload, time.monotonic() - acted_at


def is_watched(pair, task):
    return lambda: pair.source.fetch_value(ACTIVE, [task.slot_name]) is not None


@pytest.mark.parametrize("make", [capture_trigger, apply_trigger])
def test_trigger_survives_serialization(task, make):
    trigger = make(task)

    path, arguments = trigger.serialize()

    assert path == f"{type(trigger).__module__}.{type(trigger).__name__}"
    assert type(trigger)(**arguments).serialize() == (path, arguments)


def test_change_wakes_capture_within_two_seconds_and_frees_the_slot(prepared, task):
    def change():
        prepared.source_admin.execute("insert into public.orders values (1)")

    payload, seconds = asyncio.run(while_waiting(capture_trigger(task), is_watched(prepared, task), change))

    assert payload["reason"] == "work"
    assert payload["progress"]["segment_count"] == 1
    assert seconds < 2
    assert not is_watched(prepared, task)()


def test_first_event_does_not_come_before_the_minimum(prepared, task):
    prepared.source_admin.execute("insert into public.orders values (1)")

    payload, seconds = asyncio.run(fire(capture_trigger(task)))

    assert payload["reason"] == "work"
    assert seconds >= MINIMUM_SECONDS


def test_wal_of_others_moves_the_slot_on_and_wakes_nobody(prepared, task):
    confirmed = "select confirmed_flush_lsn from pg_replication_slots where slot_name = %s"
    before = prepared.source.fetch_value(confirmed, [task.slot_name])

    async def scenario():
        firing = asyncio.ensure_future(fire(capture_trigger(task, seconds=8)))
        for number in range(20):
            await asyncio.to_thread(
                prepared.source_admin.execute, f"insert into public.others values ({number})"
            )
            await asyncio.sleep(0.1)
        return await firing

    payload, seconds = asyncio.run(scenario())

    assert payload["reason"] == "deadline"
    assert seconds > 6
    assert prepared.source.fetch_value(f"select ({confirmed})::pg_lsn > %s::pg_lsn", [task.slot_name, before])
    seen, is_idle = prepared.target.fetch_all("select seen_lsn, idle from trempy.capture_progress")[0]
    assert is_idle
    assert prepared.source.fetch_value(f"select %s::pg_lsn >= ({confirmed})::pg_lsn", [seen, task.slot_name])


def test_second_trigger_waits_while_the_first_has_the_slot(prepared, task):
    async def scenario():
        first = asyncio.ensure_future(fire(capture_trigger(task)))
        await asyncio.to_thread(wait_until, is_watched(prepared, task), what="the first waits")
        second = asyncio.ensure_future(fire(capture_trigger(task)))
        await asyncio.sleep(1)
        assert not second.done()
        await asyncio.to_thread(prepared.source_admin.execute, "insert into public.orders values (1)")
        return await asyncio.gather(first, second)

    (first, _), (second, _) = asyncio.run(scenario())

    assert first["reason"] == second["reason"] == "work"


def test_cancelled_trigger_frees_the_slot(prepared, task):
    async def scenario():
        firing = asyncio.ensure_future(fire(capture_trigger(task)))
        await asyncio.to_thread(wait_until, is_watched(prepared, task), what="the trigger waits")
        firing.cancel()
        await asyncio.gather(firing, return_exceptions=True)

    asyncio.run(scenario())

    wait_until(lambda: not is_watched(prepared, task)(), what="the slot is free")


def test_lost_connection_is_opened_again(prepared, task):
    async def scenario():
        firing = asyncio.ensure_future(fire(capture_trigger(task)))
        await asyncio.to_thread(wait_until, is_watched(prepared, task), what="the trigger waits")
        pid = prepared.source.fetch_value(ACTIVE, [task.slot_name])
        prepared.source_superuser.execute("select pg_terminate_backend(%s)", [pid])
        await asyncio.sleep(0.5)
        await asyncio.to_thread(wait_until, is_watched(prepared, task), what="it waits again")
        prepared.source_admin.execute("insert into public.orders values (1)")
        return await firing

    payload, _ = asyncio.run(scenario())

    assert payload["reason"] == "work"


def test_missing_slot_wakes_the_task_which_reports_it(prepared, task):
    prepared.source.execute("select pg_drop_replication_slot(%s)", [task.slot_name])

    payload, _ = asyncio.run(fire(capture_trigger(task)))

    assert payload["reason"] == "error"


def test_message_wakes_apply_within_two_seconds_and_stays_in_the_queue(prepared, task):
    broker = endpoints_of(task).broker

    def publish():
        publisher = broker.open_publisher()
        publisher.publish(OutgoingMessage(body=b"{}", message_id="1", headers={}))
        assert publisher.wait_confirmed(timeout_seconds=5)
        publisher.close()

    payload, seconds = asyncio.run(while_waiting(apply_trigger(task), lambda: True, publish))

    assert payload["reason"] == "work"
    assert seconds < 2.5
    assert broker.depths().ready == 1


def test_event_loop_stays_free_while_triggers_wait(prepared, task):
    async def scenario():
        waiting = [asyncio.ensure_future(fire(make(task))) for make in (capture_trigger, apply_trigger)]
        longest = 0.0
        for _ in range(200):
            before = time.monotonic()
            await asyncio.sleep(0.02)
            longest = max(longest, time.monotonic() - before - 0.02)
        for future in waiting:
            future.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return longest

    assert asyncio.run(scenario()) < 0.25

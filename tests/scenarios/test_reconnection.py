"""Connections are made again with what is true then, and nothing that an earlier process left is in the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.replication import Replication
from tests.support.wait import wait_until
from trempy_provider.errors import SlotInUseError
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.postgres.stream import ChangeStream, open_stream


@pytest.fixture
def followed(databases, replicate) -> Replication:
    databases.source_admin.execute(
        "create table public.t (v int); alter table public.t replica identity full"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()
    return replication


@pytest.fixture(params=["capture", "watch"])
def stale_stream(followed: Replication, request: pytest.FixtureRequest) -> Iterator[ChangeStream]:
    """A walsender of the task whose process is gone, as after a network that lost its connection."""
    task = followed.task
    stream = open_stream(
        followed.source,
        job=request.param,
        slot_name=task.slot_name,
        publication_name=task.publication_name,
    )
    yield stream
    stream.close()


def test_stale_walsender_of_our_own_is_ended(followed: Replication, stale_stream: ChangeStream):
    followed.databases.source_admin.execute("insert into public.t select generate_series(1, 5)")

    followed.catch_up()

    followed.assert_equal()
    query = f"select count(*) from pg_stat_activity where pid = {stale_stream.backend_pid}"
    assert followed.databases.source.fetch_value(query) == 0


def test_capture_that_is_alive_keeps_its_walsender(followed: Replication):
    stop = StopSignal()
    first = threading.Thread(target=lambda: followed.capture(seconds=60, stop=stop))
    first.start()
    active = f"select active_pid from pg_replication_slots where slot_name = '{followed.task.slot_name}'"
    pid = wait_until(lambda: followed.databases.source.fetch_value(active), timeout_seconds=30)

    with pytest.raises(SlotInUseError):
        followed.capture(seconds=2)

    assert followed.databases.source.fetch_value(active) == pid
    stop.set()
    first.join()

"""The trigger that tells of a slot's changes, against a real server."""

import asyncio
import secrets
import time

import pytest
from psycopg2 import sql

from trempy_provider.hooks.postgres import open_endpoint
from trempy_provider.postgres.stream import open_stream
from trempy_provider.triggers import slot_changes
from trempy_provider.triggers.slot_changes import SlotChangesTrigger

POSITIONS = "select confirmed_flush_lsn, restart_lsn from pg_replication_slots where slot_name = %s"
HOSTILE = 'changes of "orders", {all}\'s'


class State:
    """An asset's state, as the triggerer gives it to a trigger that watches one asset."""

    def __init__(self):
        self.values = {}

    async def aget(self, key, default=None):
        return self.values.get(key, default)

    async def aset(self, key, value):
        self.values[key] = value


class Watched:
    """A slot and a publication of one table, beside another table."""

    def __init__(self, pair):
        self.pair = pair
        self.slot_name = f"watched_{secrets.token_hex(4)}"
        self.publication_name = HOSTILE
        self.state = State()
        pair.source_admin.execute(
            sql.SQL(
                "create table public.orders (id bigint primary key); create table public.others (id bigint);"
                "create publication {} for table public.orders"
            ).format(sql.Identifier(HOSTILE))
        )
        self.create_slot()

    def create_slot(self, plugin="pgoutput"):
        self.pair.source.execute(
            "select pg_create_logical_replication_slot(%s, %s)", [self.slot_name, plugin]
        )

    def drop_slot(self):
        self.pair.source.execute("select pg_drop_replication_slot(%s)", [self.slot_name])

    def order(self, *numbers):
        for number in numbers:
            self.pair.source_admin.execute("insert into public.orders values (%s)", [number])

    def consume(self):
        return self.pair.source.fetch_all(
            "select data from pg_logical_slot_get_binary_changes(%s, null, null, 'proto_version', '1',"
            " 'publication_names', %s)",
            [self.slot_name, '"' + self.publication_name.replace('"', '""') + '"'],
        )

    def positions(self):
        return self.pair.source.fetch_all(POSITIONS, [self.slot_name])

    def trigger(self, **changes):
        arguments = {
            "slot_name": self.slot_name,
            "publication_name": self.publication_name,
            "interval_seconds": 0.2,
            **changes,
        }
        trigger = SlotChangesTrigger(**arguments)
        trigger.asset_state_store = self.state
        return trigger


@pytest.fixture
def watched(connections, monkeypatch):
    monkeypatch.setattr(slot_changes, "HAND_OVER_SECONDS", 0.5)
    monkeypatch.setattr(slot_changes, "LOWEST_INTERVAL_SECONDS", 0.2)
    monkeypatch.setattr(slot_changes, "LONGEST_PAUSE_SECONDS", 0.4)
    return Watched(connections)


class Events:
    """What the trigger has fired, taken from it at once, as the triggerer does."""

    def __init__(self):
        self._fired = asyncio.Queue()

    async def pump(self, trigger):
        async for event in trigger.run():
            self._fired.put_nowait(event.payload)

    async def take(self, *, seconds=10):
        """Return the next event's payload, None when none comes in time."""
        try:
            return await asyncio.wait_for(self._fired.get(), seconds)
        except asyncio.TimeoutError:
            return None


def watch(trigger, scenario):
    """Run the trigger while the scenario takes its events; it is cancelled at the end."""

    async def run():
        events = Events()
        pumping = asyncio.ensure_future(events.pump(trigger))
        try:
            return await scenario(events)
        finally:
            pumping.cancel()
            await asyncio.wait({pumping})

    return asyncio.run(run())


def take_one(events):
    return events.take()


def test_trigger_survives_serialization(watched):
    path, arguments = watched.trigger().serialize()

    assert path == "trempy_provider.triggers.slot_changes.SlotChangesTrigger"
    assert SlotChangesTrigger(**arguments).serialize() == (path, arguments)


@pytest.mark.pg(15, 18)
def test_changes_fire_once_and_stay_in_the_slot(watched):
    watched.order(1, 2)
    before = watched.positions()

    async def scenario(events):
        first = await events.take()
        nothing = await events.take(seconds=1)
        return first, nothing

    first, nothing = watch(watched.trigger(), scenario)

    assert (first["slot_name"], first["publication_name"]) == (watched.slot_name, HOSTILE)
    assert first["first_commit_at"].endswith("+00:00")
    assert watched.pair.source.fetch_value(
        "select %s::pg_lsn < %s::pg_lsn", [first["first_commit_lsn"], first["lsn"]]
    )
    assert nothing is None
    assert watched.positions() == before
    assert [bytes(row[0][:1]) for row in watched.consume()].count(b"I") == 2


def test_new_changes_fire_again_whether_the_slot_was_read_or_not(watched):
    async def scenario(events):
        found = []
        await asyncio.to_thread(watched.order, 1)
        found.append(await events.take())
        await asyncio.to_thread(watched.order, 2)
        found.append(await events.take())
        await asyncio.to_thread(watched.consume)
        await asyncio.to_thread(watched.order, 3)
        found.append(await events.take())
        return found

    found = watch(watched.trigger(), scenario)

    assert None not in found
    commits = [event["first_commit_lsn"] for event in found]
    assert len(set(commits)) == 3
    assert all(
        watched.pair.source.fetch_value("select %s::pg_lsn >= %s::pg_lsn", [commit, event["lsn"]])
        for event, commit in zip(found, commits[1:], strict=False)
    )


def test_wal_of_others_and_of_other_databases_fires_nothing(watched):
    async def scenario(events):
        for number in range(5):
            await asyncio.to_thread(
                watched.pair.source_admin.execute, f"insert into public.others values ({number})"
            )
            await asyncio.to_thread(watched.pair.source_superuser.execute, "select pg_switch_wal()")
        return await events.take(seconds=1.5)

    assert watch(watched.trigger(), scenario) is None


def test_restarted_trigger_knows_what_it_has_told_and_sees_what_came_meanwhile(watched):
    async def tell(events):
        told = await events.take()
        await events.take(seconds=1)  # the position is kept meanwhile
        return told

    watched.order(1)
    assert watch(watched.trigger(), tell) is not None
    assert watch(watched.trigger(), lambda events: events.take(seconds=1)) is None
    watched.order(2)
    assert watch(watched.trigger(), tell) is not None


def test_trigger_killed_before_the_event_is_stored_fires_again(watched):
    watched.order(1)

    assert watch(watched.trigger(), take_one) is not None
    assert watch(watched.trigger(), take_one) is not None


def test_position_of_another_server_is_not_used(watched):
    key = watched.trigger()._state_key
    watched.state.values[key] = {"system_identifier": "1", "lsn": "FFFFFF/0"}
    watched.order(1)

    assert watch(watched.trigger(), take_one) is not None


def test_trigger_waits_while_a_consumer_reads_the_slot(watched):
    source = open_endpoint("trempy_source", task_name="test", role="source")

    async def scenario(events):
        stream = open_stream(
            source, job="consumer", slot_name=watched.slot_name, publication_name=watched.publication_name
        )
        await asyncio.to_thread(watched.order, 1)
        meanwhile = await events.take(seconds=1)
        stream.close()
        return meanwhile, await events.take()

    meanwhile, event = watch(watched.trigger(), scenario)

    assert meanwhile is None
    assert event["slot_name"] == watched.slot_name


def test_lost_connection_and_a_server_that_restarts_are_waited_out(watched):
    async def scenario(events):
        await asyncio.to_thread(watched.order, 1)
        first = await events.take()
        await asyncio.to_thread(_terminate_all, watched.pair)
        await asyncio.to_thread(watched.order, 2)
        return first, await events.take(seconds=20)

    assert None not in watch(watched.trigger(), scenario)


def _terminate_all(pair):
    """Refuse the role's connections for a while, as a server that restarts does."""
    role = sql.Identifier(pair.source.role)
    pair.source_superuser.execute(sql.SQL("alter role {} nologin").format(role))
    time.sleep(1)
    pair.source_superuser.execute(sql.SQL("alter role {} login").format(role))


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda watched: watched.drop_slot(), ["has no replication slot", "pg_create_logical"]),
        (
            lambda watched: watched.pair.source_admin.execute(
                sql.SQL("drop publication {}").format(sql.Identifier(HOSTILE))
            ),
            ["has no publication", "orders"],
        ),
        (
            lambda watched: (watched.drop_slot(), watched.create_slot("test_decoding")),
            ["test_decoding", "expected a logical slot with plugin pgoutput"],
        ),
    ],
    ids=["slot", "publication", "plugin"],
)
def test_error_names_the_object_and_the_remedy_and_the_trigger_goes_on(watched, capfd, break_it, words):
    break_it(watched)

    async def scenario(events):
        nothing = await events.take(seconds=1)
        await asyncio.to_thread(_restore, watched)
        await asyncio.to_thread(watched.order, 1)
        return nothing, await events.take(seconds=20)

    nothing, event = watch(watched.trigger(), scenario)

    assert nothing is None
    assert event is not None
    logged = capfd.readouterr().out
    assert all(word in logged for word in words)


def _restore(watched):
    pair = watched.pair
    if not pair.source.fetch_all("select from pg_publication where pubname = %s", [HOSTILE]):
        pair.source_admin.execute(
            sql.SQL("create publication {} for table public.orders").format(sql.Identifier(HOSTILE))
        )
    if watched.positions():
        watched.drop_slot()
    watched.create_slot()


def test_event_loop_stays_free_while_much_wal_is_looked_at(watched):
    watched.pair.source_admin.execute("insert into public.others select generate_series(1, 300000)")

    async def scenario(events):
        longest = 0.0
        for _ in range(100):
            before = time.monotonic()
            await asyncio.sleep(0.02)
            longest = max(longest, time.monotonic() - before - 0.02)
        return longest

    assert watch(watched.trigger(), scenario) < 0.25

"""Slots are created in bounded time, verified against gaps and dropped for good."""

import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.databases import DatabasePair
from tests.support.tasks import make_source, make_task, open_source
from trempy_provider.errors import SlotCreationBlockedError, SlotError, SlotLostError, WrongSystemError
from trempy_provider.postgres.metadata import TaskRow
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.slot import (
    SlotStatus,
    SourceIdentity,
    create_slot,
    drop_slot,
    open_transactions,
    read_identity,
    read_slot,
    read_wal_position,
)
from trempy_provider.postgres.slot_checks import verify_identity, verify_position, verify_slot
from trempy_provider.postgres.snapshot import open_snapshot
from trempy_provider.postgres.timelines import parse_timeline_history, verify_timeline
from trempy_provider.replication.lsn import Lsn

IDENTITY = SourceIdentity("7", 1, "d")
ROW = TaskRow("t", "7", 1, "d", slot_name="trempy_t", publication_name="trempy_t", consistent_point=Lsn(10))
STATUS = SlotStatus(
    True, "logical", "pgoutput", "d", confirmed_flush_lsn=Lsn(20), restart_lsn=Lsn(10), wal_status="reserved"
)


@pytest.fixture
def slot_name() -> str:
    return f"trempy_{secrets.token_hex(4)}"


@pytest.fixture
def database(databases: DatabasePair) -> DatabasePair:
    databases.source_admin.execute("create schema shop; create table shop.t (id int primary key)")
    return databases


@pytest.mark.pg(15, 16, 18)
def test_slot_is_created_read_and_dropped(database: DatabasePair, slot_name: str) -> None:
    with open_source(database) as source:
        assert not read_slot(source, slot_name).exists

        consistent_point = create_slot(source, slot_name, timeout_seconds=20)

        status = read_slot(source, slot_name)
        assert status.confirmed_flush_lsn == consistent_point <= read_wal_position(source)
        assert (status.plugin, status.database, status.active) == ("pgoutput", database.source.name, False)
        assert not status.is_invalidated
        assert status.retained_bytes is not None
        with pytest.raises(SlotError, match="already"):
            create_slot(source, slot_name, timeout_seconds=20)
        assert drop_slot(source, slot_name, application_prefix="trempy/test/")
        assert not drop_slot(source, slot_name, application_prefix="trempy/test/")


def test_creation_that_times_out_leaves_nothing_and_names_who_is_in_the_way(
    database: DatabasePair, slot_name: str
) -> None:
    with open_source(database) as source, open_source(database) as blocker:
        with blocker.transaction():
            blocker.execute("insert into shop.t values (4711)")
            with pytest.raises(SlotCreationBlockedError) as caught:
                create_slot(source, slot_name, timeout_seconds=0.5)
            assert not read_slot(source, slot_name).exists
            (seen,) = [entry for entry in open_transactions(source) if entry.pid == blocker.backend_pid]

        create_slot(source, slot_name, timeout_seconds=20)

    assert str(seen) in str(caught.value)
    assert seen.state == "idle in transaction"
    assert seen.first_words == "insert into shop"
    assert "4711" not in str(caught.value)


def test_transactions_of_other_roles_are_seen_without_their_details(database: DatabasePair) -> None:
    with open_source(database) as source:
        connection = make_source(database).connect("other")
        with connection, connection.transaction():
            connection.fetch_value("select pg_current_xact_id()::text")
            assert connection.backend_pid in {entry.pid for entry in open_transactions(source)}


def test_the_wait_of_a_snapshot_slot_is_bounded_too(database: DatabasePair) -> None:
    task = make_task("t", ["t"], cdc_settings={"slot_creation_timeout_seconds": 1})
    with open_source(database) as blocker, blocker.transaction():
        blocker.execute("insert into shop.t values (1)")
        with (
            pytest.raises(SlotCreationBlockedError, match=f"pid {blocker.backend_pid}"),
            open_snapshot(make_source(database), task),
        ):
            pass


@pytest.mark.pg(15, 18)
@pytest.mark.parametrize("replication_type", ["full_load_and_cdc", "full_load"])
def test_snapshot_shows_what_was_committed_before_it(database: DatabasePair, replication_type: str) -> None:
    database.source_admin.execute("insert into shop.t values (1)")
    task = make_task("t", ["t"], replication_type=replication_type)
    with open_snapshot(make_source(database), task) as snapshot, open_source(database) as reader:
        database.source_admin.execute("insert into shop.t values (2)")
        with reader.transaction(isolation="repeatable read", read_only=True):
            reader.execute("set transaction snapshot %s", [snapshot.name])
            seen = reader.fetch_all("select id from shop.t")
        assert snapshot.consistent_point <= read_wal_position(reader)

    assert seen == [(1,)]
    assert (
        database.source.fetch_value(
            "select count(*) from pg_replication_slots where database = current_database()"
        )
        == 0
    )


def test_slot_of_the_task_is_accepted() -> None:
    verify_identity(ROW, IDENTITY)
    verify_position(ROW, captured_lsn=Lsn(20), wal_lsn=Lsn(20))
    verify_slot(ROW, STATUS, captured_lsn=Lsn(20), timeline=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda status: SlotStatus(exists=False), "was dropped"),
        (lambda status: replace(status, plugin="test_decoding"), "plugin test_decoding"),
        (lambda status: replace(status, slot_type="physical", plugin=None), "is physical"),
        (lambda status: replace(status, database="x"), "of database x"),
        (lambda status: replace(status, wal_status="lost"), "wal_status=lost"),
        (lambda status: replace(status, invalidation_reason="rows_removed"), "rows_removed"),
        (lambda status: replace(status, is_conflicting=True), "conflict"),
        (lambda status: replace(status, confirmed_flush_lsn=Lsn(21)), "by somebody else"),
    ],
)
def test_gap_is_refused(change: Callable[[SlotStatus], SlotStatus], message: str) -> None:
    with pytest.raises(SlotLostError, match=message) as caught:
        verify_slot(ROW, change(STATUS), captured_lsn=Lsn(20), timeline=1)

    assert "trempy reload" in caught.value.hint


@pytest.mark.parametrize("changes", [{"system_identifier": "8"}, {"database": "x"}])
def test_other_source_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(WrongSystemError, match="was set up with"):
        verify_identity(ROW, replace(IDENTITY, **changes))


def test_source_whose_wal_ends_before_what_was_captured_is_refused() -> None:
    with pytest.raises(WrongSystemError, match=r"WAL ends at 0/13, .* captured up to 0/14"):
        verify_position(ROW, captured_lsn=Lsn(20), wal_lsn=Lsn(19))


def test_slot_that_a_promoted_standby_lacks_is_missed_with_the_reason() -> None:
    with pytest.raises(SlotLostError, match=r"timeline 1 became 2"):
        verify_slot(ROW, SlotStatus(exists=False), captured_lsn=Lsn(20), timeline=2)


HISTORY = "1\t0/5000\tno recovery target specified\n\n2\t0/7000\tafter transaction\n"


@pytest.mark.parametrize("captured_lsn", ["0/4000", "0/5000"])
def test_timeline_that_holds_all_that_was_captured_is_accepted(captured_lsn: str) -> None:
    ends = parse_timeline_history(HISTORY)

    verify_timeline("t", known=1, present=3, ends=ends, captured_lsn=Lsn.parse(captured_lsn))


@pytest.mark.parametrize(
    ("known", "message"), [(1, "left timeline 1 at 0/5000"), (4, "timeline 4, which did not lead to it")]
)
def test_timeline_that_lacks_what_was_captured_is_refused(known: int, message: str) -> None:
    ends = parse_timeline_history(HISTORY)

    with pytest.raises(WrongSystemError, match=message):
        verify_timeline("t", known=known, present=3, ends=ends, captured_lsn=Lsn.parse("0/5001"))


def test_least_privileged_role_identifies_the_source(database: DatabasePair) -> None:
    def identity(session: Session) -> SourceIdentity:
        return read_identity(session)

    with open_source(database) as source:
        assert identity(source).database == database.source.name
        assert identity(source).system_identifier.isdigit()

"""What cannot be applied becomes a dead letter, tells why, and is replayed without harm (G4, G11)."""

from __future__ import annotations

import logging

import pytest

from tests.support.dead_letters import TABLES, letters, listed, make_tables, mend, options, refuse, replay
from tests.support.replication import settings
from trempy_provider.broker.base import OutgoingMessage
from trempy_provider.errors import ApplyError, GapError, TargetPermissionError, TargetUnavailableError
from trempy_provider.jobs.applying import giving_up
from trempy_provider.jobs.status import status

MODES = ["default", "upsert"]


@pytest.fixture
def start(databases, replicate):
    """Return a function that sets up a task whose target refuses rows with v = 13."""

    def start(**options):
        make_tables(databases)
        replication = replicate(*TABLES, **options)
        replication.setup()
        replication.load()
        refuse(databases)
        return replication

    return start


def recorded(replication):
    return replication.metadata(
        "select message_id, state, transaction_id, attempt_count, reason, first_lsn::text, last_lsn::text"
        " from trempy.dead_letters order by last_lsn"
    )


@pytest.mark.parametrize("mode", MODES)
def test_message_becomes_a_dead_letter_after_three_attempts_and_tells_why(databases, start, caplog, mode):
    caplog.set_level(logging.WARNING, logger="trempy_provider")
    replication = start(**options(mode, on_dead_letter="stop"))
    databases.source_admin.execute("insert into public.t values (10, 13, 'secret')")
    replication.capture()

    with pytest.raises(ApplyError, match=r"insert on public\.t failed") as raised:
        replication.apply()

    (letter,) = letters(replication)
    assert letter.headers["task_name"] == replication.task.task_name
    assert letter.headers["reason"] == str(raised.value)
    assert "lucky" in letter.headers["reason"]
    assert letter.headers["attempt_count"] == 3
    ((name, state, xid, attempts, reason, commit_lsn, _),) = recorded(replication)
    assert (name, state, attempts, reason) == (letter.message_id, "waiting", 3, str(raised.value))
    assert letter.headers["failed_transaction_id"] == xid
    (line,) = [record.getMessage() for record in caplog.records if letter.message_id in record.getMessage()]
    assert f"transaction_id={xid}" in line
    assert f"commit_lsn={commit_lsn}" in line
    assert f"--lsn {commit_lsn}" in raised.value.hint
    assert replication.broker.depths().ready == 0
    (told,) = status(replication.task, source=None, target=replication.target).dead_letters
    assert (told.message_id, told.transaction_id, told.reason) == (name, xid, reason)
    assert "secret" not in caplog.text + reason

    mend(databases)
    replication.catch_up()

    replication.assert_equal()
    assert letters(replication) == []
    assert [row[1] for row in recorded(replication)] == ["applied"]
    assert status(replication.task, source=None, target=replication.target).dead_letters == ()


@pytest.mark.parametrize("mode", MODES)
def test_only_the_failing_one_of_merged_transactions_is_passed_over(databases, start, mode):
    replication = start(**options(mode))
    for query in (
        "insert into public.t values (10, 1, 'a')",
        "insert into public.t values (11, 13, 'b'), (12, 1, 'b')",
        "update public.u set v = 1",
        "insert into public.t values (13, 13, 'c')",
        "insert into public.t values (14, 1, 'd')",
    ):
        databases.source_admin.execute(query)

    captured, report = replication.catch_up()

    assert databases.target.fetch_all("select id from public.t where id > 9 order by id") == [(10,), (14,)]
    assert databases.target.fetch_all("select v from public.u") == [(1,)]
    first, second = letters(replication)
    assert (first.headers["transaction_count"], first.headers["change_count"]) == (1, 2)
    assert (second.headers["transaction_count"], second.headers["change_count"]) == (1, 1)
    rows = recorded(replication)
    assert [(row[0], row[1], row[3]) for row in rows] == [
        (first.message_id, "passed_over", 3),
        (second.message_id, "passed_over", 3),
    ]
    assert (report.dead_letter_count, captured.batch_count, report.batch_count) == (2, 1, 1)
    replication.apply(seconds=1)
    assert len(letters(replication)) == 2


def test_stop_at_one_of_merged_transactions_leaves_those_before_it_applied(databases, start):
    replication = start(**options(on_dead_letter="stop"))
    for query in (
        "insert into public.t values (10, 1, 'a')",
        "insert into public.t values (11, 13, 'b')",
        "insert into public.t values (12, 1, 'c')",
    ):
        databases.source_admin.execute(query)
    replication.capture()
    databases.source_admin.execute("insert into public.t values (14, 1, 'd')")
    replication.capture()

    for _ in range(2):  # started again without a mend, it stops again
        with pytest.raises(ApplyError, match="lucky"):
            replication.apply()
        ids = databases.target.fetch_all("select id from public.t where id > 9 order by id")
        assert ids == [(10,)]

    ((_, state, xid, attempts, _, _, _),) = recorded(replication)
    assert (state, attempts) == ("waiting", 6)
    assert str(xid) in str(databases.source_admin.fetch_all("select xmin from public.t where id = 11"))
    mend(databases)
    replication.catch_up()
    replication.assert_equal()
    assert letters(replication) == []


def test_policy_changed_to_continue_passes_over_what_the_task_stopped_at(databases, start):
    replication = start(**options(on_dead_letter="stop"))
    databases.source_admin.execute("insert into public.t values (10, 13, 'a')")
    databases.source_admin.execute("insert into public.t values (11, 1, 'b')")
    replication.capture()
    with pytest.raises(ApplyError):
        replication.apply()

    replication.change_settings(settings(replication.task.task_name, list(TABLES), **options()))
    replication.catch_up()

    assert databases.target.fetch_all("select id from public.t where id > 9") == [(11,)]
    (letter,) = letters(replication)
    assert letter.headers["change_count"] == 1
    states = {row[0]: row[1] for row in recorded(replication)}
    assert states.pop(letter.message_id) == "passed_over"
    assert list(states.values()) == ["applied"]


def test_error_in_a_large_transaction_is_that_of_its_row_and_the_whole_is_one_dead_letter(databases, start):
    replication = start(**options(batch_max_rows=10))
    databases.source_admin.execute(
        "begin; insert into public.t select g, 1, 'x' from generate_series(100, 199) g;"
        "update public.t set v = 5 where id = 1; insert into public.t values (300, 13, 'bad'); commit"
    )
    databases.source_admin.execute("insert into public.t values (400, 1, 'y')")

    replication.catch_up()

    assert databases.target.fetch_all("select id from public.t where id > 9") == [(400,)]
    (letter,) = letters(replication)
    assert "insert on public.t" in str(letter.headers["reason"])
    assert [row[1] for row in recorded(replication)] == ["passed_over"]
    assert replication.metadata("select count(*) from trempy.held_chunks") == [(0,)]
    assert replication.metadata("select count(*) > 5 from trempy.dead_letter_chunks") == [(True,)]


def test_constraint_that_is_checked_at_the_commit_fails_its_transaction_only(databases, start):
    replication = start(**options())
    databases.target_admin.execute(
        "alter table public.u add foreign key (v) references public.t deferrable initially deferred;".replace(
            "alter table public.u", "delete from public.u; alter table public.u"
        )
    )
    databases.source_admin.execute("insert into public.u values (2, 1)")
    databases.source_admin.execute("insert into public.u values (3, 77)")
    databases.source_admin.execute("insert into public.u values (4, 2)")

    replication.catch_up()

    assert databases.target.fetch_all("select id from public.u order by id") == [(2,), (4,)]
    (letter,) = letters(replication)
    assert "foreign key" in str(letter.headers["reason"])
    assert "commit LSN" in str(letter.headers["reason"])


def test_what_is_wrong_for_every_transaction_stops_the_task_also_with_continue(databases, start):
    replication = start(**options())
    role = databases.target.fetch_value("select current_user")
    databases.target_admin.execute(f"revoke insert on public.t from {role}")
    databases.source_admin.execute("insert into public.t values (10, 1, 'a')")
    databases.source_admin.execute("insert into public.t values (11, 1, 'b')")
    replication.capture()

    with pytest.raises(TargetPermissionError, match=r"table public\.t, commit LSN"):
        replication.apply()

    assert [row[1] for row in recorded(replication)] == ["waiting"]
    databases.target_admin.execute(f"grant insert on public.t to {role}")
    replication.catch_up()
    replication.assert_equal()


@pytest.mark.parametrize("on_dead_letter", ["stop", "continue"])
def test_foreign_message_is_a_dead_letter_and_in_nobodys_way(databases, start, on_dead_letter):
    replication = start(**options(on_dead_letter=on_dead_letter))
    publisher = replication.broker.open_publisher()
    publisher.publish(OutgoingMessage(b"none of ours", "", {}))
    publisher.close()
    databases.source_admin.execute("insert into public.t values (10, 1, 'a')")

    if on_dead_letter == "stop":
        with pytest.raises(Exception, match="no header line"):
            replication.catch_up()
    replication.catch_up()

    replication.assert_equal()
    (letter,) = replication.broker.read_dead_letters()
    assert letter.body == b"none of ours"
    assert "no header line" in str(letter.headers["reason"])


def test_gap_is_no_dead_letter(databases, start):
    replication = start(**options())
    databases.source_admin.execute("insert into public.t values (10, 1, 'a')")
    replication.capture()
    replication.broker.purge()
    databases.source_admin.execute("insert into public.t values (11, 1, 'b')")
    replication.capture()

    with pytest.raises(GapError):
        replication.apply()

    assert replication.broker.depths().dead_letters == 0
    assert databases.target.fetch_all("select id from public.t where id > 9") == []


def test_letter_whose_record_was_lost_is_found_and_counts_once(databases, start, monkeypatch):
    replication = start(**options())
    record, failed = giving_up.record_dead_letter, []

    def losing_one(*arguments, **named):
        if not failed:
            failed.append(True)
            raise TargetUnavailableError("the connection is lost")
        return record(*arguments, **named)

    monkeypatch.setattr(giving_up, "record_dead_letter", losing_one)
    databases.source_admin.execute("insert into public.t values (10, 13, 'a')")
    databases.source_admin.execute("insert into public.t values (11, 1, 'b')")

    replication.catch_up()

    assert databases.target.fetch_all("select id from public.t where id > 9") == [(11,)]
    assert failed
    assert [state for _, state in listed(replication)] == ["passed_over"]
    mend(databases)
    assert [letter.outcome for letter in replay(replication).letters] == ["replayed"]
    replication.assert_equal()
    assert letters(replication) == []

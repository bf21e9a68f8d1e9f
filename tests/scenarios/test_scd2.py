"""The mode scd2 keeps the history of every row, by the source's commit times."""

from __future__ import annotations

import random

import pytest

from tests.support.histories import SourceHistory, loaded_at, read_history
from tests.support.replication import Background
from tests.support.settings_entries import create_column
from trempy_provider.errors import ApplyError, TargetUnavailableError
from trempy_provider.postgres.session import Session
from trempy_provider.replication.lsn import Lsn

SCD2 = {"cdc_settings": {"mode": "scd2"}}
ROWS = "select id, a, md5(large) from public.t"
LONG = "repeat(md5(random()::text), 300)"  # does not compress: stored as TOAST, not sent when unchanged


def prepared(databases, replicate, **options):
    """Load a task for a table of 50 rows."""
    databases.source_admin.execute(
        "create table public.t (id int primary key, a int unique, large text);"
        "alter table public.t alter large set storage external;"
        f"insert into public.t select g, g, {LONG} from generate_series(1, 50) g"
    )
    replication = replicate("public.t", **{"task": SCD2, **options})
    replication.setup()
    replication.load()
    return replication


def assert_history(source: SourceHistory, **options) -> None:
    target = source.databases.target
    expected = source.expected(loaded_at=loaded_at(target, "public.t"), **options)
    actual = read_history(target, source.query, key_count=source.key_count)
    assert {key: actual.get(key) for key in expected} == expected
    assert actual.keys() == expected.keys()


def versions(databases) -> list[tuple]:
    """Return the versions in order, without their times."""
    return databases.target.fetch_all("select id, a, scd_current from public.t order by id, scd_start_date")


def errors(replication) -> list[tuple]:
    return replication.metadata("select operation, sqlstate from trempy.apply_errors order by error_id")


@pytest.mark.pg(15, 18)
def test_one_version_per_key_and_transaction_from_its_commit_time_on(databases, replicate, pg_versions):
    replication = prepared(databases, replicate)
    source = SourceHistory(databases, ROWS)

    source.commit("update public.t set a = -a where id <= 10")
    source.commit("update public.t set a = 6000 where id = 1", "update public.t set a = 7000 where id = 1")
    source.commit("delete from public.t where id in (2, 3)")
    source.commit(f"insert into public.t values (2, 2, {LONG}), (100, 100, null), (101, 101, {LONG})")
    source.commit("insert into public.t values (102, 102, '')", "delete from public.t where id = 102")
    source.commit("delete from public.t where id = 4", f"insert into public.t values (4, 444, {LONG})")
    source.commit("update public.t set large = null where id = 5", "update public.t set a = 0 where id = 5")
    replication.catch_up()

    assert_history(source)
    assert errors(replication) == []


def test_key_change_ends_one_history_and_begins_another(databases, replicate):
    replication = prepared(databases, replicate)
    source = SourceHistory(databases, ROWS)

    source.commit("update public.t set id = id + 1000 where id <= 20")  # with values that are not sent
    source.commit("update public.t set id = -1 where id = 30", "update public.t set id = 30 where id = 31")
    source.commit("update public.t set id = 31 where id = -1")
    source.commit("update public.t set id = 1 where id = 1001", "update public.t set a = -2 where id = 1")
    source.commit("update public.t set id = 51 where id = 50", "insert into public.t values (50, 0, 'x')")
    replication.catch_up()

    assert_history(source)
    assert errors(replication) == []


def test_keys_are_equal_when_their_types_say_so(databases, replicate):
    for superuser in (databases.source_superuser, databases.target_superuser):
        superuser.execute("create extension citext schema public")
    databases.source_admin.execute(
        "create type public.mood as enum ('up', 'down'); create domain public.tempered as public.mood;"
        "create table public.t (c public.citext, e public.tempered, n int, primary key (c, e));"
        "insert into public.t values ('A', 'up', 1), ('B', 'down', 2)"
    )
    replication = replicate("public.t", task=SCD2)
    replication.setup()
    replication.load()

    databases.source_admin.execute("update public.t set c = 'a' where c = 'a'")
    databases.source_admin.execute("update public.t set n = n + 1")
    databases.source_admin.execute("delete from public.t where c = 'b'")
    replication.catch_up()

    rows = databases.target.fetch_all(
        "select c::text, e::text, n, scd_current from public.t order by lower(c::text), scd_start_date"
    )
    assert rows == [
        ("A", "up", 1, 0),
        ("a", "up", 1, 0),
        ("a", "up", 2, 1),
        ("B", "down", 2, 0),
        ("B", "down", 3, 0),
    ]
    assert errors(replication) == []


def test_truncate_ends_every_version_and_what_follows_begins_new_ones(databases, replicate):
    replication = prepared(databases, replicate)
    source = SourceHistory(databases, ROWS)

    source.commit("update public.t set a = -a where id = 1")
    source.commit("truncate public.t")
    source.commit("insert into public.t values (1, 1, 'again'), (60, 60, 'new'), (61, 61, 'new')")
    source.commit("update public.t set a = a + 1 where id = 1", "truncate public.t")
    source.commit("insert into public.t values (60, 60, 'new'), (61, 61, 'new')")
    source.commit(
        "insert into public.t values (62, 62, 'never seen')",
        "truncate public.t",
        "insert into public.t values (60, 60, 'new'), (61, 61, 'other')",
    )
    replication.catch_up()

    assert_history(source)


def test_update_that_changes_nothing_makes_no_version(databases, replicate):
    replication = prepared(databases, replicate)

    databases.source_admin.execute("update public.t set a = a")
    databases.source_admin.execute(
        "begin; update public.t set a = -a where id = 9; update public.t set a = -a where id = 9; commit"
    )
    databases.source_admin.execute(
        "begin; create temporary table kept as select * from public.t where id = 8;"
        "delete from public.t where id = 8; insert into public.t select * from kept; commit"
    )
    replication.catch_up()

    assert databases.target.fetch_all("select count(*), sum(scd_current) from public.t") == [(50, 50)]


def test_first_versions_share_one_time_before_every_change(databases, replicate):
    before = databases.source_superuser.fetch_value("select clock_timestamp()")
    replication = prepared(databases, replicate)
    source = SourceHistory(databases, ROWS)
    source.commit("update public.t set a = -a where id = 1")
    replication.catch_up()

    starts = databases.target.fetch_all("select distinct scd_start_date from public.t order by 1")

    assert len(starts) == 2
    assert before < starts[0][0]
    assert_history(source)


def test_changes_held_back_during_the_load_make_versions_at_their_own_times(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, a int, large text);"
        f"insert into public.t select g, g, {LONG} from generate_series(1, 500) g"
    )
    replication = replicate("public.t", task={**SCD2, "full_load_settings": {"split_bytes": 65536}})
    replication.setup()
    source = SourceHistory(databases, ROWS)

    with replication.running():
        load = Background(replication.load)
        source.commit_each(
            (
                f"update public.t set a = a + 1 where id % 40 = {number}",
                f"insert into public.t values ({1000 + number}, 0, 'x')",
                f"delete from public.t where id = {number + 1}",
                "truncate public.t" if number == 150 else "select",
            )
            for number in range(200)
        )
        load.result()
        source.commit("update public.t set a = -a where id % 7 = 0")
    replication.catch_up()

    snapshot_lsn = replication.metadata("select snapshot_lsn::text from trempy.table_states")[0][0]
    assert_history(source, loaded_until=Lsn.parse(snapshot_lsn))


def test_thousand_transactions_of_one_key_make_a_thousand_versions_set_by_set(
    databases, replicate, monkeypatch
):
    replication = prepared(databases, replicate)
    source = SourceHistory(databases, ROWS + " where id = 1")
    statements = []
    execute = Session.execute
    monkeypatch.setattr(
        Session, "execute", lambda *args, **kwargs: statements.append(args) or execute(*args, **kwargs)
    )

    source.commit_each(
        [f"update public.t set a = {-number} where id = 1"] * 3
        + [f"update public.t set a = {1000 + number} where id = 1"]
        for number in range(1000)
    )
    replication.catch_up()

    assert_history(source)
    assert databases.target.fetch_value("select count(*) from public.t where id = 1") == 1001
    assert len(statements) < 1000  # of capture and apply together


@pytest.mark.parametrize("after", [False, True], ids=["before commit", "after commit"])
def test_batch_delivered_again_after_a_crash_changes_nothing(databases, replicate, monkeypatch, after):
    seen_at = create_column("public.t", "datetime_now", "seen_at")  # another moment makes no other version
    replication = prepared(databases, replicate, transformations=[seen_at])
    source = SourceHistory(databases, ROWS)
    source.commit("update public.t set a = -a where id <= 30", "delete from public.t where id = 31")
    source.commit("update public.t set id = 90 where id = 1")
    replication.capture()
    original, failed = Session.execute, []

    def faulty(session, query, params=None):
        if query == "commit" and session.parameters.dbname == databases.target.name and not failed:
            failed.append(query)
            if after:
                original(session, query, params)
            session.close()
            raise TargetUnavailableError("connection lost")
        return original(session, query, params)

    monkeypatch.setattr(Session, "execute", faulty)
    replication.apply()

    assert failed
    assert_history(source)


def test_transaction_in_chunks_makes_one_version_per_key(databases, replicate):
    task = {"cdc_settings": {"mode": "scd2", "batch_max_rows": 20}}
    replication = prepared(databases, replicate, task=task)
    source = SourceHistory(databases, ROWS)

    source.commit(
        "update public.t set a = -a",
        "update public.t set a = a - 500",
        "update public.t set id = id + 100 where id % 3 = 0",
        "delete from public.t where id % 5 = 0",
        f"insert into public.t select g, g, {LONG} from generate_series(5, 50, 5) g on conflict do nothing",
        "update public.t set a = -(a + 500) where id % 2 = 0 and id < 50 and a < 0",
    )
    source.commit("update public.t set a = a + 10000")
    replication.catch_up()

    assert replication.metadata("select count(*) from trempy.held_changes") == [(0,)]
    assert_history(source)
    assert errors(replication) == []


@pytest.mark.parametrize("restart", [False, True], ids=["reload", "from zero"])
def test_reload_keeps_history_and_only_adds_versions_of_rows_that_differ(databases, replicate, restart):
    replication = prepared(databases, replicate)
    databases.source_admin.execute("update public.t set a = -a where id <= 10")
    replication.catch_up()
    before = versions(databases)
    databases.target_admin.execute(
        "update public.t set a = 77 where id = 20;"  # damaged
        "delete from public.t where id = 21;"  # lost
        "insert into public.t select 99, 99, 'x', scd_start_date, null, 1 from public.t where id = 22"  # foreign
    )

    if restart:
        replication.setup(restart=True)
    replication.load(reload=True)
    databases.source_admin.execute("update public.t set a = -a where id in (10, 11)")
    replication.catch_up()

    untouched = [row for row in before if row[0] not in (10, 11, 20, 21)]
    assert [row for row in versions(databases) if row[0] not in (10, 11, 20, 21, 99)] == untouched
    assert [row[1:] for row in versions(databases) if row[0] in (20, 21, 99)] == [
        (77, 0),  # ended
        (20, 1),
        (21, 1),
        (99, 0),
    ]
    assert [row[1:] for row in versions(databases) if row[0] in (10, 11)] == [
        (10, 0), (-10, 0), (10, 1), (11, 0), (-11, 1)
    ]  # fmt: skip
    read_history(databases.target, ROWS)


def test_random_changes_under_crashes_and_reloads_make_the_history_of_the_source(
    databases, replicate, monkeypatch
):
    """The load of rows that did not differ leaves no trace in the history."""
    choose = random.Random(20)
    databases.source_admin.execute(
        "create table public.t (a int, b text, n int, large text, primary key (b, a));"
        "alter table public.t alter large set storage external;"
        f"insert into public.t select g % 7, 'k' || g / 7, g, {LONG} from generate_series(0, 40) g"
    )
    replication = replicate("public.t", task={"cdc_settings": {"mode": "scd2", "batch_max_rows": 15}})
    replication.setup()
    replication.load()
    source = SourceHistory(databases, "select a, b, n, md5(large) from public.t", key_count=2)
    faults = lose_commits(monkeypatch, databases.target.name, choose)

    with replication.running():
        for _ in range(2):
            reloading = Background(lambda: reload_patiently(replication))
            source.commit_each(random_transaction(choose) for _ in range(100))
            reloading.result()
        replication.wait_until_level()
    replication.catch_up()

    assert len(faults) > 1
    assert errors(replication) == []
    assert_history(source)


def reload_patiently(replication) -> None:
    while True:
        try:
            replication.load(reload=True)
        except TargetUnavailableError:
            continue
        return


def random_transaction(choose: random.Random) -> list[str]:
    """Return some statements that succeed whatever the table holds."""
    return [random_statement(choose) for _ in range(choose.choice([1, 1, 2, 5]))]


def random_statement(choose: random.Random) -> str:
    other, key = choose.randrange(7), f"a = {choose.randrange(7)} and b = 'k{choose.randrange(6)}'"
    free = f"not exists (select from public.t o where o.b = t.b and o.a = {other})"
    statements = [
        f"update public.t set n = n + 1 where {key}",
        f"update public.t set n = {other} where a = {other}",
        f"update public.t set large = {LONG} where {key}",
        f"update public.t set large = null, n = 0 where {key}",
        f"update public.t set a = {other} where {key} and {free}",
        f"update public.t set a = {other} where {key} and {free}",
        f"delete from public.t where {key}",
        f"insert into public.t values ({other}, 'k1', 1, {LONG}) on conflict do nothing",
        f"insert into public.t select g, 'k2', 2, {LONG} from generate_series(1, 40) g on conflict do nothing",
        "savepoint s; update public.t set n = -1; rollback to s",
    ]
    return "truncate public.t" if choose.random() < 0.02 else choose.choice(statements)


def lose_commits(monkeypatch, dbname: str, choose: random.Random) -> list[bool]:
    """Lose the connection at some commits of jobs on a database, before or after they have their effect."""
    original, faults = Session.execute, []

    def faulty(session, query, params=None):
        if query == "commit" and session.parameters.dbname == dbname and choose.random() < 0.08:
            faults.append(choose.random() < 0.5)
            if faults[-1]:
                original(session, query, params)
            session.close()
            raise TargetUnavailableError("connection lost")
        return original(session, query, params)

    monkeypatch.setattr(Session, "execute", faulty)
    return faults


def test_history_begins_anew_when_the_settings_ask_for_it(databases, replicate):
    task = {**SCD2, "full_load_settings": {"truncate_before_insert": True}}
    replication = prepared(databases, replicate, task=task)
    databases.source_admin.execute("update public.t set a = -a where id <= 10")
    replication.catch_up()

    replication.load(reload=True)

    assert databases.target.fetch_all("select count(*), sum(scd_current) from public.t") == [(50, 50)]


def test_present_history_of_somebody_else_is_gone_on_with(databases, replicate):
    databases.target_admin.execute(
        "create domain public.amount as int not null;"
        "create table public.t (large text, id int, a public.amount, extra text default 'x',"
        " from_ timestamp, upto timestamp, live smallint, unique (id, from_));"
        "insert into public.t values"
        " ('old', 1, 5, 'x', '2001-01-01', '2002-01-01', 0), ('', 1, 1, 'x', '2002-01-01', null, 1),"
        " ('gone', -1, 1, 'x', '2002-01-01', null, 1)"
    )
    databases.source_admin.execute(
        "create table public.t (id int primary key, a int, large text);"
        "insert into public.t values (1, 1, ''), (2, 2, 'b')"
    )
    names = ("from_", "upto", "live")
    options = zip(
        ("start_date_column_name", "end_date_column_name", "current_column_name"), names, strict=True
    )
    replication = replicate(
        "public.t", task={"cdc_settings": {"mode": "scd2", "scd2_settings": dict(options)}}
    )
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "update public.t set a = 7 where id = 2; delete from public.t where id = 1"
    )
    databases.source_admin.execute("insert into public.t values (1, 1, 'again')")
    replication.catch_up()

    rows = databases.target.fetch_all(
        "select id, a, large, live, from_ < '2003-01-01', extra from public.t order by id, from_"
    )
    assert rows == [
        (-1, 1, "gone", 0, True, "x"),
        (1, 5, "old", 0, True, "x"),
        (1, 1, "", 0, True, "x"),
        (1, 1, "again", 1, False, "x"),
        (2, 2, "b", 0, False, "x"),
        (2, 7, "b", 1, False, "x"),
    ]
    now = databases.target.fetch_value("select now() at time zone 'utc'")
    assert databases.target.fetch_value("select max(from_) from public.t") < now


@pytest.mark.parametrize("count", [1, 300])
def test_bad_row_is_recorded_and_good_ones_get_their_versions(databases, replicate, count):
    replication = prepared(databases, replicate)
    databases.target_admin.execute(
        "alter table public.t add check (a <> 1300); delete from public.t where id = 2"
    )
    source = SourceHistory(databases, ROWS + " where id > 2")

    source.commit(
        f"insert into public.t select g, g, 'x' from generate_series(1000, {999 + count}) g",
        "update public.t set a = 99 where id = 2",  # lacks what is not sent
    )
    databases.source_admin.execute("update public.t set a = 1300 where id = 1")
    source.commit("update public.t set a = -a where id >= 1000", "delete from public.t where id = 3")
    replication.catch_up()

    assert_history(source)
    assert errors(replication) == [("update", "02000"), ("update", "23514")]
    assert databases.target.fetch_all("select a, scd_current from public.t where id = 1") == [(1, 1)]


def test_what_the_target_has_or_lacks_already_is_no_error(databases, replicate):
    replication = prepared(databases, replicate)
    databases.target_admin.execute(
        "delete from public.t where id in (1, 2);"
        "insert into public.t select 100, 0, 'x', scd_start_date, null, 1 from public.t where id = 3"
    )

    databases.source_admin.execute(
        "begin; insert into public.t values (100, 100, 'x'); delete from public.t where id = 1;"
        "update public.t set a = -2, large = 'whole' where id = 2; commit"
    )
    replication.catch_up()

    assert [row for row in versions(databases) if row[0] in (1, 2, 100)] == [
        (2, -2, 1),
        (100, 0, 0),
        (100, 100, 1),
    ]
    assert errors(replication) == []


def test_stop_policy_stops_and_goes_on_after_the_mend(databases, replicate):
    replication = prepared(databases, replicate, error_handling={"stop_if_scd2_error": True})
    databases.target_admin.execute("alter table public.t add constraint bad check (a <> 1300)")
    source = SourceHistory(databases, ROWS)
    source.commit("update public.t set a = 0 where id = 12", "update public.t set a = -14 where id = 14")
    source.commit("update public.t set a = 1300 where id = 12", "update public.t set a = -15 where id = 15")
    replication.capture()

    with pytest.raises(ApplyError, match=r"update on public\.t"):
        replication.apply()

    assert errors(replication) == []
    databases.target_admin.execute("alter table public.t drop constraint bad")
    replication.apply()
    assert_history(source)

"""One transaction, named by its commit LSN, is left out: exactly that one, once."""

from __future__ import annotations

import re

import pytest

from tests.support.replication import settings
from trempy_provider.errors import ApplyError, ConfigurationError
from trempy_provider.jobs.loading import table_load
from trempy_provider.jobs.skip import skip
from trempy_provider.jobs.status import status
from trempy_provider.postgres.session import Session

TABLES = ["public.t", "public.u"]
STOP = {"stop_if_insert_error": True, "stop_if_upsert_error": True}


@pytest.fixture
def start(databases, replicate):
    """Return a function that sets up a task whose target refuses rows with v = 13, and stops at them."""

    def start(mode: str = "default", *, load: bool = True, **cdc):
        databases.source_admin.execute(
            "create table public.t (id int primary key, v int); create table public.u (id int primary key, v int);"
            "insert into public.u values (1, 0)"
        )
        databases.target_admin.execute("create table public.t (id int primary key, v int check (v <> 13))")
        replication = replicate(*TABLES, task={"cdc_settings": {"mode": mode, **cdc}}, error_handling=STOP)
        replication.setup()
        if load:
            replication.load()
        return replication

    return start


def commit(databases, *queries: str) -> None:
    for query in queries:
        databases.source_admin.execute(query)


def lsn_of(error: BaseException) -> str:
    found = re.search(r"commit LSN (\S+?)\)", str(error))
    assert found is not None
    return found[1]


def ids(databases) -> list[int]:
    return [number for (number,) in databases.target.fetch_all("select id from public.t order by id")]


@pytest.mark.parametrize("mode", ["default", "upsert"])
def test_exactly_the_named_one_of_merged_transactions_is_left_out_once(databases, start, mode):
    replication = start(mode)
    commit(
        databases,
        "insert into public.t values (1, 1); update public.u set v = 1",
        "begin; insert into public.t values (2, 1); insert into public.t values (3, 13);"
        "update public.u set v = 2; commit",
        "insert into public.t values (4, 1)",
    )
    replication.capture()
    with pytest.raises(ApplyError) as raised:
        replication.apply()
    lsn = lsn_of(raised.value)
    assert f"trempy skip SETTINGS.json --lsn {lsn}" in raised.value.hint

    report = skip(replication.task, target=replication.target, lsn=lsn)
    waiting = status(replication.task, source=None, target=replication.target)
    _, applied = replication.catch_up()

    assert str(report.skip_lsn) == str(waiting.skip_lsn) == lsn
    assert ids(databases) == [1, 4]
    assert databases.target.fetch_all("select v from public.u") == [(1,)]
    assert applied.skipped_transaction_count == 1
    told = status(replication.task, source=None, target=replication.target)
    assert told.skip_lsn is None
    (skipped,) = told.skipped
    assert (str(skipped.commit_lsn), skipped.change_count) == (lsn, 3)
    assert str(skipped.transaction_id) in str(
        databases.source_admin.fetch_all("select xmin from public.t where id = 3")
    )
    assert told.dead_letters == ()

    commit(databases, "insert into public.t values (5, 13)")
    replication.capture()
    with pytest.raises(ApplyError):  # the next one is not skipped
        replication.apply()
    with pytest.raises(ConfigurationError, match="can be skipped any more"):
        skip(replication.task, target=replication.target, lsn=lsn)
    with pytest.raises(ConfigurationError, match="not an LSN"):
        skip(replication.task, target=replication.target, lsn="yesterday")


def test_skip_is_undone_by_none_and_forgotten_when_no_such_transaction_comes(databases, start):
    replication = start()
    commit(databases, "insert into public.t values (1, 13)")
    replication.capture()
    with pytest.raises(ApplyError) as raised:
        replication.apply()
    skip(replication.task, target=replication.target, lsn=lsn_of(raised.value))

    report = skip(replication.task, target=replication.target, lsn=None)

    assert (report.skip_lsn, str(report.former_skip_lsn)) == (None, lsn_of(raised.value))
    with pytest.raises(ApplyError):
        replication.apply()
    one_off = f"{lsn_of(raised.value)[:-1]}{'1' if lsn_of(raised.value)[-1] != '1' else '2'}"
    end = databases.target.fetch_value(
        f"select end_lsn <= '{one_off}'::pg_lsn from trempy.checkpoints where task_name = '{replication.task.task_name}'"
    )
    skip(replication.task, target=replication.target, lsn=one_off)
    databases.target_admin.execute("alter table public.t drop constraint t_v_check")
    replication.catch_up()
    assert end
    assert ids(databases) == [1]
    told = status(replication.task, source=None, target=replication.target)
    assert told.skip_lsn is None
    assert [(str(row.commit_lsn), row.transaction_id) for row in told.skipped] == [(one_off, None)]


def test_large_transaction_is_left_out_whole_also_when_the_commit_is_lost(databases, start, monkeypatch):
    replication = start(batch_max_rows=10)
    commit(
        databases,
        "begin; insert into public.t select g, 1 from generate_series(10, 60) g;"
        "insert into public.t values (99, 13); commit",
        "insert into public.t values (1, 1)",
    )
    replication.capture()
    with pytest.raises(ApplyError) as raised:
        replication.apply()
    skip(replication.task, target=replication.target, lsn=lsn_of(raised.value))
    original, failed = Session.execute, []

    def losing_a_commit(session, query, params=None):
        if query == "commit" and failed == ["note"]:
            failed.append("commit")
            session.close()
        if "into trempy.skipped_transactions" in str(query) and not failed:
            failed.append("note")
        return original(session, query, params)

    monkeypatch.setattr(Session, "execute", losing_a_commit)
    replication.catch_up()

    assert failed == ["note", "commit"]
    assert ids(databases) == [1]
    told = status(replication.task, source=None, target=replication.target)
    assert [row.change_count for row in told.skipped] == [52]
    assert replication.metadata("select count(*) from trempy.held_chunks") == [(0,)]


def test_changes_held_for_a_load_are_left_out_too(databases, start, monkeypatch):
    replication = start(load=False)
    place_rows = table_load.place_rows

    def change_then_place(context, collected, **options):
        if collected.state.source.table_name == "t":
            commit(
                databases,
                "begin; insert into public.t values (1, 13); update public.u set v = 7; commit",
                "insert into public.t values (2, 1)",
            )
            replication.catch_up()
            lsn = replication.metadata("select min(commit_lsn)::text from trempy.held_changes")[0][0]
            skip(replication.task, target=replication.target, lsn=lsn)
        return place_rows(context, collected, **options)

    monkeypatch.setattr(table_load, "place_rows", change_then_place)

    replication.load()

    assert ids(databases) == [2]
    told = status(replication.task, source=None, target=replication.target)
    assert told.skip_lsn is None
    assert len(told.skipped) == 1
    replication.change_settings(settings(replication.task.task_name, TABLES))
    commit(databases, "insert into public.t values (3, 1)")
    replication.catch_up()
    assert ids(databases) == [2, 3]

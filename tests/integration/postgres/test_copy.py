import threading

import pytest
from psycopg2 import sql

from tests.support.loading import endpoint
from tests.support.wait import wait_until
from trempy_provider.errors import CopyError, SourceUnavailableError, TrempyError
from trempy_provider.postgres.copy import copy_in_sql, copy_out_sql, copy_rows
from trempy_provider.postgres.translation import SourceStatementError, TargetStatementError

ROWS = sql.SQL("select g, 'row ' || g from generate_series(1, {count}) g")
FAILING = sql.SQL("select g, (100000 / (50000 - g))::text from generate_series(1, 100000) g")
SLOW = sql.SQL("select g, repeat('x', 10000) || pg_sleep(0.01) from generate_series(1, {count}) g")
INTO = (sql.Identifier("public", "t"), ("id", "v"))


@pytest.fixture
def sessions(databases):
    databases.target_admin.execute("create table public.t (id int, v text)")
    with (
        endpoint(databases.source_uri, "copying", "source").connect("copy") as source,
        endpoint(databases.target_uri, "copying", "target").connect("copy") as target,
    ):
        yield source, target


def copy(sessions, query, *, binary=True, **options):
    source, target = sessions
    return copy_rows(
        source,
        target,
        out_query=copy_out_sql(query, binary=binary),
        in_query=copy_in_sql(*INTO, binary=binary),
        **options,
    )


def count(databases):
    return databases.target.fetch_value("select count(*) from t")


@pytest.mark.parametrize("binary", [True, False])
def test_rows_are_copied_and_counted(databases, sessions, binary):
    sizes = []

    counts = copy(sessions, ROWS.format(count=sql.Literal(30000)), binary=binary, on_bytes=sizes.append)

    assert (counts.rows, count(databases)) == (30000, 30000)
    assert counts.bytes == sum(sizes) > 30000 * 10


@pytest.mark.parametrize("binary", [True, False])
def test_no_rows_are_copied_too(databases, sessions, binary):
    assert copy(sessions, ROWS.format(count=sql.Literal(0)), binary=binary).rows == 0


@pytest.mark.parametrize("binary", [True, False])
def test_nothing_arrives_when_the_source_fails_in_the_middle_and_its_error_is_raised(
    databases, sessions, binary
):
    with pytest.raises(SourceStatementError, match="22012"):
        copy(sessions, FAILING, binary=binary)

    assert count(databases) == 0


def test_nothing_arrives_when_the_target_fails_in_the_middle_and_its_error_is_raised(databases, sessions):
    databases.target_admin.execute("alter table t add check (id < 50000)")

    with pytest.raises(TargetStatementError, match="23514"):
        copy(sessions, ROWS.format(count=sql.Literal(3_000_000)))

    assert count(databases) == 0
    assert sessions[1].fetch_value("select 1") == 1


def test_a_source_that_is_gone_leaves_nothing(databases, sessions):
    source, _ = sessions
    terminate = "select pg_terminate_backend(%s)"
    killer = threading.Timer(0.3, databases.source_superuser.execute, [terminate, [source.backend_pid]])
    killer.start()

    with pytest.raises(SourceUnavailableError):
        copy(sessions, SLOW.format(count=sql.Literal(10_000)))

    killer.join()
    assert count(databases) == 0


@pytest.mark.parametrize("side", [0, 1])
def test_a_copy_is_cancelled_from_another_thread(databases, sessions, side):
    database = (databases.source_superuser, databases.target_superuser)[side]

    def cancel():
        running = (
            "select true from pg_stat_activity where pid = %s and state = 'active' and query like 'copy%%'"
        )
        wait_until(lambda: database.fetch_all(running, [sessions[side].backend_pid]))
        sessions[side].cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()

    with pytest.raises(TrempyError, match="57014"):
        copy(sessions, SLOW.format(count=sql.Literal(800)))

    canceller.join()
    assert count(databases) == 0


def test_a_count_that_differs_is_not_committed(databases, sessions):
    databases.target_superuser.execute(
        "create function drop_row() returns trigger language plpgsql as $$ begin return null; end $$;"
        "create trigger drop_row before insert on t for each row when (new.id = 7) execute function drop_row()"
    )

    with pytest.raises(CopyError, match="sent 10 rows, the target took 9"):
        copy(sessions, ROWS.format(count=sql.Literal(10)))

    assert count(databases) == 0

"""An error belongs to a row; policies say what becomes of it; dead letters keep the order (G11)."""

from __future__ import annotations

import pytest

from tests.support.databases import connect
from tests.support.replication import Background
from tests.support.wait import wait_until
from trempy_provider.errors import ApplyError, TargetSchemaError
from trempy_provider.jobs.lease import StopSignal


def prepared(databases, replicate, **options):
    databases.source_admin.execute(
        "create table public.t (id int primary key, v int); insert into public.t values (1, 1), (2, 2), (3, 3)"
    )
    replication = replicate("public.t", **options)
    replication.setup()
    replication.load()
    return replication


@pytest.mark.parametrize("count", [5, 500])
def test_bad_rows_are_recorded_and_good_ones_applied(databases, replicate, count):
    replication = prepared(databases, replicate)
    databases.target_admin.execute(
        "alter table public.t add check (v <> 13); delete from public.t where id = 2"
    )

    databases.source_admin.execute(
        f"begin; insert into public.t select g, 0 from generate_series(10, {10 + count}) g;"
        "insert into public.t values (5000, 13); update public.t set v = 99 where id = 2;"
        "update public.t set v = 13 where id = 1; delete from public.t where id = 3; commit"
    )
    replication.catch_up()

    rows = databases.target.fetch_all("select count(*) from public.t where id >= 10")
    assert rows == [(count + 1,)]
    assert databases.target.fetch_all("select id, v from public.t where id < 10") == [(1, 1)]
    errors = replication.metadata(
        "select operation, sqlstate, key_values->>'id' from trempy.apply_errors order by error_id"
    )
    assert errors == [("insert", "23514", "5000"), ("update", "02000", "2"), ("update", "23514", "1")]
    assert replication.metadata("select error_count from trempy.table_states") == [(3,)]


def test_upsert_mends_what_default_reports(databases, replicate):
    replication = prepared(databases, replicate, task={"cdc_settings": {"mode": "upsert"}})
    databases.target_admin.execute("delete from public.t where id = 2; insert into public.t values (10, 0)")

    databases.source_admin.execute(
        "update public.t set v = 99 where id = 2; insert into public.t values (10, 10), (11, 11);"
        "delete from public.t where id = 3"
    )
    replication.catch_up()

    replication.assert_equal()
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


def test_stop_policy_stops_and_goes_on_after_the_mend(databases, replicate):
    replication = prepared(databases, replicate, error_handling={"stop_if_insert_error": True})
    databases.target_admin.execute("insert into public.t values (10, 0)")
    databases.source_admin.execute("insert into public.t values (9, 9), (10, 10)")
    databases.source_admin.execute("insert into public.t values (11, 11)")
    replication.capture()

    with pytest.raises(ApplyError, match=r"insert on public\.t"):
        replication.apply()

    assert databases.target.fetch_all("select count(*) from public.t where id in (9, 11)") == [(0,)]
    assert replication.broker.depths().dead_letters == 1
    databases.target_admin.execute("delete from public.t where id = 10")
    replication.apply()
    replication.assert_equal()
    assert replication.broker.depths().dead_letters == 0


def test_dead_letter_may_be_passed_over(databases, replicate):
    replication = prepared(
        databases,
        replicate,
        task={"cdc_settings": {"on_dead_letter": "continue"}},
        error_handling={"stop_if_insert_error": True},
    )
    databases.target_admin.execute("insert into public.t values (10, 0)")
    databases.source_admin.execute("insert into public.t values (10, 10)")
    replication.capture()
    databases.source_admin.execute("insert into public.t values (11, 11)")
    replication.capture()

    replication.apply()

    assert databases.target.fetch_all("select id, v from public.t where id >= 10") == [(10, 0), (11, 11)]
    assert replication.broker.depths().dead_letters == 1
    assert replication.metadata("select count(*) from trempy.dead_letters") == [(1,)]
    replication.apply()
    assert replication.broker.depths().dead_letters == 1


def test_column_the_target_lacks_stops_with_its_name(databases, replicate):
    replication = prepared(databases, replicate)
    databases.source_admin.execute(
        "alter table public.t add extra text; insert into public.t values (9, 9, 'x')"
    )
    replication.capture()

    with pytest.raises(TargetSchemaError, match="column extra"):
        replication.apply()

    databases.target_admin.execute("alter table public.t add extra text")
    replication.apply()
    replication.assert_equal()


def test_stop_interrupts_a_statement_that_waits(databases, replicate):
    replication = prepared(databases, replicate)
    databases.source_admin.execute("insert into public.t values (9, 9)")
    replication.capture()
    stop = StopSignal()

    with connect(databases.target_admin_uri) as connection, connection.cursor() as cursor:
        cursor.execute("begin; lock table public.t in access exclusive mode")
        applying = Background(lambda: replication.apply(seconds=60, stop=stop))
        wait_until(
            lambda: databases.target.fetch_value(
                "select exists (select from pg_locks where not granted and relation = 'public.t'::regclass)"
            ),
            what="apply to wait for the table",
        )
        stop.set()
        assert applying.result(timeout_seconds=3).end_reason == "stopped"

    replication.apply()
    replication.assert_equal()

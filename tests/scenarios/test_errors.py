"""What apply makes of a target that is not as the source (see also test_error_policies.py)."""

from __future__ import annotations

import pytest

from tests.support.databases import connect
from tests.support.replication import Background
from tests.support.wait import wait_until
from trempy_provider.errors import TargetSchemaError
from trempy_provider.jobs.lease import StopSignal


def prepared(databases, replicate, **options):
    databases.source_admin.execute(
        "create table public.t (id int primary key, v int); insert into public.t values (1, 1), (2, 2), (3, 3)"
    )
    replication = replicate("public.t", **options)
    replication.setup()
    replication.load()
    return replication


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

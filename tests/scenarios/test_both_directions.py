"""Two tasks that replicate the same tables in both directions do not send changes back (loop prevention)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg2 import sql

from tests.support.databases import Database, DatabasePair
from tests.support.replication import Replication, settings
from trempy_provider.errors import PreflightError
from trempy_provider.postgres.origins import FUNCTIONS

TABLES = """
create table public.keyed (id int primary key, v text);
create table public.keyless (v text); alter table public.keyless replica identity full;
"""
LOCAL_ONLY = {"origin": "none", "batch_max_rows": 50}


def allow_marks(superuser: Database, role: str) -> None:
    superuser.execute(
        sql.SQL(f"grant execute on function {', '.join(FUNCTIONS)} to {{}}").format(sql.Identifier(role))
    )


def reversed_pair(databases: DatabasePair) -> DatabasePair:
    """Return the pair the other way round, each role with the rights of both sides."""
    source, target = databases.source.role, databases.target.role
    databases.target_superuser.execute(sql.SQL("alter role {} replication").format(sql.Identifier(target)))
    databases.source_superuser.execute(
        sql.SQL("grant temporary on database {} to {}; grant usage, create on schema public to {}").format(
            sql.Identifier(databases.source.name), sql.Identifier(source), sql.Identifier(source)
        )
    )
    allow_marks(databases.target_superuser, target)
    allow_marks(databases.source_superuser, source)
    return replace(
        databases,
        source=databases.target,
        source_admin=databases.target_admin,
        source_superuser=databases.target_superuser,
        target=databases.source,
        target_admin=databases.source_admin,
        target_superuser=databases.source_superuser,
    )


@pytest.mark.pg("16-16", "15-18")  # before 16, capture itself tells the origins apart
def test_changes_are_not_echoed(databases, rabbitmq_uri, make_task_name):
    databases.source_admin.execute(TABLES)
    databases.source_admin.execute(
        "insert into public.keyed select g, 'loaded' from generate_series(1, 500) g;"
        "insert into public.keyless select 'loaded' from generate_series(1, 500) g"
    )
    backwards_pair = reversed_pair(databases)
    options = {"task": {"cdc_settings": LOCAL_ONLY}}
    names = ["public.keyed", "public.keyless"]
    forth = Replication(
        settings(make_task_name(), names, **options), databases=databases, rabbitmq_uri=rabbitmq_uri
    )
    options = {"task": {"cdc_settings": LOCAL_ONLY, "replication_type": "cdc"}}
    back = Replication(
        settings(make_task_name(), names, **options), databases=backwards_pair, rabbitmq_uri=rabbitmq_uri
    )
    try:
        forth.setup()
        databases.target_admin.execute("alter table public.keyless replica identity full")
        back.setup()
        forth.load()  # beside the other direction: the rows it puts in place do not come back either
        with forth.running(), back.running():
            for side, start in ((databases.source_admin, 10_000), (databases.target_admin, 20_000)):
                side.execute(
                    f"insert into public.keyed select g, 'new' from generate_series({start}, {start + 300}) g;"
                    f"update public.keyed set v = 'changed' where id between {start} and {start + 10};"
                    f"insert into public.keyless values ('{start}'), ('{start}')"
                )
                side.execute(f"delete from public.keyed where id = {start}")
            forth.wait_until_level()
            back.wait_until_level()
            forth.wait_until_level()

        forth.assert_equal()
        counts = "select sum(insert_count), sum(update_count), sum(delete_count) from trempy.table_states"
        assert forth.metadata(counts) == [(303, 11, 1)]
        assert back.metadata(counts) == [(303, 11, 1)]
        for replication in (forth, back):
            assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]
    finally:
        back.teardown()
        forth.teardown()
    assert databases.target_superuser.fetch_value("select count(*) from pg_replication_origin") == 0


def test_role_that_may_not_mark_what_it_writes_is_refused_with_the_grants(databases, replicate):
    databases.source_admin.execute(TABLES)
    replication = replicate("public.keyed", task={"cdc_settings": {"origin": "none"}})

    with pytest.raises(
        PreflightError, match=r"grant execute on function pg_replication_origin_create\(text\), "
    ):
        replication.setup()

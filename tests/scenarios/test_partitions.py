"""Partitioned tables: every pairing of source and target, rows that move, partitions that come and go."""

from __future__ import annotations

import pytest

from tests.support.replication import settings
from tests.support.wait import wait_until
from trempy_provider.jobs import table_watch

FLAT = "(id int, region text, at date, v text, primary key (id, region))"
PARTED = FLAT + " partition by list (region)"
PARTS = """
create table public.{table}_eu partition of public.{table} for values in ('de', 'fr') partition by range (id);
create table public.{table}_eu_low partition of public.{table}_eu for values from (minvalue) to (100);
create table public.{table}_eu_high partition of public.{table}_eu for values from (100) to (maxvalue);
create table public.{table}_rest partition of public.{table} default;
"""
OTHER_PARTS = """
create table public.{table}_0 partition of public.{table} for values with (modulus 2, remainder 0);
create table public.{table}_1 partition of public.{table} for values with (modulus 2, remainder 1);
"""
ROWS = """
insert into public.{table} select g, (array['de', 'fr', 'us', 'jp'])[g % 4 + 1], '2024-01-01'::date + g, 'v' || g
from generate_series({ids}) g;
"""
CHANGES = (
    ROWS.replace("{ids}", "61, 160")
    + """
update public.{table} set v = 'w' where id % 3 = 0;
update public.{table} set region = 'us' where id between 10 and 30;
update public.{table} set id = id + 500 where region = 'de';
delete from public.{table} where id % 7 = 0;
begin; update public.{table} set region = 'jp' where id = 2; update public.{table} set region = 'de' where id = 2; commit;
update public.{table} set region = 'fr', v = null where id = 5;
delete from public.{table} where id = 6;
"""
)


def create_parted(table: str, *, keyless: bool = False) -> str:
    """Return a partitioned table; without a key, it and all its partitions have FULL."""
    if not keyless:
        return f"create table public.{table} {PARTED};" + PARTS.format(table=table)
    parted = PARTED.replace(", primary key (id, region)", "")
    leaves = "".join(
        f"alter table public.{table}{suffix} replica identity full;"
        for suffix in ("", "_eu_low", "_eu_high", "_rest")
    )
    return f"create table public.{table} {parted};" + PARTS.format(table=table) + leaves


@pytest.mark.parametrize("mode", ["default", "upsert"])
@pytest.mark.pg(15, "16-18")
@pytest.mark.usefixtures("way")
def test_rows_arrive_whichever_side_is_partitioned(databases, replicate, mode):
    keyless = ["bare"] if mode == "default" else []
    tables = ["to_flat", "to_parted", "both", *keyless]
    databases.source_admin.execute(
        create_parted("to_flat")
        + f"create table public.to_parted {FLAT};"
        + create_parted("both")
        + "".join(create_parted(table, keyless=True) for table in keyless)
        + "".join(ROWS.format(table=table, ids="1, 60") for table in tables)
    )
    databases.target_admin.execute(
        create_parted("to_parted")
        + f"create table public.both {FLAT} partition by hash (id);"
        + OTHER_PARTS.format(table="both")
        + (
            f"create table public.bare {FLAT.split(', primary', maxsplit=1)[0]}) partition by hash (id);"
            + OTHER_PARTS.format(table="bare")
        )
    )
    replication = replicate(*(f"public.{table}" for table in tables), task={"cdc_settings": {"mode": mode}})
    replication.setup()
    replication.load()
    replication.assert_equal()

    for table in tables:
        databases.source_admin.execute(CHANGES.format(table=f"{table}"))
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []
    replication.load(tables=["public.both", "public.to_parted"], reload=True)
    databases.source_admin.execute(
        "truncate public.to_flat, public.to_parted;"
        + ROWS.format(table="to_flat", ids="1, 9")
        + "truncate public.both"
    )
    replication.catch_up()
    replication.assert_equal()
    assert replication.errors() == []


@pytest.mark.pg(15, 18)
def test_partitions_made_while_running_are_followed(databases, replicate):
    databases.source_admin.execute(create_parted("t") + ROWS.format(table="t", ids="1, 40"))
    replication = replicate("public.t")
    replication.setup()
    replication.load()

    with replication.running():
        databases.source_admin.execute(
            "create table public.t_it partition of public.t for values in ('it');"
            "insert into public.t select g, 'it', now(), 'new' from generate_series(1, 40) g;"
            "update public.t set v = 'newer' where region = 'it' and id < 30; delete from public.t where id = 7"
        )
        databases.source_admin.execute(
            "create table public.t_es (like public.t including all);"
            "alter table public.t attach partition public.t_es for values in ('es');"
            "insert into public.t select g + 1000, 'es', now(), 'new' from generate_series(1, 40) g;"
            "update public.t set region = 'es' where region = 'us'"
        )
        replication.wait_until_level()

    replication.assert_equal()
    assert replication.errors() == []


ATTACH = """
create table public.t_es (like public.t including all);
insert into public.t_es select g, 'es', now(), 'brought' from generate_series(1, 40) g;
alter table public.t attach partition public.t_es for values in ('es');
"""


def wait_for_state(replication, state: str) -> None:
    wait_until(
        lambda: replication.metadata("select state from trempy.table_states") == [(state,)],
        timeout_seconds=60,
        what=f"the table to be {state}",
    )


@pytest.mark.parametrize(
    ("ddl", "reason"),
    [
        (ATTACH, "its partition public.t_es was attached with rows"),
        (f"begin; {ATTACH} commit", "its partition public.t_es was attached with rows"),
        (
            "alter table public.t detach partition public.t_rest",
            "1 partition(s) of it were detached or dropped",
        ),
        ("drop table public.t_eu", "2 partition(s) of it were detached or dropped"),
    ],
)
@pytest.mark.pg(15, 18)
def test_rows_of_a_partition_that_was_attached_or_detached_are_loaded_again(
    databases, replicate, ddl, reason, monkeypatch
):
    monkeypatch.setattr(table_watch, "_INTERVAL_SECONDS", 0.5)  # ten seconds are long for a test
    databases.source_admin.execute(create_parted("t") + ROWS.format(table="t", ids="1, 40"))
    replication = replicate("public.t")
    replication.setup()
    replication.load()

    with replication.running():
        databases.source_admin.execute(ddl)
        wait_for_state(replication, "pending")
        # Until the load, the rows that are there are followed.
        databases.source_admin.execute(
            "update public.t set v = 'followed' where region in ('fr', 'us');"
            "create table public.t_it partition of public.t for values in ('it');"
            "insert into public.t values (1, 'it', now(), 'new')"
        )
        replication.wait_until_level()
        assert (
            databases.target.fetch_value("select count(*) from public.t where v in ('followed', 'new')") >= 11
        )
        assert replication.metadata("select error from trempy.table_states") == [
            (f"It has to be loaded again: {reason}.",)
        ]
        replication.load()
        databases.source_admin.execute("update public.t set v = 'after' where id < 9")
        replication.wait_until_level()

    replication.assert_equal()
    assert replication.metadata("select state, error from trempy.table_states") == [("ready", None)]
    assert replication.errors() == []


@pytest.mark.pg(15, 18)
def test_partitions_that_bring_no_rows_need_no_load(databases, replicate):
    databases.source_admin.execute(create_parted("t") + ROWS.format(table="t", ids="1, 40"))
    replication = replicate("public.t")
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "create table public.t_it partition of public.t for values in ('it') partition by range (id);"
        "create table public.t_it_1 partition of public.t_it for values from (0) to (100);"
        "insert into public.t select g, 'it', now(), 'new' from generate_series(1, 40) g;"
        "begin; create table public.t_es (like public.t including all);"
        "alter table public.t attach partition public.t_es for values in ('es');"
        "insert into public.t select g, 'es', now(), 'new' from generate_series(1, 40) g; commit"
    )
    replication.catch_up()

    assert replication.metadata("select state, cardinality(partition_oids) from trempy.table_states") == [
        ("ready", 5)
    ]
    replication.assert_equal()


def test_table_that_keeps_what_is_deleted_keeps_the_rows_of_a_detached_partition(
    databases, replicate, task_name
):
    databases.source_admin.execute(create_parted("t") + ROWS.format(table="t", ids="1, 40"))
    replication = replicate("public.t")
    given = settings(task_name, ["public.t"])
    given["tables"][0]["operations"] = ["insert", "update"]
    replication.change_settings(given)
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "alter table public.t detach partition public.t_rest; insert into public.t values (99, 'de')"
    )
    replication.catch_up()

    assert replication.metadata("select state, cardinality(partition_oids) from trempy.table_states") == [
        ("ready", 2)
    ]
    assert databases.target.fetch_value("select count(*) from public.t") == 41

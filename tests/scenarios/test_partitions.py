"""Partitioned tables: every pairing of source and target, rows that move, partitions that come and go."""

from __future__ import annotations

import pytest

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
@pytest.mark.pg(15, 18, "16-18")
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

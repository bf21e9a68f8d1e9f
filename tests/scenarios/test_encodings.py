"""Source and target may have different encodings: what the target can hold arrives, the rest is named (G9, G11)."""

from __future__ import annotations

import pytest

from tests.support.replication import settings
from trempy_provider.errors import FullLoadError

LATIN = "é ß ÿ × \xa0 ¿ \xad tab\t back\\slash ' \" \x01"
TABLES = {"tablé": "default", "tâble": "full", "täble": 'using index "täble_k"'}
MOOD = "create type public.\"mööd\" as enum ('é', 'ÿ');"
TABLE = """
create table public."{table}" (
  id int primary key, "cølumn" text, k text not null, j jsonb, o json, x char(40), a text[], m public."mööd"
);
create unique index "{table}_k" on public."{table}" (k);
alter table public."{table}" replica identity {identity};
"""
ROWS = 'select id, "cølumn", k, j::text, o::text, x, a::text, m::text from public."{}" order by id'


def insert(databases, table: str, ids: str) -> None:
    databases.source_admin.execute(
        f"insert into public.\"{table}\" select g, %(t)s, 'k' || g || %(t)s, to_jsonb(%(t)s::text),"
        f" to_json(%(t)s::text), %(t)s, array[%(t)s, 'é', null], 'ÿ' from generate_series({ids}) g",
        {"t": LATIN},
    )


def load_and_change(databases, replicate) -> None:
    databases.source_admin.execute(
        MOOD + "".join(TABLE.format(table=table, identity=identity) for table, identity in TABLES.items())
    )
    for table in TABLES:
        insert(databases, table, "1, 40")
    replication = replicate(*(f'public."{table}"' for table in TABLES))
    replication.setup()
    replication.load()
    assert_equal(databases)

    for table in TABLES:
        insert(databases, table, "41, 80")
        databases.source_admin.execute(f"update public.\"{table}\" set k = k || 'ü' where id % 2 = 0")
    replication.catch_up()
    for table in TABLES:
        databases.source_admin.execute(f'update public."{table}" set "cølumn" = \'ñ\' where id = 1')
        databases.source_admin.execute(f'delete from public."{table}" where id = 2')
    replication.catch_up()

    assert_equal(databases)
    assert replication.errors() == []


def assert_equal(databases) -> None:
    """Compare values: the checksums are of bytes, which differ."""
    for table in TABLES:
        rows = ROWS.format(table)
        assert databases.target.fetch_all(rows) == databases.source.fetch_all(rows)


@pytest.mark.pg(15, "18-15")
@pytest.mark.encodings("LATIN1", "UTF8")
@pytest.mark.usefixtures("way")
def test_every_text_of_latin1_arrives_in_utf8(databases, replicate):
    load_and_change(databases, replicate)


@pytest.mark.pg(15, "18-15")
@pytest.mark.encodings("UTF8", "LATIN1")
@pytest.mark.usefixtures("way")
def test_text_of_utf8_that_latin1_has_arrives(databases, replicate):
    load_and_change(databases, replicate)


@pytest.mark.pg(15)
@pytest.mark.encodings("UTF8", "LATIN1")
@pytest.mark.usefixtures("way")
def test_text_that_latin1_lacks_is_an_error_of_its_row_alone(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, v text); create table public.k (v text primary key);"
        "create table public.bare (v text); alter table public.bare replica identity full"
    )
    replication = replicate("public.t", "public.k", "public.bare")
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "insert into public.t select g, case g % 7 when 0 then 'ö €' else 'ö' end from generate_series(1, 70) g;"
        "insert into public.k select case g % 7 when 0 then '€' else 'ö' end || g from generate_series(1, 70) g;"
        "insert into public.bare select case g % 7 when 0 then '€' else 'ö' end from generate_series(1, 70) g"
    )
    databases.source_admin.execute("update public.t set v = v || '1€' where id = 1")
    databases.source_admin.execute("update public.k set v = 'now an e' where v = '€7'")
    databases.source_admin.execute("update public.bare set v = 'e' where v = '€'")
    databases.source_admin.execute("update public.t set v = 'ö1' where id = 1")
    replication.catch_up()

    for table in ("t", "k", "bare"):
        held = f"select * from public.{table} where v ~ '^ö[0-9]*$' order by 1"
        assert databases.target.fetch_all(held) == databases.source.fetch_all(held)
        assert databases.target.fetch_value(f"select count(*) from public.{table}") == 60
    # Ten rows of each table, then the updates: of rows that the target could not take, and one to such a row.
    assert [error[2] for error in replication.errors()] == ["22P05"] * (30 + 1 + 1 + 10)
    ((message,),) = replication.metadata(
        "select message from trempy.apply_errors where target_table = 't' and operation = 'update'"
    )
    assert 'has no equivalent in encoding "LATIN1"' in message
    assert replication.metadata(
        "select key_values from trempy.apply_errors where target_table = 'k' limit 1"
    ) == [({"v": "\\u20ac7"},)]


@pytest.mark.pg(15)
@pytest.mark.encodings("UTF8", "LATIN1")
def test_load_of_text_that_latin1_lacks_stops_its_table_alone_or_leaves_out_its_row(databases, replicate):
    databases.source_admin.execute(
        "create table public.good (id int primary key, v text); create table public.bad (id int primary key, v text);"
        "insert into public.good values (1, 'ö'); insert into public.bad values (1, 'ö'), (2, '€')"
    )
    rows = "select v from public.{} order by id"
    replication = replicate("public.good", "public.bad", error_handling={"stop_if_insert_error": True})
    replication.setup()

    with pytest.raises(FullLoadError, match=r"public\.bad: .* has no equivalent in encoding"):
        replication.load()
    assert databases.target.fetch_all(rows.format("good")) == [("ö",)]
    assert databases.target.fetch_all(rows.format("bad")) == []

    replication.change_settings(settings(replication.task.task_name, ["public.good", "public.bad"]))
    replication.load()
    assert databases.target.fetch_all(rows.format("bad")) == [("ö",)]
    assert [error[2] for error in replication.errors()] == ["22P05"]

"""Every change finds exactly its row, whatever identifies it (G2, G7).

Collations that call different texts equal, and the types of extensions, need Debian's PostgreSQL: those tests
run on 15 alone.
"""

from __future__ import annotations

import pytest

MODES = pytest.mark.parametrize("mode", ["default", "upsert"])

# A table for each type: the column's type, and the key of the row numbered g.
KEYS = {
    "a_uuid": ("uuid", "md5(g::text)::uuid"),
    "a_time": ("timestamptz", "'2024-03-31 00:59:59.999999+00'::timestamptz + g * interval '1 us'"),
    "an_enum": ("public.colour", "('colour ''' || g)::public.colour"),
    "a_domain": ("public.code", "'Code ' || g"),
    "an_enum_domain": ("public.shade", "('colour ''' || g)::public.colour"),
    "a_number": ("numeric", "(g || '.0')::numeric"),
    "a_float": ("float8", "g / 7.0"),
    "a_padded": ("char(9)", "'k' || g"),
    "some_bytes": ("bytea", "decode(lpad(to_hex(g), 8, '0'), 'hex')"),
    "an_address": ("inet", "('10.0.0.' || g || '/24')::inet"),
    "an_interval": ("interval", "g * interval '24:00:00'"),
    "a_range": ("int4range", "int4range(g, g + 1)"),
    "an_array": ("text[]", "array['a', null, g::text]"),
    "a_composite": ("public.pair", "row(g, 'b')::public.pair"),
    "a_document": ("jsonb", "jsonb_build_object('k', g)"),
    "some_bits": ("bit varying", "g::bit(16)"),
}
EXTENSION_KEYS = {
    "insensitive": ('text collate public."Case-less"', "'Key ' || g"),
    "a_citext": ("public.citext", "'Key ' || g"),
    "a_citext_domain": ("public.mail", "'Key ' || g"),
    "an_ltree": ("public.ltree", "('top.k' || g)::public.ltree"),
    "an_hstore": ("public.hstore", "public.hstore('k', g::text)"),
    "a_cube": ("public.cube", "public.cube(g, g + 1)"),
}
TYPES = (
    "do $$ begin execute 'create type public.colour as enum (' ||"
    " (select string_agg(quote_literal('colour ''' || g), ', ') from generate_series(1, 130) g) || ')'; end $$;"
    "create domain public.code as text check (value <> '') not null;"
    "create domain public.shade as public.colour;"
    "create type public.pair as (a int, b text);"
)
EXTENSIONS = "".join(
    f"create extension {name} schema public;" for name in ("citext", "ltree", "hstore", "cube")
)
COLLATION = "create collation public.\"Case-less\" (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"


# Sets of many rows and of few, keys used again within a transaction, keys that change and are exchanged.
SCRIPT = """
begin;
insert into {table} select 'new', {key}, 0, g from generate_series(61, 120) g;
update {table} set n = n + 1;
commit;
update {table} set v = null where g = 1;
begin;
delete from {table} where g > 60;
insert into {table} select 'back', {key}, 0, g from generate_series(61, 120) g;
delete from {table} where g = 61;
insert into {table} select 'twice', {key}, 0, g from generate_series(61, 61) g;
commit;
begin;
update {table} set k = {key_of_130} where g = 2;
update {table} set k = {key_of_2} where g = 3;
update {table} set k = {key_of_3} where g = 2;
commit;
update {table} set v = 'exchanged' where g in (2, 3);
delete from {table} where g between 20 and 50;
delete from {table} where g = 51;
"""


def create(tables: dict[str, tuple[str, str]]) -> str:
    return "".join(
        f"create table public.{table} (v text, k {type_name} primary key, n int, g int);"
        f"insert into public.{table} select 'old', {key}, 0, g from generate_series(1, 60) g;"
        for table, (type_name, key) in tables.items()
    )


def change(tables: dict[str, tuple[str, str]]) -> str:
    def key_of(key: str, number: int) -> str:
        return f"(select {key} from (values ({number})) i (g))"

    return "".join(
        SCRIPT.format(
            table=f"public.{table}", key=key, **{f"key_of_{g}": key_of(key, g) for g in (2, 3, 130)}
        )
        for table, (_, key) in tables.items()
    )


@MODES
@pytest.mark.pg(15, "16-18", "18-15")
def test_keys_of_every_type_find_their_rows(databases, replicate, mode):
    databases.source_admin.execute(TYPES + create(KEYS))
    replication = replicate(*(f"public.{table}" for table in KEYS), task={"cdc_settings": {"mode": mode}})
    replication.setup()
    replication.load()

    databases.source_admin.execute(change(KEYS))
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []


@MODES
@pytest.mark.pg(15)
def test_keys_whose_type_has_its_own_equality_find_their_rows(databases, replicate, mode):
    for side in (databases.source_superuser, databases.target_superuser):
        side.execute(EXTENSIONS + COLLATION)
    databases.source_admin.execute("create domain public.mail as public.citext;" + create(EXTENSION_KEYS))
    tables = [f"public.{table}" for table in EXTENSION_KEYS]
    replication = replicate(*tables, task={"cdc_settings": {"mode": mode}})
    replication.setup()
    replication.load()

    databases.source_admin.execute(change(EXTENSION_KEYS))
    databases.source_admin.execute("update public.insensitive set k = upper(k) where g < 15")
    databases.source_admin.execute("update public.a_citext set k = upper(k::text) where g = 1")
    databases.source_admin.execute(
        "begin; delete from public.insensitive where g > 60;"
        "insert into public.insensitive select 'again', upper('Key ' || g), 0, g from generate_series(61, 120) g;"
        "update public.a_citext set k = upper(k::text); commit"
    )
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []


@pytest.mark.pg(15)
def test_upsert_leaves_the_key_as_the_source_has_it(databases, replicate):
    for side in (databases.source_superuser, databases.target_superuser):
        side.execute(COLLATION)
    databases.source_admin.execute(
        'create table public.t (k text collate public."Case-less" primary key, v int);'
        "create table public.n (k numeric primary key)"
    )
    replication = replicate("public.t", "public.n", task={"cdc_settings": {"mode": "upsert"}})
    replication.setup()
    replication.load()
    databases.target_admin.execute(
        "insert into public.t select 'KEY ' || g from generate_series(1, 60) g;"
        "insert into public.n select (g || '.00')::numeric from generate_series(1, 60) g"
    )

    databases.source_admin.execute(
        "insert into public.t select 'key ' || g, g from generate_series(1, 50) g;"
        "insert into public.n select g from generate_series(1, 50) g"
    )
    databases.source_admin.execute(
        "insert into public.t select 'Key ' || g, g from generate_series(51, 60) g;"
        "insert into public.n select g from generate_series(51, 60) g"
    )
    replication.catch_up()

    replication.assert_equal()


@MODES
@pytest.mark.parametrize("count", [3, 60])
@pytest.mark.pg(15, "16-18", "18-15")
def test_replica_identity_may_change_in_mid_stream(databases, replicate, mode, count):
    long = "repeat(md5(random()::text), 200)"
    databases.source_admin.execute(
        "create table public.t (a int, id int primary key, u text not null, w text not null, v text, large text,"
        "  constraint t_u unique (w, u));"
        "alter table public.t alter column large set storage external;"
        f"insert into public.t select g, g, 'u' || g, 'w', 'v', {long} from generate_series(1, {count}) g"
    )
    replication = replicate("public.t", task={"cdc_settings": {"mode": mode}})
    replication.setup()
    replication.load()

    for identity in ("using index t_u", "full", "default", "full", "using index t_u", "default"):
        databases.source_admin.execute(
            f"begin; update public.t set v = v || 'a' where id > 1; alter table public.t replica identity {identity};"
            "update public.t set v = v || 'b'; update public.t set id = -id; update public.t set u = u || '+';"
            "delete from public.t where a = 1;"
            f"insert into public.t values (1, 1, 'u', 'w', 'new', {long}); commit"
        )
        databases.source_admin.execute("update public.t set w = w || 'w', id = id + 1000, v = '' where a = 2")
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []

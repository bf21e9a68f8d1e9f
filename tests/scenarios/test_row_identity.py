"""Every change finds exactly its row, whatever identifies it (G2, G7).

Collations that call different texts equal, and the types of extensions, need Debian's PostgreSQL: those tests
run on 15 alone.
"""

from __future__ import annotations

import pytest

from tests.support.replication import Replication, settings
from trempy_provider.errors import PreflightError

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
@pytest.mark.pg(15, "16-18")
@pytest.mark.usefixtures("way")
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
@pytest.mark.usefixtures("way")
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
@pytest.mark.usefixtures("way")
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


LONG = "repeat(md5(random()::text), 200)"
SWITCH = f"""
begin;
update public.{{table}} set v = v || 'a' where id > 1;
alter table public.{{table}} replica identity {{identity}};
update public.{{table}} set v = v || 'b';
update public.{{table}} set id = -id;
update public.{{table}} set u = u || '+';
delete from public.{{table}} where a = 1;
insert into public.{{table}} values (1, 1, 'u', 'w', 'new', {LONG});
commit;
update public.{{table}} set w = w || 'w', id = id + 1000, v = '' where a = 2;
"""


@MODES
@pytest.mark.pg(15, "18-15")
@pytest.mark.usefixtures("way")
def test_replica_identity_may_change_in_mid_stream(databases, replicate, mode):
    databases.source_admin.execute(
        "".join(
            f"create table public.{table} (a int, id int primary key, u text not null, w text not null, v text,"
            f" large text, constraint {table}_u unique (w, u));"
            f"alter table public.{table} alter column large set storage external;"
            f"insert into public.{table} select g, g, 'u' || g, 'w', 'v', {LONG} from generate_series(1, {count}) g;"
            for table, count in (("few", 3), ("many", 60))
        )
    )
    replication = replicate("public.few", "public.many", task={"cdc_settings": {"mode": mode}})
    replication.setup()
    replication.load()

    for identity in ("using index {0}_u", "full", "default", "full", "using index {0}_u", "default"):
        for table in ("few", "many"):
            databases.source_admin.execute(SWITCH.format(table=table, identity=identity.format(table)))
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []


KEYLESS_COLUMNS = (
    "n numeric, d public.amount, f float8, j json, p point, x xml, c char(4), e public.colour, s public.shade,"
    " r public.pair, q public.pair[], z timestamptz, t text"
)
KEYLESS_ROWS = """
insert into public.{table} select 1.0, 1.50, 'NaN', '{{"a": 1}}', '(1,2)', '<a/>', 'ab', 'colour ''1', 'colour ''2',
  '(1,b)', '{{"(1,b)",NULL}}', 'infinity', null from generate_series(1, 6);
insert into public.{table} select 1.00, 1.5, '-0', '{{"a":1}}', '(1,2)', '<a></a>', 'ab', 'colour ''1', null,
  '(1,)', '{{}}', null, '' from generate_series(1, 6);
insert into public.{table} select from generate_series(1, 6);
"""
KEYLESS_CHANGES = """
begin;
update public.{table} set t = 'one of many' where (tableoid, ctid) =
  (select tableoid, ctid from public.{table} where n::text = '1.0' and t is null limit 1);
delete from public.{table} where (tableoid, ctid) =
  (select tableoid, ctid from public.{table} where n::text = '1.0' and t is null limit 1);
update public.{table} set t = 'none of these' where (tableoid, ctid) =
  (select tableoid, ctid from public.{table} where n::text = '1.00' limit 1);
delete from public.{table} where (tableoid, ctid) =
  (select tableoid, ctid from public.{table} where n is null limit 1);
update public.{table} set f = 0 where (tableoid, ctid) =
  (select tableoid, ctid from public.{table} where n is null limit 1);
commit;
insert into public.{table} select * from public.{table};
delete from public.{table} where t = '';
"""


@pytest.mark.pg(15)
@pytest.mark.usefixtures("way")
def test_change_of_one_of_equal_rows_touches_exactly_one(databases, replicate):
    """Run on Debian's PostgreSQL: it has xml."""
    databases.source_admin.execute(
        TYPES
        + "create domain public.amount as numeric(9, 2);"
        + f"create table public.flat ({KEYLESS_COLUMNS}); create table public.in_parts ({KEYLESS_COLUMNS});"
        + "alter table public.flat replica identity full; alter table public.in_parts replica identity full;"
        + KEYLESS_ROWS.format(table="flat")
        + KEYLESS_ROWS.format(table="in_parts")
    )
    databases.target_admin.execute(
        TYPES
        + "create domain public.amount as numeric(9, 2);"
        # A ctid is a place within one partition: each of these has its row (0,1).
        + f"create table public.in_parts ({KEYLESS_COLUMNS}) partition by list (t);"
        + "create table public.part_1 partition of public.in_parts for values in (null);"
        + "create table public.part_2 partition of public.in_parts for values in ('');"
        + "create table public.part_3 partition of public.in_parts default;"
    )
    replication = replicate("public.flat", "public.in_parts")
    replication.setup()
    replication.load()

    databases.source_admin.execute(KEYLESS_CHANGES.format(table="flat"))
    databases.source_admin.execute(KEYLESS_CHANGES.format(table="in_parts"))
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []


@pytest.mark.pg(15)
def test_equal_rows_of_types_without_a_built_in_equality_are_told_apart(databases, replicate):
    for side in (databases.source_superuser, databases.target_superuser):
        side.execute(EXTENSIONS)
    databases.source_admin.execute(
        "create table public.t (h public.hstore, c public.citext, l public.ltree, k public.cube);"
        "alter table public.t replica identity full;"
        "insert into public.t select 'a=>1', 'Same', 'a.b', '(1,2)' from generate_series(1, 3);"
        "insert into public.t select 'a=>1', 'same', 'a.b', '(1,2)' from generate_series(1, 3);"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()

    databases.source_admin.execute("delete from public.t where ctid = (select max(ctid) from public.t)")
    databases.source_admin.execute(
        "update public.t set h = h || 'b=>NULL' where ctid = (select min(ctid) from public.t)"
    )
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []


UNUSABLE = {
    "bare": "(id int not null unique, v int)",
    "nothing": "(id int primary key, v int)",
    "deferred": "(id int primary key deferrable, v int)",
    "parted": "(id int, v int) partition by range (id)",
}


def test_identity_that_would_make_the_source_fail_is_refused_before_anything_is_published(
    databases, replicate
):
    databases.source_admin.execute(
        "".join(f"create table public.{table} {definition};" for table, definition in UNUSABLE.items())
        + "create table public.part partition of public.parted default;"
        + "alter table public.nothing replica identity nothing;"
    )
    replication = replicate(*(f"public.{table}" for table in UNUSABLE))

    with pytest.raises(PreflightError) as caught:
        replication.setup()

    text = str(caught.value)
    for name in ("bare", "nothing", "deferred", "part"):
        assert f"source table public.{name}" in text
    assert text.count("UPDATE and DELETE on it would fail once published") == len(UNUSABLE)
    for choice in (
        "alter table public.bare add primary key",
        "alter table public.bare replica identity using index bare_id_key;",
        "alter table public.bare replica identity full;",
        '"operations": ["insert"]',
        "alter table public.nothing replica identity default;",
        "alter table public.part replica identity full;",
    ):
        assert choice in text, choice
    assert databases.source.fetch_all("select pubname from pg_publication") == []
    databases.source_admin.execute(
        "insert into public.bare values (1, 1); update public.bare set v = 2; delete from public.bare"
    )


@pytest.mark.pg(15, 18)
def test_choices_offered_for_a_table_without_identity_work(databases, replicate, make_task_name):
    databases.source_admin.execute(
        "".join(f"create table public.{table} (id int not null unique, v int);" for table in ("a", "b", "c"))
        + "create table public.nothing (id int primary key, v int);"
        + "alter table public.a add primary key (id);"
        + "alter table public.b replica identity using index b_id_key;"
        + "alter table public.c replica identity full;"
        + "alter table public.nothing replica identity nothing;"
    )
    replication = replicate("public.a", "public.b", "public.c")
    replication.setup()
    replication.load()
    insert_only = settings(make_task_name(), ["public.nothing"])
    insert_only["tables"][0]["operations"] = ["insert"]
    inserts = Replication(insert_only, databases=databases, rabbitmq_uri=replication.rabbitmq_uri)
    inserts.setup()
    inserts.load()

    for table in ("a", "b", "c", "nothing"):
        databases.source_admin.execute(
            f"insert into public.{table} select g, g from generate_series(1, 30) g"
        )
        databases.source_admin.execute(f"update public.{table} set v = -v where id > 15")
        databases.source_admin.execute(f"delete from public.{table} where id < 9")
    replication.catch_up()
    inserts.catch_up()

    replication.assert_equal()
    assert databases.target.fetch_all("select count(*), min(v) from public.nothing") == [(30, 1)]
    assert replication.errors() + inserts.errors() == []
    inserts.teardown()

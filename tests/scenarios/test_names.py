"""Names are only names, whatever they consist of."""

from __future__ import annotations

import pytest

ODD_NAMES = (
    "plain",
    "Plain",
    "PLAIN",
    "plain ",
    " ",
    "a.b",
    '"a"."b"',
    'quo"te',
    "apo'strophe",
    "back\\slash",
    "per%cent %s %(x)s %%",
    "{brace} {0} {}",
    "semi;colon -- /* */",
    "dollar $1 $$",
    "new\nline\ttab",
    "select",
    "user",
    "table",
    "таблица",
    "表😀",
    "e\u0301",
    "\u202eright to left",
    "n" * 63,
    "N" * 63,
    "ü" * 31,
    "s",
    "t",
    "r",
)
SCHEMAS = ("public", "Sch.ema %s", 'a"b', "order", "ß" * 31)


def quoted(*parts: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


NAMES = [quoted(name) for name in ODD_NAMES]
TABLES = [quoted(SCHEMAS[i % len(SCHEMAS)], name) for i, name in enumerate(ODD_NAMES)]
COLUMNS = ", ".join(f"{name} text" for name in NAMES)
ROWS = ", ".join("'%s {} '' \\' || g" for _ in NAMES)


def create(number: int, table: str) -> str:
    identity = ("default", "full", "using index " + quoted(f"key {ODD_NAMES[number]}"[:40]))[number % 3]
    constraint = quoted(f"key {ODD_NAMES[number]}"[:40])
    return (
        f'create table {table} ("Id" int generated always as identity, {COLUMNS}, "iD" serial,'
        f' "k.K" text not null default \'\', primary key ("iD", "Id"));'
        f'alter table {table} add constraint {constraint} unique ("Id", "k.K");'
        f"alter table {table} replica identity {identity};" + insert(table, "1, 3")
    )


def insert(table: str, ids: str) -> str:
    return f"insert into {table} ({', '.join(NAMES)}) select {ROWS} from generate_series({ids}) g;"


@pytest.mark.pg("18-15")
@pytest.mark.usefixtures("way")
def test_hostile_names_are_only_names(databases, replicate):
    databases.source_admin.execute("".join(f"create schema {quoted(name)};" for name in SCHEMAS[1:]))
    databases.source_admin.execute("".join(create(number, table) for number, table in enumerate(TABLES)))
    replication = replicate(*TABLES)
    replication.setup()
    replication.load()

    for number, table in enumerate(TABLES):
        name = NAMES[number]
        databases.source_admin.execute(
            ("" if number % 4 else f"truncate {table} restart identity;")
            + insert(table, "4, 40")
            + f'update {table} set {name} = null, "k.K" = \'new\' where "Id" % 2 = 0;'
            + f'delete from {table} where "iD" = 9'
        )
        databases.source_admin.execute(
            f'update {table} set {name} = \'one\', "iD" = -1, "k.K" = \'\' where "iD" = 10'
        )
        databases.source_admin.execute(f'delete from {table} where "iD" = 11')
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []
    replication.load(tables=TABLES[:7], reload=True)
    replication.assert_equal()


@pytest.mark.pg(15)
def test_pattern_finds_tables_of_every_name(databases, replicate):
    databases.source_admin.execute(
        "".join(f"create table {quoted('public', name)} (id int primary key);" for name in ODD_NAMES)
    )
    replication = replicate("public.*")
    report = replication.setup()
    replication.load()

    for name in ODD_NAMES:
        databases.source_admin.execute(f"insert into {quoted('public', name)} values (1)")
    replication.catch_up()

    assert len(report.tables) == len(ODD_NAMES)
    replication.assert_equal()

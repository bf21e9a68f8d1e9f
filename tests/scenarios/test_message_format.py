"""Batches may travel as JSON: with the same effect, described by a schema, and told apart by themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.databases import connect
from tests.support.dead_letters import letters, make_tables, mend, options, refuse, replay
from tests.support.message_schema import assert_matches_schema
from tests.support.replication import settings
from trempy_provider.jobs.dead_letters import show_dead_letter
from trempy_provider.replication import wire

TABLES = ("public.keyed", "public.keyless", 'odd."t ""name"" <é>"')
CREATE = """
create schema odd;
create table public.keyed (id int primary key, v text, long text, n numeric);
alter table public.keyed alter long set storage external;
create table public.keyless (v text, b bytea); alter table public.keyless replica identity full;
create table odd."t ""name"" <é>" ("k ""1""
" text, "k2" int, "{}" jsonb, primary key ("k ""1""
", "k2"));
insert into public.keyed select g, 'before', repeat(md5(g::text), 100), g from generate_series(1, 300) g;
"""
CHANGES = r"""
insert into public.keyed (id, v, long)
 select {base} + g, E'\x01\t\n"\\ 😀 <script>', repeat('x', 5000) from generate_series(1, 100) g;
update public.keyed set v = v || ' long is not sent' where id <= 100;
update public.keyed set id = id + 500000 + {base} where id between {base} + 50 and {base} + 60;
update public.keyed set long = null, v = '' where id = {base} + 1;
delete from public.keyed where id between {base} + 20 and {base} + 30;
insert into public.keyless select 'twice', '\x00ff' from generate_series(1, 60) g;
insert into public.keyless values (null, null), ('', '');
delete from public.keyless where ctid in (select ctid from public.keyless limit 3);
insert into odd."t ""name"" <é>"
 select E'quote \' " \\ ' || g, {base} + g, '{"a": "\u2028"}' from generate_series(1, 60) g;
update odd."t ""name"" <é>" set "k2" = -{base} where "k2" = {base} + 5;
"""
MANY = """
begin;
insert into public.keyed select g, 'streamed', null, 1 from generate_series(20000, 22999) g;
savepoint a; update public.keyed set v = 'undone' where id >= 20000; rollback to a;
savepoint b; delete from public.keyed where id >= 22000; release b;
commit;
"""


def followed(databases, replicate, **cdc: Any):
    """Return a loaded task of a source that streams transactions early."""
    databases.source_superuser.execute(
        f'alter database "{databases.source.name}" set logical_decoding_work_mem = 64'
    )
    databases.source_admin.execute(CREATE)
    replication = replicate(*TABLES, task={"cdc_settings": cdc})
    replication.setup()
    replication.load()
    return replication


def use_format(replication, message_format: str) -> None:
    given = {"cdc_settings": {"message_format": message_format, "batch_max_rows": 200}}
    replication.change_settings(settings(replication.task.task_name, list(TABLES), task=given))


def change(databases, base: int) -> None:
    """Change rows, each statement a transaction of its own; the keys of new ones follow `base`."""
    for statement in CHANGES.replace("{base}", str(base)).strip().removesuffix(";").split(";\n"):
        databases.source_admin.execute(statement)


@pytest.mark.pg(15, "18-15")
@pytest.mark.usefixtures("way")
def test_json_messages_have_the_effect_of_binary_ones_and_match_their_schema(databases, replicate, arrived):
    replication = followed(
        databases, replicate, message_format="json", batch_max_rows=200, schema_evolution="apply"
    )

    change(databases, 1000)
    databases.source_admin.execute(MANY)
    databases.source_admin.execute("alter table public.keyed drop column n; truncate public.keyless")
    change(databases, 2000)
    replication.catch_up()

    replication.assert_equal()
    assert replication.errors() == []
    messages = [json.loads(body) for body in arrived]
    for body in arrived:
        assert_matches_schema(body)
    ends = {message["chunk"] and message["chunk"]["end"] for message in messages}
    assert ends >= {None, "open", "commit"}
    kinds = {inner["type"] for message in messages for inner in message["messages"]}
    assert kinds == {"begin", "commit", "relation", "facts", "insert", "update", "delete", "truncate"}


@pytest.mark.usefixtures("way")
def test_format_may_change_while_messages_of_the_other_are_queued(databases, replicate, arrived):
    replication = followed(databases, replicate, batch_max_rows=200)
    with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute(
            "insert into public.keyed select g, 'in progress', repeat('y', 50), 0"
            " from generate_series(30000, 33999) g"
        )
        for number, message_format in enumerate(("binary", "json", "binary"), start=1):
            use_format(replication, message_format)
            change(databases, 1000 * number)
            replication.capture()
        cursor.execute("commit")
    use_format(replication, "json")
    replication.capture()

    replication.apply()

    replication.assert_equal()
    assert replication.errors() == []
    assert [wire.is_json(body) for body in arrived].count(True) > 2
    assert [wire.is_json(body) for body in arrived].count(False) > 2
    assert replication.metadata("select count(*) from trempy.held_chunks where task_name = {task}") == [(0,)]


@pytest.mark.parametrize("batch_max_rows", [1000, 2], ids=["whole", "in chunks"])
@pytest.mark.parametrize("message_format", ["binary", "json"])
def test_dead_letter_of_either_format_is_shown_readably_and_replayed(
    databases, replicate, message_format, batch_max_rows
):
    make_tables(databases)
    given = options(message_format=message_format, batch_max_rows=batch_max_rows)
    replication = replicate("public.t", "public.u", **given)
    replication.setup()
    replication.load()
    refuse(databases)
    databases.source_admin.execute("insert into public.t values (10, 1, 'good')")
    databases.source_admin.execute(
        "insert into public.t values (11, 13, E'é \"quoted\"\\n'), (12, 1, null), (13, 1, '')"
    )
    databases.source_admin.execute("update public.u set v = 1")
    replication.catch_up()

    (letter,) = letters(replication)
    shown = show_dead_letter(
        replication.task,
        target=replication.target,
        broker=replication.broker,
        message_id=letter.message_id,
        limit=10,
    )
    assert wire.is_json(letter.body) == (message_format == "json")
    assert letter.headers["message_format"] == message_format
    assert shown.problem is None
    assert [(change.operation.value, change.new) for change in shown.changes] == [
        ("insert", {"id": "11", "v": "13", "w": 'é "quoted"\n'}),
        ("insert", {"id": "12", "v": "1", "w": None}),
        ("insert", {"id": "13", "v": "1", "w": ""}),
    ]
    if message_format == "json":
        assert_matches_schema(letter.body)

    mend(databases)
    replay(replication)

    replication.assert_equal()
    assert letters(replication) == []

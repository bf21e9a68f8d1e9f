"""A masked value leaves the source only masked: not in messages, dead letters, errors, tables or logs (G9)."""

from __future__ import annotations

import hashlib

import pytest

from tests.scenarios.test_transformations import assert_reload_gives_the_same, dump, types_of
from tests.support.replication import Replication
from tests.support.settings_entries import (
    change_value,
    create_column,
    filter_entry,
    transformation_entry,
)
from tests.support.wait import wait_until
from trempy_provider.errors import ConfigurationError, PreflightError
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint
from trempy_provider.replication import wire

SALT = "pepper é"
SECRET = "s3cr3t"
MODES = pytest.mark.parametrize(
    "mode", ["default", pytest.param("upsert", marks=pytest.mark.pg("15-18")), "scd2"]
)
TABLES = f"""
create type pair as (a int, b text);
create table people (id int primary key, email text, born date, card char(20), ok boolean, pair pair, large text, note text);
alter table people alter large set storage external;
insert into people select g, '{SECRET}' || g || '@x.org', date '2000-01-01' + g, '{SECRET}' || g, g % 2 = 0,
    case when g % 3 = 0 then row(null, null)::pair when g % 3 = 1 then row(g, '{SECRET}')::pair end,
    repeat('{SECRET}', 2000) || g, 'n' from generate_series(1, 90) g;
update people set email = null where id % 7 = 0;
create table mails (mail text primary key, v int);
insert into mails select '{SECRET}' || g, g from generate_series(1, 90) g;
create table loose (who text, v int); alter table loose replica identity full;
insert into loose select '{SECRET}' || g % 5, g % 3 from generate_series(1, 20) g;
"""
ENTRIES = [
    change_value("public.people", "uppercase", "email"),
    transformation_entry(
        "public.people", "modify_column_name", priority=0, column_name="email", target_column_name="mail"
    ),
    change_value("public.people", "uppercase", "mail"),
    {
        **change_value("public.people", "hash", "mail"),
        "settings": {**change_value("public.people", "hash", "mail")["settings"], "priority": 4},
    },
    change_value("public.people", "hash", "born"),
    change_value("public.people", "redact", "card"),
    change_value("public.people", "hash", "ok"),
    change_value("public.people", "hash", "pair"),
    change_value("public.people", "hash", "large"),
    create_column("public.people", "concat", "joined", depends_on=["mail", "card", "note"], separator="/"),
    change_value("public.mails", "hash", "mail"),
    change_value("public.loose", "hash", "who"),
]
ENTRIES = ENTRIES[1:]
FEW = f"""
update people set note = 'x' where id < 4;
update people set email = '{SECRET}!', card = null, born = '1999-09-09' where id = 5;
update people set id = 1000 where id = 6;
delete from people where id = 7;
update mails set v = 0 where v = 1; update mails set mail = '{SECRET} moved' where v = 2; delete from mails where v = 3;
update loose set v = 9 where ctid = (select min(ctid) from loose); delete from loose where ctid = (select max(ctid) from loose);
"""
MANY = f"""
begin; update people set note = 'y', email = email || '!'; delete from people where id % 9 = 0;
insert into people (id, email, card) select g, '{SECRET}' || g, 'c' from generate_series(2000, 2099) g;
update mails set v = v + 100; delete from mails where v % 7 = 0;
insert into loose select '{SECRET}', g from generate_series(1, 60) g; commit;
"""
HASH = f"encode(sha256(convert_to('{SALT}' || format('%s', {{0}}), 'UTF8')), 'hex')"


def masked(column):
    return f"case when num_nulls({column}) = 0 then {HASH.format(column)} end"


EXPECTED = {
    "people": (
        "id, upper({email}) as mail, {born} as born, case when num_nulls(card) = 0 then '***' end as card, {ok} as ok,"
        " {pair} as pair, {large} as large, note,"
        " concat_ws('/', upper({email}), case when num_nulls(card) = 0 then '***' end, note) as joined"
    ).format(**{name: masked(name) for name in ("email", "born", "ok", "pair", "large")}),
    "mails": f"{masked('mail')} as mail, v",
    "loose": f"{masked('who')} as who, v",
}
PRESENT = {
    "people": "id, mail, born, card, ok, pair, large, note, joined",
    "mails": "mail, v",
    "loose": "who, v",
}


@pytest.fixture
def masking(databases, replicate):
    """Return a function that makes a task whose salt is SALT."""

    def make(*tables, salt=SALT, **options) -> Replication:
        replication = replicate(*tables, **options)
        replication.source = Endpoint(
            lambda: ConnectionParameters.from_uri(databases.source_uri),
            task_name=replication.task.task_name,
            role="source",
            read_salt=lambda conn_id: salt if conn_id == "trempy_salt" else None,
        )
        return replication

    return make


def wrong_tables(databases, current, tables):
    return [
        table
        for table in tables
        if dump(databases.source_admin, f"(select {EXPECTED[table]} from {table})")
        != dump(databases.target_admin, f"(select {PRESENT[table]} from {table}{current})")
    ]


@MODES
def test_masks_are_the_same_by_load_and_by_changes_and_stand_before_all_else(databases, masking, mode):
    tables = ["people", "mails", *([] if mode == "scd2" else ["loose"])]
    databases.source_admin.execute(TABLES)
    replication = masking(
        *(f"public.{table}" for table in tables),
        task={"cdc_settings": {"mode": mode}},
        transformations=[entry for entry in ENTRIES if entry["table_info"]["table_name"] in tables],
    )
    current = " where scd_current = 1" if mode == "scd2" else ""
    replication.setup()
    replication.load()
    after_load = wrong_tables(databases, current, tables)

    databases.source_admin.execute(FEW)
    replication.catch_up()
    after_few = wrong_tables(databases, current, tables)
    databases.allow_replica_role()  # the many are written as arrays, the few were in the source's order
    databases.source_admin.execute(MANY)
    replication.catch_up()

    assert (after_load, after_few, wrong_tables(databases, current, tables)) == ([], [], [])
    assert replication.errors() == []
    first = hashlib.sha256(f"{SALT}2000-01-02".encode()).hexdigest()
    assert databases.target_admin.fetch_value(f"select born from people where id = 1 and born = '{first}'")
    assert types_of(databases.target_admin, "people")["ok"] == "text"
    if mode != "scd2":
        assert_reload_gives_the_same(databases, replication, *tables)


def test_no_message_dead_letter_error_or_log_holds_a_masked_value(databases, masking, caplog):
    databases.source_admin.execute(TABLES)
    replication = masking(
        "public.people",
        "public.loose",
        transformations=[e for e in ENTRIES if e["table_info"]["table_name"] != "mails"],
    )
    replication.setup()
    replication.load()
    databases.target_admin.execute(
        "alter table people add check (id <> 8) not valid; delete from people where id = 4"
    )

    with caplog.at_level("DEBUG"):
        databases.source_admin.execute(
            f"update people set card = '{SECRET}', large = large || '!' where id in (4, 8, 9);"
            f"update people set email = '{SECRET}' where id = 20;"
            "update loose set v = 5; delete from people where id = 10"
        )
        replication.capture()
        letters = replication.broker.open_consumer(prefetch_count=10)
        bodies = []
        wait_until(lambda: bodies.append(letters.get(timeout_seconds=1)) or bodies[-1] is not None)
        letters.close()
        replication.apply()

    assert bodies[-1].body.count(hashlib.sha256(f"{SALT}{SECRET}".encode()).hexdigest().encode()) > 0
    assert SECRET.encode() not in bodies[-1].body
    assert wire.decode(bodies[-1].body).change_count > 0
    assert {operation for _, operation, _ in replication.errors()} == {"update"}
    kept = databases.target_superuser.fetch_value(
        "select query_to_xml('select * from trempy.' || quote_ident(relname), true, false, '')::text"
        " from pg_class where relnamespace = 'trempy'::regnamespace and relname = 'apply_errors'"
    )
    assert "people" in kept
    assert SECRET not in kept + caplog.text
    assert SALT not in kept + caplog.text


def test_a_masked_column_that_gets_another_name_stops_capture(databases, masking):
    databases.source_admin.execute(TABLES)
    replication = masking("public.mails", transformations=[change_value("public.mails", "hash", "mail")])
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        f"alter table mails rename mail to address; insert into mails values ('{SECRET} new', 1)"
    )

    with pytest.raises(ConfigurationError, match="'mail', which is masked, is not there any more"):
        replication.capture()


def test_a_masked_table_that_gets_another_name_stays_masked(databases, masking):
    databases.source_admin.execute(TABLES)
    replication = masking(
        "public.mails",
        task={"cdc_settings": {"schema_evolution": "ignore"}},
        transformations=[change_value("public.mails", "hash", "mail")],
    )
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        f"alter table mails rename to letters; insert into letters values ('{SECRET} new', 1)"
    )
    replication.catch_up()

    assert databases.target_admin.fetch_value("select count(*) from mails") == 91
    assert databases.target_admin.fetch_value("select count(*) from mails where length(mail) = 64") == 91


def test_a_column_added_under_a_mask_is_masked_in_the_rows_that_are_there_too(databases, masking):
    databases.source_admin.execute(TABLES)
    replication = masking(
        "public.mails",
        task={"cdc_settings": {"schema_evolution": "apply"}},
        transformations=[change_value("public.*", "hash", "phone")],
    )
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        f"alter table mails add phone int default 555; update mails set v = 0 where v < 3; insert into mails values ('{SECRET}', 1)"
    )
    replication.catch_up()

    phone = hashlib.sha256(f"{SALT}555".encode()).hexdigest()
    assert databases.target_admin.fetch_all("select phone, count(*) from mails group by 1") == [(phone, 91)]


@pytest.mark.parametrize(
    ("entries", "filters", "salt", "words"),
    [
        ([change_value("public.mails", "redact", "mail")], [], SALT, "key column mail is masked by redact"),
        ([change_value("public.people", "hash", "email")], [], None, "'trempy_salt' has no password"),
        (
            [change_value("public.people", "redact", "email")],
            [filter_entry("public.people", "is_null", "email")],
            SALT,
            '"email" is masked, and changes are masked before filters',
        ),
        (
            [
                create_column("public.people", "literal", "x", value_type="text", value="y"),
                change_value("public.people", "redact", "x"),
            ],
            [],
            SALT,
            "only columns of the source are masked",
        ),
    ],
)
def test_masks_that_could_not_hold_are_refused(databases, masking, entries, filters, salt, words):
    databases.source_admin.execute(TABLES)
    replication = masking(
        "public.people", "public.mails", transformations=entries, filters=filters, salt=salt
    )

    with pytest.raises(PreflightError, match=words):
        replication.setup()

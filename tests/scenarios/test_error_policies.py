"""Each row that cannot be written meets its policy, is recorded for a person, and counted (G11)."""

from __future__ import annotations

import json
import logging
import traceback

import pytest

from tests.support.databases import connect
from tests.support.replication import Background, settings
from tests.support.wait import wait_until
from trempy_provider.errors import (
    ApplyError,
    ErrorLimitError,
    FullLoadError,
    TargetPermissionError,
    TargetSchemaError,
)
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.loading import table_load
from trempy_provider.jobs.status import status
from trempy_provider.postgres import session

SOURCE = """
create table public.t (id int primary key, n int, v text, w text);
create table public.child (id int primary key, t_id int);
create table public.log (n int, v text); alter table public.log replica identity full;
insert into public.t select g, 0, 'v' || g, 'w' from generate_series(1, 9) g;
insert into public.child values (1, 9);
insert into public.log values (1, 'a'), (2, 'b');
"""
# Narrower than the source, so that rows can fail in every way.
TARGET = """
create table public.t (id int primary key, n smallint not null, v varchar(8) unique, w text check (w <> 'bad'));
create table public.child (id int primary key, t_id int references public.t);
create table public.log (n smallint, v text);
"""
KEYED, KEYLESS = ("public.t", "public.child"), "public.log"
SECRET = "confidential"


@pytest.fixture
def start(databases, replicate):
    """Return a function that sets a task up and loads it."""

    def start(*tables, load=True, **options):
        databases.source_admin.execute(SOURCE)
        databases.target_admin.execute(TARGET)
        replication = replicate(*(tables or KEYED), **options)
        replication.setup()
        if load:
            replication.load()
        return replication

    return start


def mode(name: str, **options):
    return {"cdc_settings": {"mode": name, **options}}


def recorded(replication, columns: str):
    return replication.metadata(
        f"select {columns} from (select * from trempy.apply_errors order by error_id) e"
    )


FAILING = """
    insert into public.t values (10, 0, 'v10', 'w');
    insert into public.t values (11, 99999, 'v11', 'w');
    insert into public.t values (12, 0, 'longer than 8', 'w');
    insert into public.t values (13, 0, 'v1', 'w');
    insert into public.t values (14, null, 'v14', 'w');
    insert into public.t values (15, 0, 'v15', 'bad');
    update public.t set n = 1 where id = 2;
    delete from public.t where id = 3;
    update public.t set n = 99999 where id = 4;
"""
FAILING_KEYLESS = """
    insert into public.log values (99999, 'c'), (3, 'c');
    update public.log set n = 99999 where n = 2;
    delete from public.log where n = 1;
"""
# 10 exists on the target; 2 and 3, and (1, a) of the table without a key, do not.
OF_BOTH_MODES = {
    ("t", "insert", "11", "22003"),
    ("t", "insert", "12", "22001"),
    ("t", "insert", "13", "23505"),
    ("t", "insert", "14", "23502"),
    ("t", "insert", "15", "23514"),
    ("t", "update", "4", "22003"),
}
OF_DEFAULT = {
    ("t", "insert", "10", "23505"),
    ("t", "update", "2", "02000"),
    ("t", "delete", "3", "02000"),
    ("log", "insert", None, "22003"),
    ("log", "update", None, "22003"),
    ("log", "delete", None, "02000"),
}


@pytest.mark.parametrize(
    ("mode_name", "extra_rows"), [("default", 0), ("default", 300), ("upsert", 0), ("upsert", 300)]
)
def test_each_failing_row_is_recorded_and_every_other_row_applied(databases, start, mode_name, extra_rows):
    is_default = mode_name == "default"
    replication = start(*KEYED, *([KEYLESS] if is_default else []), task=mode(mode_name))
    databases.target_admin.execute(
        "insert into public.t values (10, 7, 'other', 'w'); delete from public.t where id in (2, 3);"
        "delete from public.log where n = 1"
    )
    # Of many rows the statements are set-based; some fail on the way into the staging table, some after.
    last = 99 + extra_rows
    databases.source_admin.execute(
        f"begin; insert into public.t select g, 0, 'v' || g, 'w' from generate_series(100, {last}) g;"
        f"insert into public.log select g, 'x' from generate_series(100, {last}) g;"
        f"{FAILING} {FAILING_KEYLESS} commit"
    )

    replication.catch_up()

    errors = recorded(replication, "target_table, operation, key_values->>'id', sqlstate")
    expected = OF_BOTH_MODES | OF_DEFAULT if is_default else OF_BOTH_MODES
    assert len(errors) == len(expected)
    assert set(errors) == expected
    added = databases.target.fetch_value("select count(*) from public.t where id between 100 and 1000")
    assert added == extra_rows
    kept = databases.target.fetch_all("select id, n, v from public.t where id in (2, 3, 10) order by id")
    assert kept == ([(10, 7, "other")] if is_default else [(2, 1, "v2"), (10, 0, "v10")])
    if is_default:
        keyless = databases.target.fetch_all("select n, v from public.log order by n")
        assert keyless == [(2, "b"), (3, "c"), *((n, "x") for n in range(100, last + 1))]
    counted = dict(replication.metadata("select target_table, error_count from trempy.table_states"))
    assert counted == ({"child": 0, "t": 9, "log": 3} if is_default else {"child": 0, "t": 6})


def test_record_tells_all_and_the_log_no_values(databases, start, caplog):
    caplog.set_level(logging.DEBUG, logger="trempy_provider")
    replication = start()
    databases.target_admin.execute(
        "alter table public.t drop constraint t_v_key, alter column v type int using 0"
    )
    databases.source_admin.execute(f"insert into public.t values (10, 0, '{SECRET}', 'w')")
    databases.source_admin.execute("update public.t set w = 'bad', n = 5 where id = 1")
    databases.source_admin.execute("delete from public.t where id = 9")

    replication.catch_up()

    first, second, third = recorded(
        replication,
        "task_name, target_schema || '.' || target_table, operation, key_values, sqlstate, message, statement,"
        " transaction_id, commit_lsn::text, change_index, occurred_at",
    )
    assert first[:7] == (
        replication.task.task_name,
        "public.t",
        "insert",
        {"id": "10"},
        "22P02",
        f'invalid input syntax for type integer: "{SECRET}"',
        'insert into "public"."t" ("id", "n", "v", "w") values ($1, $2, $3, $4)',
    )
    assert second[2:5] == ("update", {"id": "1"}, "22P02")
    assert second[6].startswith(
        'update only "public"."t" t set "id" = $1, "n" = $2, "v" = $3, "w" = $4 where '
    )
    assert third[2:3] + third[4:5] == ("delete", "23503")
    assert third[6].startswith('delete from only "public"."t" t where t."id" = $1')
    for _, _, _, _, _, _, statement, xid, lsn, index, occurred_at in (first, second, third):
        assert databases.target.fetch_value(f"select '{lsn}'::pg_lsn > '0/0'")
        assert xid > 0
        assert index == 0
        assert occurred_at.tzinfo is not None
        assert SECRET not in statement
    told = status(replication.task, source=None, target=replication.target)
    (table,) = [table for table in told.tables if table.source.table_name == "t"]
    assert table.error_count == 3
    assert "foreign key" in table.apply_error
    assert SECRET not in json.dumps(told.as_dict()) + caplog.text


def test_each_operation_stops_at_its_own_setting_and_nothing_else_does(databases, start, replicate):
    replication = start()
    name = replication.task.task_name
    cases = [
        ("default", "insert", "stop_if_insert_error", "insert into public.t values (20, 99999, 'v20', 'w')"),
        ("default", "update", "stop_if_update_error", "update public.t set n = 99999 where id = 5"),
        ("default", "delete", "stop_if_delete_error", "delete from public.t where id = 9"),
        ("upsert", "insert", "stop_if_upsert_error", "insert into public.t values (21, 99999, 'v21', 'w')"),
        ("upsert", "update", "stop_if_upsert_error", "update public.t set n = 99999 where id = 6"),
        ("upsert", "delete", "stop_if_delete_error", "delete from public.child; delete from public.t where id = 8"),
    ]  # fmt: skip
    databases.target_admin.execute("insert into public.child values (2, 8)")
    options = {
        "stop_if_insert_error", "stop_if_update_error", "stop_if_delete_error", "stop_if_upsert_error",
        "stop_if_scd2_error",
    }  # fmt: skip
    for number, (mode_name, operation, option, query) in enumerate(cases):
        replication.change_settings(
            settings(name, list(KEYED), task=mode(mode_name), error_handling={option: True})
        )
        databases.source_admin.execute(query)
        replication.capture()

        with pytest.raises(ApplyError, match=rf"{operation} on public\.t failed") as raised:
            replication.apply()

        assert recorded(replication, "count(*)") == [(number,)]
        lsn = str(raised.value).split("commit LSN ")[1].split(")")[0]
        assert f"--lsn {lsn}" in raised.value.hint
        assert option in raised.value.hint
        others = dict.fromkeys(options - {option}, True)
        replication.change_settings(settings(name, list(KEYED), task=mode(mode_name), error_handling=others))
        replication.catch_up()
        assert recorded(replication, "count(*), max(commit_lsn)::text") == [(number + 1, lsn)]


def text_of(error: BaseException) -> str:
    """Return what a log shows of an error: its traceback with all causes."""
    return "".join(traceback.format_exception(error))


def test_stopping_error_shows_no_values_in_its_traceback(databases, start):
    databases.allow_replica_role()
    replication = start(error_handling={"stop_if_insert_error": True})
    databases.target_admin.execute(
        "create function public.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'refused: %', new.v using errcode = 'UE001'; end $$;"
        "create trigger refuse before insert on public.t for each row when (new.id = 30)"
        " execute function public.refuse(); alter table public.t enable always trigger refuse"
    )
    found = []
    for number, query in enumerate(
        (
            f"insert into public.t values (30, 0, '{SECRET[:8]}', 'w')",
            f"insert into public.t values (31, 0, '{SECRET}', 'w')",
            f"insert into public.t values (32, 0, 'v1', '{SECRET}')",
        )
    ):
        databases.source_admin.execute(query)
        replication.capture()
        with pytest.raises(ApplyError) as raised:
            replication.apply()
        found.append(text_of(raised.value) + raised.value.hint)
        databases.source_admin.execute(f"delete from public.t where id = {30 + number}")
        replication.change_settings(settings(replication.task.task_name, list(KEYED)))
        replication.catch_up()
        replication.change_settings(
            settings(replication.task.task_name, list(KEYED), error_handling={"stop_if_insert_error": True})
        )

    assert [SECRET[:8] in text for text in found] == [False] * 3
    assert ["UE001" in found[0], "22001" in found[1], "23505" in found[2]] == [True] * 3
    assert recorded(replication, "message")[0] == (f"refused: {SECRET[:8]}",)


@pytest.fixture
def changing_while_loading(databases, monkeypatch):
    """Let rows be changed, and the changes held, when all rows of public.t are copied; some will fail."""

    def install(replication):
        def change_then_place(context, collected, **options):
            if collected.state.source.table_name == "t":
                databases.source_admin.execute(
                    "begin; insert into public.t values (40, 99999, 'v40', 'w'), (42, 0, 'v42', 'w');"
                    "insert into public.t values (41, 0, 'v41', 'bad'); update public.t set v = 'v1' where id = 2;"
                    "commit"
                )
                replication.catch_up()
            return place_rows(context, collected, **options)

        place_rows = table_load.place_rows
        monkeypatch.setattr(table_load, "place_rows", change_then_place)

    return install


MEND = "delete from public.t where id >= 40; update public.t set v = 'v2' where id = 2"


def test_changes_replayed_at_the_end_of_a_load_meet_the_same_policies(
    databases, start, changing_while_loading
):
    databases.allow_replica_role()
    replication = start(load=False, error_handling={"stop_if_insert_error": True})
    changing_while_loading(replication)
    name = replication.task.task_name

    with pytest.raises(FullLoadError, match=r"insert on public\.t failed in transaction \d+ \(commit LSN"):
        replication.load()

    assert recorded(replication, "count(*)") == [(0,)]
    databases.source_admin.execute(MEND)
    replication.change_settings(settings(name, list(KEYED), error_handling={"stop_after_errors": 3}))
    with pytest.raises(FullLoadError, match=r"3 rows have failed since .*stop_after_errors is 3"):
        replication.load()
    assert recorded(replication, "count(*)") == [(3,)]
    databases.source_admin.execute(MEND)
    replication.change_settings(settings(name, list(KEYED)))
    replication.load()
    errors = recorded(replication, "target_schema, target_table, operation, key_values->>'id', sqlstate")
    expected = {("insert", "40", "22003"), ("insert", "41", "23514"), ("update", "2", "23505")}
    assert {("public", "t", *error) for error in expected} == set(errors[3:]) == set(errors[:3])
    ids = databases.target.fetch_all("select id, v from public.t where id >= 40 or id = 2 order by id")
    assert ids == [(2, "v2"), (42, "v42")]
    counts = replication.metadata(
        "select state, error_count, insert_count, update_count from trempy.table_states where source_table = 't'"
    )
    assert counts == [("ready", 6, 6, 2)]


def test_task_stops_after_so_many_errors_and_counts_anew(databases, start):
    replication = start(error_handling={"stop_after_errors": 3, "stop_after_errors_period_seconds": 3600})
    failing = "insert into public.t values ({0}, 99999, 'v{0}', 'w'), ({0} + 1, 0, 'v{0}b', 'w')"

    def fail(number: int) -> None:
        databases.source_admin.execute(failing.format(number))
        replication.catch_up()

    fail(20)
    fail(30)
    with pytest.raises(
        ErrorLimitError, match=r"3 rows have failed since .*commit LSN .*stop_after_errors is 3"
    ):
        fail(40)

    assert recorded(replication, "count(*)") == [(3,)]
    assert databases.target.fetch_value("select count(*) from public.t where id in (21, 31, 41)") == 3
    fail(50)
    databases.target_superuser.execute(
        "update trempy.apply_errors set occurred_at = now() - interval '2 hours';"
        "update trempy.tasks set errors_counted_since = null"
    )
    fail(60)
    fail(70)
    with pytest.raises(ErrorLimitError):
        fail(80)
    assert replication.metadata("select max(error_count) from trempy.table_states") == [(7,)]
    assert replication.broker.depths().ready == 0


def test_what_is_not_the_rows_fault_is_never_recorded_and_names_the_table(databases, start):
    databases.allow_replica_role()
    replication = start()
    databases.source_admin.execute("insert into public.t values (10, 0, 'v10', 'w')")
    replication.capture()
    role = databases.target.fetch_value("select current_user")
    for break_it, mend_it, error in [
        (f"revoke insert on public.t from {role}", f"grant insert on public.t to {role}", TargetPermissionError),
        ("alter table public.t rename to gone", "alter table public.gone rename to t", TargetSchemaError),
        ("alter table public.t rename n to gone", "alter table public.t rename gone to n", TargetSchemaError),
    ]:  # fmt: skip
        databases.target_admin.execute(break_it)
        with pytest.raises(error, match=r"table public\.t") as raised:
            replication.apply()
        assert "commit LSN" in str(raised.value)
        databases.target_admin.execute(mend_it)

    assert recorded(replication, "count(*)") == [(0,)]
    replication.catch_up()
    assert databases.target.fetch_value("select v from public.t where id = 10") == "v10"


def test_full_disk_and_locks_are_waited_out(databases, start, monkeypatch, caplog):
    databases.allow_replica_role()
    monkeypatch.setitem(session.PINNED_SETTINGS, "lock_timeout", "300ms")
    replication = start()
    # Nothing fills a disk here: the target says what it would say.
    databases.target_admin.execute(
        "create function public.full() returns trigger language plpgsql as"
        " $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$;"
        "create trigger full_disk before insert on public.t for each row execute function public.full();"
        "alter table public.t enable always trigger full_disk"
    )
    databases.source_admin.execute("insert into public.t values (10, 0, 'v10', 'w')")
    replication.capture()
    stop = StopSignal()
    with connect(databases.target_admin_uri) as blocking, blocking.cursor() as cursor:
        cursor.execute("begin; lock table public.child")
        applying = Background(lambda: replication.apply(seconds=60, stop=stop))
        wait_until(lambda: "SQLSTATE 53100" in caplog.text, what="the disk to be full")
        databases.source_admin.execute("insert into public.child values (10, 1)")
        replication.capture()
        databases.target_admin.execute("drop trigger full_disk on public.t")
        wait_until(lambda: "SQLSTATE 55P03" in caplog.text, what="a lock to be in the way")
        cursor.execute("rollback")
    wait_until(lambda: databases.target.fetch_value("select count(*) from public.child where id = 10") == 1)
    stop.set()

    applying.result()
    assert databases.target.fetch_value("select v from public.t where id = 10") == "v10"
    assert recorded(replication, "count(*)") == [(0,)]
    assert replication.broker.depths().dead_letters == 0


def transformation(kind: str, **contract: str) -> dict:
    return {
        "table_info": {"schema_name": "public", "table_name": "t"},
        "settings": {"transformation_type": kind, "contract": contract},
    }


@pytest.mark.parametrize("mode_name", ["default", "upsert"])
@pytest.mark.parametrize(
    ("expression", "bad", "sqlstate", "result", "of_four"),
    [("100 / value", 0, "22012", 10, 25), ("(value / 10) ^ 200000", 1000, "22003", 1, 0)],
    ids=["division by zero", "overflow"],
)
def test_values_that_cannot_be_computed_are_errors_of_their_rows(
    databases, replicate, mode_name, expression, bad, sqlstate, result, of_four
):
    transformations = [
        transformation(
            "modify_column_value", operation="math_expression", column_name="n", expression=expression
        ),
        transformation("modify_column_name", column_name="id", target_column_name="number"),
    ]
    databases.source_admin.execute(
        "create table public.t (id int primary key, n int); insert into public.t values (1, 1), (2, 2)"
    )
    replication = replicate("public.t", task=mode(mode_name), transformations=transformations)
    replication.setup()
    replication.load()

    for first, count in ((10, 3), (1000, 300)):
        if count == 300:
            databases.allow_replica_role()  # these are written as arrays
        databases.source_admin.execute(
            f"begin; insert into public.t select g, 10 from generate_series({first}, {first + count}) g;"
            f"insert into public.t values ({first - 1}, {bad}); update public.t set n = {bad} where id = {first + 1};"
            "update public.t set n = n + 1 where id = 2; commit"
        )
        replication.catch_up()

        errors = recorded(replication, "operation, key_values, sqlstate, statement")[-2:]
        assert {(error[0], error[1]["number"], error[2]) for error in errors} == {
            ("insert", str(first - 1), sqlstate), ("update", str(first + 1), sqlstate),
        }  # fmt: skip
        assert all("$1" in error[3] for error in errors)
        rows = databases.target.fetch_all(
            f"select number, n::int from public.t where number >= {first - 1} order by number"
        )
        assert rows == [(number, result) for number in range(first, first + count + 1)]
    assert recorded(replication, "count(*)") == [(4,)]
    assert databases.target.fetch_value("select n::int from public.t where number = 2") == of_four

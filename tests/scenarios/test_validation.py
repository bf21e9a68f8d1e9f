"""Validation tells real differences from changes on their way, and repair writes exactly those rows."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.databases import Database, connect
from tests.support.replication import Background, settings
from tests.support.wait import wait_until
from trempy_provider.errors import StoppedError
from trempy_provider.jobs import capture
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.validate import ValidationReport, validate
from trempy_provider.jobs.validating import comparing, settling
from trempy_provider.jobs.validating.context import Throttle
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.validations import TableValidation


def run(replication, **options: Any) -> ValidationReport:
    return validate(replication.task, source=replication.source, target=replication.target, **options)


def of(report: ValidationReport, table: str) -> TableValidation:
    return next(found for found in report.tables if found.source_name == table)


def counts(found: TableValidation) -> tuple[int, int, int]:
    return found.missing_count, found.different_count, found.extra_count


ROWS = """
create table public.numbers (id bigint primary key, a int, b text, at timestamptz default '2024-01-31 12:00+02');
insert into public.numbers select g, g, 'row ' || g from generate_series(1, 50000) g;
create table public.words (a text, b date, v numeric, primary key (a, b));
insert into public.words select 'k' || g % 7, date '2024-01-01' + g, g / 3.0 from generate_series(1, 3000) g;
create table public.pairs (a int, b uuid, v jsonb, primary key (b, a));
insert into public.pairs select g, md5((g % 50)::text)::uuid, jsonb_build_object('n', g)
    from generate_series(1, 3000) g;
create table public.keyless (a int, b text);
alter table public.keyless replica identity full;
insert into public.keyless select g % 10, null from generate_series(1, 1000) g;
"""
DAMAGE = """
delete from public.numbers where id in (1, 777, 50000);
update public.numbers set b = 'damaged' where id in (2, 30000);
insert into public.numbers values (0, 0, 'extra'), (60000, 0, 'extra');
update public.words set v = v + 1 where b = '2024-02-01';
delete from public.words where b = '2024-02-02';
insert into public.words values ('extra', '2024-01-01', 0);
update public.pairs set v = '{}' where a = 5;
insert into public.pairs select 0, b, v from public.pairs where a = 6;
delete from public.keyless where ctid in (select ctid from public.keyless where a = 3 limit 2);
insert into public.keyless values (3, '');
"""
TABLES = ("public.numbers", "public.words", "public.pairs", "public.keyless")


@pytest.fixture
def prepared(databases, replicate):
    databases.source_admin.execute(ROWS)
    replication = replicate(*TABLES)
    replication.setup()
    replication.load()
    return replication


def test_every_row_that_differs_is_found_by_its_kind_and_repaired(prepared, databases):
    assert run(prepared).is_good
    databases.target_admin.execute(DAMAGE)

    report = run(prepared)

    assert {t.source_name: counts(t) for t in report.tables} == {
        "public.numbers": (3, 2, 2),
        "public.words": (1, 1, 1),
        "public.pairs": (0, 1, 1),
        "public.keyless": (2, 0, 1),
    }
    repaired = run(prepared, repair=True)
    assert [str(t.state) for t in repaired.tables] == ["different", "repaired", "repaired", "repaired"]
    assert "trempy reload --table public.keyless" in " ".join(of(repaired, "public.keyless").notes)
    prepared.load(tables=["public.keyless"], reload=True)
    prepared.assert_equal()
    assert run(prepared).is_good


WRITTEN = """
create table public.t (id int primary key, n int, large text);
alter table public.t alter large set storage external;
insert into public.t select g, g, repeat(md5(g::text), 100) from generate_series(1, 400) g;
"""
DAMAGES = (
    "delete from public.t where id = {id}",
    "update public.t set large = 'damaged' where id = {id}",
    "insert into public.t (id, n, large) values ({id}, 0, 'extra') on conflict do nothing",
)


class Writer:
    """Write to the source at random until the block ends."""

    def __init__(self, databases, seed: int) -> None:
        self._databases = databases
        self._choose = random.Random(seed)
        self._stop = threading.Event()
        self.transaction_count = 0

    def __enter__(self) -> Writer:
        self._thread = Background(self._write)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.result()

    def _write(self) -> None:
        with connect(self._databases.source_admin_uri) as connection, connection.cursor() as cursor:
            while not self._stop.is_set():
                statements = [self._statement() for _ in range(self._choose.randint(1, 6))]
                end = self._choose.choice(["commit"] * 5 + ["rollback"])
                cursor.execute(";".join(["begin", *statements, end]))
                self.transaction_count += 1
                self._stop.wait(self._choose.choice([0, 0.002, 0.01]))

    def _statement(self) -> str:
        number = self._choose.randint(1, 500)
        large = f"repeat(md5('{self._choose.random()}'), 100)"
        moved = (
            f"id = {self._choose.randint(1, 500)} and not exists (select from public.t where id = {number})"
        )
        return self._choose.choice(
            (
                f"update public.t set n = n + 1 where id = {number}",
                f"update public.t set n = n + 1, large = {large} where id = {number}",
                f"delete from public.t where id = {number}",
                f"insert into public.t values ({number}, 0, {large}) on conflict do nothing",
                f"update public.t set id = {number} where {moved}",
            )
        )


@pytest.mark.parametrize("mode", ["default", "upsert", "scd2"])
def test_repair_beside_writers_mends_all_damage_and_makes_no_row_wrong(
    databases, replicate, monkeypatch, mode
):
    monkeypatch.setattr(capture, "_IDLE_INTERVAL_SECONDS", 0.2)
    databases.allow_replica_role()
    databases.source_admin.execute(WRITTEN)
    replication = replicate("public.t", task={"cdc_settings": {"mode": mode, "batch_max_age_seconds": 0.05}})
    replication.setup()
    replication.load()
    choose = random.Random(7)

    with replication.running():
        with Writer(databases, 11) as writer:
            quiet = [run(replication, repair=True) for _ in range(2)]
            assert [report.repaired_count for report in quiet] == [0, 0]
            assert replication.errors() == []
            reports = []
            for _ in range(2):
                for damage in choose.choices(DAMAGES[: 2 if mode == "scd2" else 3], k=20):
                    databases.target_admin.execute(damage.format(id=choose.randint(1, 500)))
                reports += [run(replication, repair=True) for _ in range(2)]
        replication.wait_until_level()

    assert writer.transaction_count > 100
    assert sum(report.repaired_count for report in reports) > 3
    current = " where scd_current = 1" if mode == "scd2" else ""
    query = "select id, n, md5(large) from public.t{} order by id"
    assert databases.target.fetch_all(query.format(current)) == databases.source.fetch_all(query.format(""))


def test_changes_on_their_way_are_no_differences(prepared, databases):
    databases.source_admin.execute(
        "delete from public.numbers where id < 100; update public.words set v = 0; truncate public.pairs;"
        "insert into public.numbers values (60000, 0, 'new'); insert into public.keyless values (5, 'new')"
    )

    report = run(prepared, repair=True, patience_seconds=0.5)

    assert {t.source_name: counts(t) for t in report.tables} == dict.fromkeys(sorted(TABLES), (0, 0, 0))
    assert {str(table.state) for table in report.tables} == {"unsettled"}
    assert "apply has not come past" in " ".join(of(report, "public.numbers").notes)
    prepared.catch_up()
    assert run(prepared).is_good
    assert prepared.errors() == []


@contextmanager
def waiting_for_a_standby(source: Database) -> Iterator[None]:
    """Let commits on the source wait for a standby that there is not."""
    source.execute("alter system set synchronous_standby_names = 'nobody'")
    try:
        source.execute("select pg_reload_conf()")
        wait_until(
            lambda: source.fetch_value("show synchronous_standby_names") == "nobody",
            timeout_seconds=20,
            what="the server to ask for a standby",
        )
        yield
    finally:
        source.execute("alter system reset synchronous_standby_names")
        source.execute("select pg_reload_conf()")


def test_row_of_which_the_source_does_not_show_the_commit_yet_is_not_set_back(
    databases, replicate, monkeypatch
):
    """Synchronous replication: the commit is in the WAL, and applied, long before others can see it."""
    monkeypatch.setattr(settling, "_WRITERS_SECONDS", 0.5)
    monkeypatch.setattr(capture, "_IDLE_INTERVAL_SECONDS", 0.2)
    databases.source_admin.execute(
        "create table public.t (id int primary key, n int); insert into public.t values (1, 1)"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()
    source, target = databases.source_superuser, databases.target
    with replication.running():
        source.execute("update public.t set n = 2")
        replication.wait_until_level()
        with waiting_for_a_standby(source):
            writing = Background(lambda: source.execute("update public.t set n = 3"))
            wait_until(
                lambda: target.fetch_value("select n from public.t") == 3,
                timeout_seconds=60,
                what="the change that nobody sees to be applied",
            )
            assert source.fetch_value("select n from public.t") == 2
            report = run(replication, repair=True)
        writing.result()

    assert databases.target.fetch_all("select * from public.t") == [(1, 3)]
    assert (report.tables[0].unsettled_count, counts(report.tables[0])) == (1, (0, 0, 0))
    assert run(replication).is_good


TRANSFORMED = """
create type public.mood as enum ('sad', 'glad');
create table public.t (
    id int primary key, name varchar(40), amount numeric(12,2), born date, mail text, secret text, notes text,
    f real, d double precision, i interval, b bytea, z timestamptz, c char(8), m public.mood, n numeric
);
insert into public.t
select g, 'Näme ' || g, g * 1.5, date '1990-01-01' + g, 'm' || g || '@x.org', 's' || g, 'n', g / 3.0, g / 7.0,
    g * interval '1 hour', decode(md5(g::text), 'hex'), '2024-01-31 12:00+02', 'c' || g % 3, 'glad', g % 700
from generate_series(1, 2000) g;
"""


def transformation(kind: str, **contract: str) -> dict[str, Any]:
    return {
        "table_info": {"schema_name": "public", "table_name": "t"},
        "settings": {"transformation_type": kind, "contract": contract},
    }


@pytest.mark.pg("15-18")
@pytest.mark.encodings("LATIN1", "UTF8")
def test_projected_rows_are_compared_whatever_types_encodings_and_defaults_the_servers_have(
    databases, replicate, pg_versions
):
    databases.give_roles_other_defaults()
    databases.source_admin.execute(TRANSFORMED)
    databases.target_admin.execute(
        "create type public.mood as enum ('glad', 'sad'); create table public.people (number bigint primary key,"
        " name text, amount numeric(20,4), born timestamp, mail varchar(100), secret text, f double precision,"
        " d double precision, i interval, b bytea, z timestamp, c text, m public.mood, n numeric, made timestamptz)"
    )
    replication = replicate(
        task={"cdc_settings": {"mode": "upsert"}},
        entries=[{"schema_name": "public", "table_name": "t", "exclude_columns": ["notes"]}],
        filters=[
            {
                "table_info": {"schema_name": "public", "table_name": "t"},
                "settings": {"filter_type": "less_than", "column_name": "id", "value": 1500},
            }
        ],
        transformations=[
            transformation("modify_table_name", target_table_name="people"),
            transformation("modify_column_name", column_name="id", target_column_name="number"),
            transformation("modify_column_value", operation="uppercase", column_name="name"),
            transformation("modify_column_value", operation="hash", column_name="secret"),
            transformation(
                "modify_column_value", operation="math_expression", column_name="n", expression="100 / value"
            ),
            transformation("create_column", operation="datetime_now", new_column_name="made"),
        ],
    )
    replication.source = Endpoint(
        lambda: ConnectionParameters.from_uri(databases.source_uri),
        task_name=replication.task.task_name,
        role="source",
        read_salt=lambda _: "pepper",
    )
    replication.setup()
    replication.load()
    assert {row[2] for row in replication.errors()} == {"22012"}  # a division by zero has no result
    databases.source_admin.execute("update public.t set amount = amount + 1 where id % 10 = 1")
    replication.catch_up()

    report = run(replication)

    found = report.tables[0]
    assert (str(found.state), counts(found), found.failing_count) == ("equal", (0, 0, 0), 2), found.notes
    assert "columns made at the moment of application are not compared: made" in found.notes
    databases.target_admin.execute(
        "update public.people set secret = 's1' where number = 1; delete from public.people where number = 2;"
        "insert into public.people (number) values (1700), (5000000000)"
    )
    found = run(replication, repair=True).tables[0]
    assert (str(found.state), counts(found), found.repaired_count) == ("repaired", (1, 1, 2), 4)
    recorded = "select key_values ->> 'number', kind, outcome from trempy.validation_differences order by 1"
    assert replication.metadata(recorded) == [
        ("1", "different", "repaired"),
        ("1700", "extra", "repaired"),
        ("2", "missing", "repaired"),
        ("5000000000", "extra", "repaired"),
    ]
    assert run(replication).is_good


def test_types_that_only_the_target_has_are_compared_there(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, mood text);"
        "insert into public.t select g, 'glad' from generate_series(1, 300) g"
    )
    databases.target_admin.execute(
        "create type public.mood as enum ('sad', 'glad');"
        "create table public.t (id int primary key, mood public.mood)"
    )
    replication = replicate("public.t")
    replication.setup()
    replication.load()
    databases.target_admin.execute("update public.t set mood = 'sad' where id in (7, 300)")

    found = run(replication, repair=True).tables[0]

    assert (str(found.state), counts(found), found.repaired_count) == ("repaired", (0, 2, 0), 2)
    assert "its rows are copied to be compared" in " ".join(found.notes)
    replication.assert_equal()


def test_validation_that_was_stopped_goes_on_behind_the_last_range(prepared, monkeypatch, databases):
    monkeypatch.setattr(comparing, "_RANGE_ROWS", 1000)
    monkeypatch.setattr(comparing, "_SETTLE_SECONDS", 0)
    databases.target_admin.execute("delete from public.numbers where id in (500, 49500)")
    stop, compared = StopSignal(), []
    original = Throttle.spend

    def spend(throttle, row_count):
        compared.append(row_count)
        if len(compared) == 20:
            stop.set()
        original(throttle, row_count)

    monkeypatch.setattr(Throttle, "spend", spend)
    with pytest.raises(StoppedError):
        run(prepared, tables=["public.numbers"], stop=stop)
    found = run(prepared, tables=["public.numbers"]).tables[0]

    assert len(compared) < 60
    assert (found.row_count, found.range_count, counts(found)) == (50000, 51, (2, 0, 0))


def test_validation_is_throttled_by_the_settings_and_by_who_asks(prepared, monkeypatch):
    monkeypatch.setattr(comparing, "_RANGE_ROWS", 5000)
    options = {"validation_settings": {"rows_per_second": 25000}}
    prepared.change_settings(settings(prepared.task.task_name, TABLES, task=options))

    slow = run(prepared, tables=["public.numbers"])
    quick = run(prepared, tables=["public.numbers"], rows_per_second=10_000_000)

    assert 1.5 < slow.seconds < 20
    assert quick.seconds < slow.seconds


def test_what_cannot_be_compared_is_said_and_what_operations_explain_is_tolerated(databases, replicate):
    databases.source_admin.execute(
        "create table public.kept (id int primary key); insert into public.kept select generate_series(1, 10);"
        "create table public.later (id int primary key)"
    )
    kept = {"schema_name": "public", "table_name": "kept", "operations": ["insert", "update"]}
    replication = replicate("public.later", entries=[kept])
    replication.setup()
    replication.load(tables=["public.kept"])
    databases.target_admin.execute("insert into public.kept values (11)")

    report = run(replication, repair=True)

    assert (of(report, "public.kept").tolerated_count, str(of(report, "public.kept").state)) == (1, "equal")
    assert str(of(report, "public.later").state) == "not_compared"
    assert "`trempy full-load` loads it" in of(report, "public.later").notes[0]
    assert "public.later (not_compared)" in str(report.error)

"""Tables that change in mid-stream, by `schema_evolution`: followed in stream order, or refused by column."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from tests.support.databases import connect
from tests.support.replication import Background, Replication
from tests.support.wait import wait_until
from trempy_provider.errors import SchemaChangeError, SourceTableError
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.loading.table_load import TableLoad
from trempy_provider.jobs.refresh import refresh
from trempy_provider.jobs.waiting_loads import WaitingLoads

APPLY = {"cdc_settings": {"schema_evolution": "apply"}}


@pytest.fixture
def followed(databases, replicate):
    """Return a function that replicates tables made by some SQL, whose changes the target follows."""

    def follow(ddl: str, *names: str, **options) -> Replication:
        databases.source_admin.execute(ddl)
        options = {"task": APPLY, **options}
        names = [name if "." in name else f"public.{name}" for name in names]
        replication = replicate(*names, **options)
        replication.setup()
        replication.load()
        replication.catch_up()
        return replication

    return follow


def columns_of(database, table: str) -> list[tuple]:
    """Return names, types and NOT NULL of a table's columns."""
    return database.fetch_all(
        "select attname::text, format_type(atttypid, atttypmod), attnotnull from pg_attribute"
        " where attrelid = %(table)s::regclass and attnum > 0 and not attisdropped order by attnum",
        {"table": table},
    )


def assert_followed(replication: Replication, *tables: str) -> None:
    """Compare columns and rows of tables on both sides."""
    databases = replication.databases
    for table in tables:
        on_source = sorted(columns_of(databases.source_admin, table))
        assert sorted(columns_of(databases.target_admin, table)) == on_source
    replication.assert_equal()


@pytest.mark.pg(15, 16, 18, "15-18", "18-15")
def test_columns_added_dropped_renamed_and_retyped_are_followed(databases, followed):
    replication = followed(
        "create table t (id int primary key, a int, b varchar(10), c text);"
        "insert into t select g, g, 'b' || g, 'c' from generate_series(1, 5) g",
        "t",
    )
    for ddl in (
        "alter table t add d int default 7, add e text; insert into t values (10, 1, 'b', 'c', 2, 'e')",
        "alter table t drop a; update t set e = 'x' where id = 1",
        "alter table t rename b to bb; update t set bb = 'y' where id = 2",
        "alter table t alter bb type varchar(20), alter id type bigint; insert into t values (11, repeat('z', 20))",
        "alter table t alter bb type text; insert into t values (3000000000, repeat('z', 30))",
    ):
        databases.source_admin.execute(ddl)
        replication.catch_up()
        assert_followed(replication, "t")
    assert replication.metadata("select state, load_id from trempy.table_states") == [("ready", 1)]


@pytest.mark.pg(15, 18)
def test_changes_behind_the_catalog_are_followed_in_stream_order(databases, followed):
    """Capture reads the catalog when all of this has happened already."""
    replication = followed(
        "create table t (id int primary key, a int, b text);"
        "insert into t select g, g, 'b' from generate_series(1, 3) g",
        "t",
    )
    for ddl in (
        "alter table t add c int default 5; update t set a = 9 where id = 1",
        "alter table t rename c to d; update t set d = 6 where id = 2",
        "alter table t drop b; insert into t values (4, 4, 4)",
        "alter table t add b text default 'again'; insert into t values (5, 5, 5, 'b')",
        "alter table t rename a to x; alter table t rename d to a; alter table t rename x to d",
        "insert into t values (6, 66, 666, 'swapped')",
        "alter table t add gone int default 3; insert into t values (7, 7, 7, 'b', 7)",
        "alter table t drop gone; update t set b = 'end' where id = 7",
    ):
        databases.source_admin.execute(ddl)
    replication.catch_up()

    assert replication.metadata("select error from trempy.table_states where state <> 'ready'") == []
    assert_followed(replication, "t")


@pytest.mark.pg("18-15")
def test_ddl_and_changes_within_one_transaction_are_followed(databases, followed):
    replication = followed(
        "create table t (id int primary key, a int); insert into t values (1, 1), (2, 2)", "t"
    )
    databases.source_admin.execute(
        "begin; insert into t values (3, 3); alter table t add b text default 'b'; insert into t values (4, 4);"
        "savepoint s; alter table t add c int; insert into t values (5, 5, 'b', 5); rollback to s;"
        "alter table t drop a; update t set b = 'x' where id = 1; commit"
    )
    replication.catch_up()

    assert replication.metadata("select error from trempy.table_states where state <> 'ready'") == []
    assert_followed(replication, "t")


def test_truncate_alone_lets_its_tables_follow(databases, followed):
    made = "create table {0} (id int primary key, a int, b int); insert into {0} values (1, 1, 1)"
    replication = followed(f"{made.format('t')}; {made.format('u')}", "t", "u")
    databases.source_admin.execute(
        "alter table t add c text default 'c'; alter table u rename b to c; alter table u drop a; truncate t, u"
    )

    replication.catch_up()

    assert_followed(replication, "t", "u")
    assert replication.metadata("select state, load_id from trempy.table_states") == [("ready", 1)] * 2


def test_table_truncated_after_a_change_that_needs_a_load_waits_for_it(databases, followed):
    replication = followed("create table t (id int primary key); insert into t values (1), (2)", "t")
    databases.source_admin.execute(
        "begin; alter table t add v float default random(); insert into t values (3); truncate t;"
        "insert into t values (4); commit"
    )

    _, applied = replication.catch_up()

    assert applied.waiting_tables == ("public.t",)
    replication.load()
    replication.catch_up()
    assert_followed(replication, "t")


@pytest.mark.pg(18)
def test_values_made_row_by_row_on_the_source_are_loaded_again(databases, followed):
    tables = ("random", "serial", "identity", "using_", "uncertain", "plain")
    replication = followed(
        "".join(
            f"create table {name} (id int primary key, a int); insert into {name} values (1, 1), (2, 2);"
            for name in tables
        ),
        *tables,
    )
    for statement in (
        "alter table random add v float default random()",
        "alter table serial add v serial",
        "alter table identity add v bigint generated always as identity",
        "alter table using_ alter a type text using 'number ' || a",
        "alter table uncertain drop a; alter table uncertain add a int default 3",
        "alter table plain add v int",
        *(f"insert into {name} (id) values (3)" for name in tables),
    ):
        databases.source_admin.execute(statement)
    _, applied = replication.catch_up()
    reasons = dict(
        replication.metadata("select source_table, error from trempy.table_states where error <> ''")
    )
    assert sorted(applied.waiting_tables) == sorted(f"public.{name}" for name in tables if name != "plain")
    assert all(reason.startswith("It has to be loaded again: column") for reason in reasons.values())

    endpoints = {"source": replication.source, "target": replication.target}
    WaitingLoads(replication.task, **endpoints, stop=StopSignal()).finish()
    replication.catch_up()

    assert_followed(replication, *tables)
    assert replication.metadata("select load_id from trempy.table_states where source_table = 'plain'") == [
        (1,)
    ]


def test_ddl_between_a_snapshot_and_its_replay_makes_the_load_begin_anew(databases, followed, monkeypatch):
    replication = followed(
        "create table t (id int primary key, a int); insert into t select g, g from generate_series(1, 9) g",
        "t",
    )
    make_indexes, changes = TableLoad._make_indexes, ["alter table t add b int default 7, drop a"]

    def change_meanwhile(load, *args):
        if changes:
            databases.source_admin.execute(
                f"{changes.pop()}; insert into t values (10, 8); delete from t where id = 1"
            )
            replication.catch_up()
        make_indexes(load, *args)

    monkeypatch.setattr(TableLoad, "_make_indexes", change_meanwhile)
    replication.load(reload=True)
    replication.catch_up()

    assert_followed(replication, "t")


@pytest.mark.pg(15, 18)
def test_ddl_in_a_transaction_in_progress_is_followed_at_its_commit(databases, followed):
    databases.source_superuser.execute(
        f'alter database "{databases.source.name}" set logical_decoding_work_mem = 64'
    )
    replication = followed(
        "create table t (id int primary key, a int); insert into t values (1, 1)",
        "t",
        task={"cdc_settings": {"schema_evolution": "apply", "batch_max_rows": 200}},
    )
    with (
        replication.running(),
        connect(databases.source_admin_uri) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("begin; insert into t select g, g from generate_series(10, 3000) g")
        cursor.execute(
            "alter table t add b text default 'b'; update t set b = repeat('x', 50) where id > 100"
        )
        held = "select count(*) from trempy.held_chunks where task_name = {task}"
        wait_until(lambda: replication.metadata(held)[0][0] > 5, timeout_seconds=60)
        cursor.execute("alter table t drop a; insert into t values (5000, 'end'); commit")
        replication.wait_until_level()

    assert_followed(replication, "t")
    assert replication.metadata("select state, load_id from trempy.table_states") == [("ready", 1)]


@pytest.mark.pg(15, 18)
def test_not_null_is_followed_both_ways(databases, followed):
    replication = followed(
        "create table t (id int primary key, a int not null, b int); insert into t values (1, 1, 1)", "t"
    )
    databases.source_admin.execute("alter table t alter a drop not null; insert into t values (2, null, 2)")
    replication.catch_up()
    assert_followed(replication, "t")

    for statement in (
        "alter table t alter b set not null; insert into t values (3, null, 3)",
        "insert into t values (6, null, 6)",
    ):
        databases.source_admin.execute(statement)
        write_beside(databases)
        replication.catch_up()
    assert_followed(replication, "t")

    for statement in (  # the catalog that capture reads has it all behind it
        "alter table t alter b drop not null; insert into t values (4, 4, null)",
        "delete from t where b is null or a is null; alter table t alter b set not null",
    ):
        databases.source_admin.execute(statement)
    replication.catch_up()
    for new in (5, 7):  # SET NOT NULL is followed with the second change at the latest
        databases.source_admin.execute(f"insert into t values ({new}, null, {new})")
        write_beside(databases)
        replication.catch_up()
    assert_followed(replication, "t")
    assert replication.metadata("select count(*) from trempy.apply_errors") == [(0,)]


def write_beside(databases) -> None:
    """Let there be WAL between a commit and the moment at which capture reads the catalog."""
    databases.source_admin.fetch_all("select pg_logical_emit_message(false, 'beside', repeat('x', 1000))")


STOPPING = {  # by name of the table: what happens to it, and the column named
    "added": ("alter table added add c int default 5", "c"),
    "dropped": ("alter table dropped drop a", "a"),
    "renamed": ("alter table renamed rename a to b", "a"),
    "retyped": ("alter table retyped alter a type text using 'n' || a", "a"),
    "null_allowed": ("alter table null_allowed alter a drop not null", "a"),
    "added_again": ("alter table added_again drop a; alter table added_again add a int default 3", "a"),
    "labelled": ("alter type mood add value 'high'", "m"),
}


def test_stop_names_table_and_column_and_goes_on_after_the_mend(databases, followed):
    made = "create table {0} (id int primary key, a int not null default 2, m mood); insert into {0} values (1, 1)"
    replication = followed(
        "create type mood as enum ('low');" + ";".join(made.format(name) for name in STOPPING),
        *STOPPING,
        task={},
    )
    for name, (change, column) in STOPPING.items():
        databases.source_admin.execute(change)
        databases.source_admin.execute(f"insert into {name} (id, m) values (2, (enum_range(null::mood))[2])")
        replication.capture()
        with pytest.raises(SchemaChangeError, match=rf"public\.{name} .*column {column}\b") as stopped:
            replication.apply()
        assert "On the target: alter " in stopped.value.hint

        databases.target_admin.execute(change.removesuffix(" default 5"))
        replication.catch_up()

    replication.assert_equal()
    assert set(replication.metadata("select state, load_id from trempy.table_states")) == {("ready", 1)}


def test_stop_names_a_renamed_table_and_goes_on_when_it_is_renamed_by_hand(databases, followed):
    replication = followed("create table t (id int primary key)", "t", task={})
    databases.source_admin.execute("alter table t rename to u; insert into u values (1)")
    replication.capture()
    with pytest.raises(SchemaChangeError, match=r"source table public\.t was renamed to public\.u"):
        replication.apply()

    databases.target_admin.execute("alter table t rename to u")
    replication.catch_up()

    replication.assert_equal()


def test_target_that_cannot_follow_stops_by_column_and_goes_on_after_the_mend(databases, followed):
    replication = followed("create table t (id int primary key, a int); insert into t values (1, 1)", "t")
    databases.target_admin.execute("create view seen as select a from t")
    databases.source_admin.execute("alter table t drop a; insert into t values (2)")
    replication.capture()
    with pytest.raises(SchemaChangeError, match=r"public\.t cannot follow .*column a: .*depend"):
        replication.apply()

    databases.target_admin.execute("drop view seen")
    replication.catch_up()

    assert_followed(replication, "t")


def test_ignore_keeps_the_target_and_loses_no_row(databases, followed):
    replication = followed(
        "create table t (id int primary key, a int not null, b int, c int); insert into t values (1, 1, 1, 1)",
        "t",
        task={"cdc_settings": {"schema_evolution": "ignore"}},
    )
    databases.source_admin.execute(
        "alter table t add d int default 5; alter table t drop b; alter table t rename c to cc;"
        "alter table t alter cc type bigint; insert into t values (2, 2, 2, 2)"
    )
    replication.catch_up()
    databases.source_admin.execute("alter table t drop a; insert into t values (3, 3, 3)")
    replication.capture()
    with pytest.raises(SchemaChangeError, match=r"public\.t .*column a\b") as stopped:
        replication.apply()
    assert "drop not null" in stopped.value.hint
    databases.target_admin.execute("alter table t alter a drop not null")
    replication.catch_up()

    rows = databases.target_admin.fetch_all("select * from t order by id")
    assert rows == [(1, 1, 1, 1), (2, 2, None, 2), (3, None, None, 3)]


@pytest.mark.pg("15-18", "18-15")
def test_enum_labels_come_before_the_first_row_that_has_them(databases, followed):
    replication = followed(
        "create type mood as enum ('low', 'high');"
        "create table t (id int primary key, m mood, ms mood[]); insert into t values (1, 'low', '{}')",
        "t",
    )
    databases.source_admin.execute("insert into t values (2, 'high', '{low}')")
    replication.catch_up()
    databases.source_admin.execute("alter type mood add value 'middle' after 'low'")
    databases.source_admin.execute("alter type mood add value 'lowest' before 'low'")
    databases.source_admin.execute("insert into t values (3, 'middle', '{lowest,high}')")
    replication.catch_up()

    replication.assert_equal()
    labels = "select enum_range(null::mood)::text"
    assert databases.target_admin.fetch_value(labels) == "{lowest,low,middle,high}"


@pytest.mark.pg(15, 18)
def test_new_names_of_table_and_schema_are_followed(databases, followed):
    replication = followed("create schema s; create table s.a (id int primary key, v text)", "s*.*")
    databases.source_admin.execute("alter table s.a rename to b; insert into s.b values (1, 'b')")
    replication.catch_up()
    assert replication.metadata("select target_table from trempy.table_states") == [("b",)]
    replication.assert_equal()

    databases.source_admin.execute("alter schema s rename to s2; insert into s2.b values (2, 's2')")
    replication.catch_up()
    databases.source_admin.execute("create table s2.a (id int primary key); insert into s2.a values (1)")
    assert replication.metadata("select target_schema from trempy.table_states") == [("s2",)]
    replication.assert_equal()


def test_table_created_again_under_its_name_is_taken_up_while_running(databases, followed):
    replication = followed(
        "create table t (id int primary key, a int); insert into t values (1, 1);"
        "create table other (id int primary key)",
        "t",
        "other",
    )
    databases.source_admin.execute("insert into t values (2, 2); drop table t")
    databases.source_admin.execute(
        "create table t (id int primary key, b text); insert into t values (7, 'b')"
    )
    databases.source_admin.execute("insert into other values (1)")
    replication.catch_up()

    assert [name for (name,) in waiting_tables(replication)] == ["t"]
    replication.load()
    databases.source_admin.execute("insert into t values (8, 'b')")
    replication.catch_up()
    assert_followed(replication, "t", "other")


def test_stop_names_a_table_created_again(databases, followed):
    replication = followed("create table t (id int primary key)", "t", task={})
    databases.source_admin.execute("drop table t; create table t (id int primary key)")

    with pytest.raises(SourceTableError, match=r"public\.t .* dropped and created again"):
        replication.capture()

    databases.source_admin.execute("insert into t values (7)")
    refresh(replication.task, source=replication.source, target=replication.target, broker=replication.broker)
    replication.load()
    databases.source_admin.execute("insert into t values (8)")
    replication.catch_up()
    assert_followed(replication, "t")


@pytest.mark.pg(15, "18-15")
def test_table_made_under_the_former_name_of_another_takes_its_place_while_running(databases, followed):
    """As a migration does that fills a new table and exchanges the names."""
    replication = followed(
        "create table t (id int primary key, a int); insert into t values (1, 1);"
        "create table other (id int primary key)",
        "t",
        "other",
    )
    databases.source_admin.execute(
        "insert into t values (2, 2); create table t_new (id int primary key, b text);"
        "begin; insert into t_new select id, 'b' || a from t;"
        "alter table t rename to t_before; alter table t_new rename to t; commit;"
        "insert into t values (7, 'b'); insert into t_before values (3, 3); insert into other values (1)"
    )
    replication.catch_up()

    assert waiting_tables(replication) == [("t",)]
    replication.load()
    databases.source_admin.execute("insert into t values (8, 'b'); delete from t_before where id = 1")
    replication.catch_up()
    assert_followed(replication, "t", "other")
    assert databases.target_admin.fetch_value("select to_regclass('t_before')") is None


def test_stop_names_a_table_whose_name_another_has(databases, followed):
    replication = followed("create table t (id int primary key)", "t", task={})
    databases.source_admin.execute("alter table t rename to u; create table t (id int primary key)")

    with pytest.raises(
        SourceTableError, match=r"public\.t .* called public\.u .* another table has its name"
    ):
        replication.capture()


def test_new_column_beside_excluded_ones_is_not_lost(databases, followed):
    tables = [{"schema_name": "public", "table_name": "t", "exclude_columns": ["secret"]}]
    databases.source_admin.execute(
        "create table t (id int primary key, a int, secret text); insert into t values (1, 1, 's')"
    )
    replication = followed("select", entries=tables)
    databases.source_admin.execute("alter table t add c int default 5; insert into t values (2, 2, 's', 6)")
    replication.catch_up()
    databases.source_admin.execute("update t set c = 7 where id = 1")
    assert waiting_tables(replication) == [("t",)]
    replication.load()
    databases.source_admin.execute("update t set c = 8, a = 8 where id = 2")
    replication.catch_up()

    rows = databases.target_admin.fetch_all("select * from t order by id")
    assert rows == [(1, 1, 7), (2, 8, 8)]

    databases.source_admin.execute("alter table t drop a cascade; insert into t values (3, 's', 9)")
    replication.catch_up()  # with its column the table has left the publication
    assert waiting_tables(replication) == [("t",)]
    replication.load()
    assert databases.target_admin.fetch_all("select * from t order by id") == [(1, 7), (2, 8), (3, 9)]


def waiting_tables(replication: Replication) -> list[tuple[str]]:
    """Return the tables that wait for a load."""
    return replication.metadata("select source_table from trempy.table_states where state = 'pending'")


def test_transformed_table_follows_and_a_column_the_settings_name_stops(databases, followed):
    def transformation(kind, **contract):
        info = {"schema_name": "public", "table_name": "t"}
        return {"table_info": info, "settings": {"transformation_type": kind, "contract": contract}}

    replication = followed(
        "create table t (id int primary key, a int, b text); insert into t values (1, 1, 'b')",
        "t",
        transformations=[
            transformation("modify_table_name", target_table_name="target"),
            transformation("modify_column_name", column_name="a", target_column_name="aa"),
            transformation("modify_column_value", operation="uppercase", column_name="b"),
        ],
    )
    databases.source_admin.execute("alter table t add c int default 5; insert into t values (2, 2, 'b', 6)")
    replication.catch_up()
    databases.source_admin.execute("alter table t alter a type bigint; delete from t where id = 3")
    databases.source_admin.execute("insert into t values (4, 4, 'b', 6)")
    replication.catch_up()
    rows = databases.target_admin.fetch_all("select id, aa, b, c from target order by id")
    assert rows == [(1, 1, "B", 5), (2, 2, "B", 6), (4, 4, "B", 6)]
    assert ("aa", "bigint", False) in columns_of(databases.target_admin, "target")

    databases.source_admin.execute("alter table t rename b to secret; insert into t values (3, 3, 'b', 7)")
    replication.capture()
    with pytest.raises(
        SchemaChangeError, match=r"column b of source table public\.t, .* was renamed to secret"
    ):
        replication.apply()


@pytest.mark.pg(18)
def test_ddl_beside_writers_and_loads_ends_equal(databases, followed):
    """Columns come, go and change while two sessions write and capture, apply and loads run beside them."""
    replication = followed(
        "create table t (id serial primary key, a int default 1, b text);"
        "create table kept (id serial primary key, v int);"
        "insert into t (b) select 'old' from generate_series(1, 300)",
        "t",
        "kept",
    )
    with replication.running(), writing(databases) as written:
        for ddl in (
            "alter table t add c int default 5",
            "alter table t rename b to bb",
            "alter table t alter a type bigint",
            "alter table t drop c; alter table t add c text default 'again'",
            "alter table t add d float default random()",
            "alter table t drop bb; alter table t add bb int",
            "alter table t rename c to e; alter table t alter e set not null",
        ):
            seen = written[0]
            databases.source_admin.execute(ddl)
            wait_until(lambda seen=seen: written[0] > seen + 5, timeout_seconds=60)
            if waiting_tables(replication):
                replication.load()
    replication.catch_up()
    while waiting_tables(replication):
        replication.load()
        replication.catch_up()

    for _ in range(2):  # SET NOT NULL is followed with the second change at the latest
        databases.source_admin.execute("insert into t (a) values (0)")
        replication.catch_up()
    assert_followed(replication, "t", "kept")


@contextmanager
def writing(databases):
    """Write to the tables without pause, whatever columns they have."""
    stop, counter = threading.Event(), [0]

    def write():
        with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                counter[0] += 1
                cursor.execute(
                    "insert into t (a) values (1); update t set a = a + 1 where id % 7 = 0;"
                    "delete from t where id % 11 = 0 and id > 300; insert into kept (v) values (1)"
                )
                stop.wait(0.02)

    writers = [Background(write) for _ in range(2)]
    try:
        yield counter
    finally:
        stop.set()
        for writer in writers:
            writer.result()

"""Histories of rows that filters choose and transformations change."""

from __future__ import annotations

from typing import Any

from tests.support.histories import SourceHistory, loaded_at, read_history

SCD2 = {"cdc_settings": {"mode": "scd2"}}
LONG = "repeat(md5(random()::text), 300)"  # does not compress: stored as TOAST, not sent when unchanged


def filter_of(table: str, filter_type: str, column: str, **operands: Any) -> dict[str, Any]:
    schema_name, table_name = table.split(".")
    settings = {"filter_type": filter_type, "column_name": column, **operands}
    return {"table_info": {"schema_name": schema_name, "table_name": table_name}, "settings": settings}


def change_of(table: str, kind: str, priority: int = 0, **contract: Any) -> dict[str, Any]:
    schema_name, table_name = table.split(".")
    settings = {"transformation_type": kind, "contract": contract, "priority": priority}
    return {"table_info": {"schema_name": schema_name, "table_name": table_name}, "settings": settings}


def errors(replication) -> list[tuple]:
    return replication.metadata("select operation, sqlstate from trempy.apply_errors order by error_id")


def test_row_that_leaves_the_filter_ends_and_one_that_enters_begins(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, a int, v text);"
        "insert into public.t select g, g, 'v' from generate_series(1, 40) g"
    )
    replication = replicate(
        "public.t", task=SCD2, filters=[filter_of("public.t", "greater_than", "a", value=20)]
    )
    replication.setup()
    replication.load()
    source = SourceHistory(databases, "select id, a, v from public.t where a > 20")

    source.commit("update public.t set a = a + 5")  # 16 to 20 enter
    source.commit("update public.t set a = a - 10, v = 'w' where id % 2 = 0")  # some leave
    source.commit("update public.t set a = 0 where id = 31", "update public.t set a = 99 where id = 31")
    source.commit("update public.t set a = 99 where id = 1", "update public.t set a = null where id = 1")
    source.commit("update public.t set id = id + 100 where id % 3 = 0")
    source.commit("delete from public.t where id % 5 = 0")
    source.commit("insert into public.t values (1000, 1000, 'x'), (1001, 1, 'x')")
    source.commit("update public.t set a = 1001 - a where id >= 1000")
    replication.catch_up()

    expected = source.expected(loaded_at=loaded_at(databases.target, "public.t"))
    assert read_history(databases.target, "select id, a, v from public.t") == expected
    assert errors(replication) == []


def test_filter_that_reads_a_value_not_sent_keeps_what_passed(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, a int, large text);"
        "alter table public.t alter large set storage external;"
        f"insert into public.t select g, g, g % 2 || {LONG} from generate_series(1, 40) g"
    )
    replication = replicate(
        "public.t", task=SCD2, filters=[filter_of("public.t", "starts_with", "large", value="1")]
    )
    replication.setup()
    replication.load()
    source = SourceHistory(databases, "select id, a, md5(large) from public.t where large like '1%'")

    source.commit("update public.t set a = a + 100")
    source.commit(f"update public.t set large = '0' || {LONG} where id % 3 = 0", "update public.t set a = -a")
    source.commit(f"update public.t set large = '1' || {LONG} where id % 5 = 0")
    source.commit("update public.t set a = 7 where id % 5 = 0")
    replication.catch_up()

    expected = source.expected(loaded_at=loaded_at(databases.target, "public.t"))
    assert read_history(databases.target, "select id, a, md5(large) from public.t") == expected
    assert errors(replication) == []


def test_names_values_and_created_columns_are_versioned_as_they_are_on_the_target(databases, replicate):
    databases.source_admin.execute(
        "create schema hr; create table hr.people (id int primary key, first text, last text, pay numeric, note text);"
        "alter table hr.people alter note set storage external;"
        f"insert into hr.people select g, 'f' || g, 'l' || g, g, {LONG} from generate_series(1, 30) g"
    )
    people = "hr.people"
    changes = [
        change_of(people, "modify_schema_name", target_schema_name="staff"),
        change_of(people, "modify_table_name", target_table_name="persons"),
        change_of(people, "modify_column_name", column_name="id", target_column_name="number"),
        change_of(people, "modify_column_value", 1, operation="uppercase", column_name="last"),
        change_of(
            people,
            "modify_column_value",
            1,
            operation="math_expression",
            column_name="pay",
            expression="value * 12",
        ),
        change_of(
            people,
            "create_column",
            2,
            operation="concat",
            new_column_name="name",
            depends_on=["first", "last"],
            separator=" ",
        ),
        change_of(people, "create_column", 3, operation="datetime_now", new_column_name="seen_at"),
        change_of(people, "create_column", 3, operation="date_now", new_column_name="seen_on"),
    ]
    replication = replicate(people, task=SCD2, transformations=changes)
    replication.setup()
    replication.load()
    query = "select {id}, first, {last}, {pay}, md5(note), {name} from {table}"
    source = SourceHistory(
        databases,
        query.format(
            id="id",
            last="upper(last)",
            pay="pay * 12",
            name="concat_ws(' ', first, upper(last))",
            table=people,
        ),
    )

    source.commit("update hr.people set pay = pay + 1 where id <= 10")
    source.commit("update hr.people set last = upper(last)")  # as it is on the target already
    source.commit("update hr.people set id = id + 100 where id > 20", "delete from hr.people where id = 1")
    source.commit("update hr.people set first = 'x', last = 'y' where id in (2, 3)")
    source.commit(
        "insert into hr.people values (1, 'a', null, null, 'short')", "delete from hr.people where id = 4"
    )
    replication.catch_up()
    replication.load(reload=True)

    target = "staff.persons"
    actual = read_history(
        databases.target,
        query.format(id="number", last="last", pay="pay", name="name", table=target),
    )
    expected = source.expected(loaded_at=loaded_at(databases.target, target))
    assert {key: actual.get(key) for key in expected} == expected
    assert actual.keys() == expected.keys()
    assert errors(replication) == []
    assert databases.target.fetch_value(f"select count(*) from {target} where seen_at is null") == 0


def test_history_is_kept_by_the_key_that_the_settings_make(databases, replicate):
    databases.source_admin.execute(
        "create table public.salary (person int, since date, pay int, primary key (person, since));"
        "insert into public.salary values (1, '2020-01-01', 100), (2, '2020-01-01', 200)"
    )
    changes = [
        change_of("public.salary", "remove_primary_key", column_names=["person", "since"]),
        change_of("public.salary", "add_primary_key", column_names=["person"]),
    ]
    replication = replicate("public.salary", task=SCD2, transformations=changes)
    replication.setup()
    replication.load()

    databases.source_admin.execute("insert into public.salary values (1, '2021-01-01', 110)")
    databases.source_admin.execute(
        "begin; insert into public.salary values (2, '2021-01-01', 210), (2, '2022-01-01', 220); commit"
    )
    databases.source_admin.execute("update public.salary set pay = 115 where person = 1 and pay = 110")
    databases.source_admin.execute("delete from public.salary where person = 2 and pay = 220")
    replication.catch_up()

    histories = read_history(databases.target, "select person, since::text, pay from public.salary")
    assert {key: [version.row[1:] for version in chain] for key, chain in histories.items()} == {
        (1,): [("2020-01-01", 100), ("2021-01-01", 110), ("2021-01-01", 115)],
        (2,): [("2020-01-01", 200), ("2022-01-01", 220)],
    }
    assert histories[(1,)][-1].end is None
    assert histories[(2,)][-1].end is not None
    indexes = databases.target.fetch_all("select indexdef from pg_indexes where tablename = 'salary'")
    assert [definition.split("(")[1] for (definition,) in indexes] == ["person, scd_start_date)"]
    assert errors(replication) == []


def test_first_load_of_a_history_takes_columns_that_changed_after_the_setup(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, a int, gone text);"
        "insert into public.t select g, g from generate_series(1, 20) g"
    )
    task = {"cdc_settings": {"mode": "scd2", "schema_evolution": "apply"}}
    replication = replicate("public.t", task=task)
    replication.setup()
    databases.source_admin.execute(
        "alter table public.t add late int default 7; alter table public.t rename a to b;"
        "alter table public.t drop gone; insert into public.t values (21, 21, 21)"
    )

    replication.load()
    databases.source_admin.execute("update public.t set late = 8 where id = 1")
    replication.catch_up()

    query = "select id, b, late from public.t"
    histories = read_history(databases.target, query)
    assert {chain[-1].row for chain in histories.values()} == set(databases.source_admin.fetch_all(query))
    assert [version.row[1:] for version in histories[(1,)]] == [(1, 7), (1, 8)]
    assert errors(replication) == []


def test_history_goes_on_while_the_table_changes(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, a int, v text);"
        "insert into public.t select g, g, 'v' from generate_series(1, 20) g"
    )
    task = {"cdc_settings": {"mode": "scd2", "schema_evolution": "apply"}}
    replication = replicate("public.t", task=task)
    replication.setup()
    replication.load()

    databases.source_admin.execute("update public.t set a = -a where id <= 5")
    databases.source_admin.execute("alter table public.t add column extra int default 7")
    databases.source_admin.execute(
        "update public.t set extra = 8 where id <= 3; insert into public.t values (21)"
    )
    databases.source_admin.execute("alter table public.t rename column a to b")
    databases.source_admin.execute(
        "update public.t set b = 0 where id = 1; delete from public.t where id = 2"
    )
    databases.source_admin.execute("alter table public.t drop column v")
    databases.source_admin.execute("update public.t set b = 1 where id = 1")
    replication.catch_up()

    query = "select id, b, extra from public.t"
    histories = read_history(databases.target, query)
    current = {key: chain[-1].row for key, chain in histories.items() if chain[-1].end is None}
    assert current == {row[:1]: row for row in databases.source_admin.fetch_all(query)}
    assert [version.row[1:] for version in histories[(1,)]] == [(1, 7), (-1, 7), (-1, 8), (0, 8), (1, 8)]
    assert errors(replication) == []


def test_values_that_cannot_be_computed_make_no_version_and_are_errors_of_their_rows(databases, replicate):
    databases.source_admin.execute(
        "create table public.t (id int primary key, n int); insert into public.t values (1, 10), (2, 20)"
    )
    share = change_of(
        "public.t",
        "modify_column_value",
        1,
        operation="math_expression",
        column_name="n",
        expression="100 / value",
    )
    replication = replicate("public.t", task=SCD2, transformations=[share])
    replication.setup()
    replication.load()

    databases.source_admin.execute(
        "insert into public.t values (3, 0), (4, 5); update public.t set n = 0 where id = 1;"
        "update public.t set n = 50 where id = 2"
    )
    replication.catch_up()

    query = "select id, n::int, scd_current from public.t order by id, scd_start_date"
    assert databases.target.fetch_all(query) == [(1, 10, 1), (2, 5, 0), (2, 2, 1), (4, 20, 1)]
    recorded = replication.metadata("select key_values->>'id', sqlstate from trempy.apply_errors order by 1")
    assert recorded == [("1", "22012"), ("3", "22012")]

"""Names and keys are followed everywhere: rows are found by what the source's key has become (G8, G9)."""

from __future__ import annotations

import pytest

from tests.scenarios.test_transformations import assert_reload_gives_the_same, dump, types_of
from tests.support.settings_entries import (
    change_value,
    create_column,
    transformation_entry,
)
from trempy_provider.jobs.status import status

MODES = pytest.mark.parametrize("mode", ["default", "upsert"])
SALARY = "employees.salary"
SALARIES = """
create schema employees;
create table employees.salary (employee_id int, from_date date, amount int not null default 7, to_date date,
    primary key (employee_id, from_date));
insert into employees.salary select g, date '2000-01-01' + g, 1000 + g, '9999-01-01' from generate_series(1, 60) g;
"""
SALARY_ENTRIES = [
    transformation_entry(SALARY, "modify_schema_name", priority=0, target_schema_name="Funcionários"),
    transformation_entry(SALARY, "modify_table_name", priority=0, target_table_name='sal"ário'),
    transformation_entry(
        SALARY, "modify_column_name", priority=0, column_name="from_date", target_column_name="início"
    ),
    transformation_entry(
        SALARY, "modify_column_name", priority=1, column_name="to_date", target_column_name="from_date"
    ),
    create_column(SALARY, "concat", "label", depends_on=["employee_id", "início"], separator="@"),
    change_value(SALARY, "math_expression", "amount", expression="value / 12"),
    create_column(SALARY, "literal", "origin", value_type="text", value="hr"),
    {
        **transformation_entry(
            SALARY, "modify_column_name", priority=3, column_name="label", target_column_name="Label"
        )
    },
    transformation_entry(SALARY, "remove_primary_key", priority=3, column_names=["employee_id", "início"]),
    transformation_entry(SALARY, "add_primary_key", priority=4, column_names=["origin", "Label"]),
]
TARGET = '"Funcionários"."sal""ário"'
EXPECTED = (
    "(select employee_id, from_date as início, amount / 12.0 as amount, to_date as from_date,"
    " concat_ws('@', employee_id, from_date), 'hr'::text from employees.salary)"
)
CHANGES = {
    "few": """
        update employees.salary set amount = 24 where employee_id = 1;
        update employees.salary set employee_id = 100, amount = 36 where employee_id = 2;
        update employees.salary set from_date = '2020-02-02' where employee_id = 3;
        delete from employees.salary where employee_id = 4;
        insert into employees.salary values (101, '2001-01-01', 48, null);
        """,
    "many": """
        begin;
        update employees.salary set amount = amount * 2;
        delete from employees.salary where employee_id % 5 = 0;
        insert into employees.salary select g, '2010-01-01', g, null from generate_series(200, 300) g;
        update employees.salary set to_date = '2030-01-01' where employee_id > 250;
        commit;
        """,
}


@MODES
def test_renames_and_a_key_of_other_columns_are_followed_by_every_operation(databases, replicate, mode):
    databases.source_admin.execute(SALARIES)
    replication = replicate(SALARY, task={"cdc_settings": {"mode": mode}}, transformations=SALARY_ENTRIES)
    replication.setup()
    replication.load()
    loaded = dump(databases.target_admin, TARGET), dump(databases.source_admin, EXPECTED)

    seen = []
    for script in CHANGES.values():
        databases.source_admin.execute(script)
        replication.catch_up()
        seen.append((dump(databases.target_admin, TARGET), dump(databases.source_admin, EXPECTED)))

    for present, expected in (loaded, *seen):
        assert present == expected
    assert replication.errors() == []
    assert types_of(databases.target_admin, TARGET)["amount"] == "numeric"
    keys = databases.target_admin.fetch_all(
        f"select indisprimary, pg_get_indexdef(indexrelid) from pg_index where indrelid = '{TARGET}'::regclass"
    )
    assert {(primary, definition.split("USING btree ")[1]) for primary, definition in keys} == {
        (True, '(origin, "Label")'),
        (False, '(employee_id, "início")'),
    }
    assert_reload_gives_the_same(databases, replication, TARGET)
    databases.source_admin.execute("truncate employees.salary")
    replication.catch_up()
    assert dump(databases.target_admin, TARGET) == []


def test_errors_metadata_and_status_name_the_renamed_table(databases, replicate):
    databases.source_admin.execute(SALARIES)
    replication = replicate(SALARY, transformations=SALARY_ENTRIES)
    replication.setup()
    replication.load()
    databases.target_admin.execute(f"delete from {TARGET} where employee_id = 1")

    databases.source_admin.execute("update employees.salary set amount = 1 where employee_id = 1")
    replication.catch_up()

    errors = replication.metadata(
        "select target_schema, target_table, key_values::text from trempy.apply_errors where task_name = {task}"
    )
    assert errors == [
        ("Funcionários", 'sal"ário', '{"início": "2000-01-02", "employee_id": "1"}'),
    ]
    told = status(replication.task, source=replication.source, target=replication.target)
    assert [str(table.target) for table in told.tables] == ['"Funcionários"."sal""ário"']

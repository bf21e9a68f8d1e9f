from __future__ import annotations

import copy
from typing import Any

import pytest

from trempy_provider.config.loader import load_task
from trempy_provider.errors import SettingsError

TABLE = {"schema_name": "public", "table_name": "orders"}
OTHER_TABLE = {"schema_name": "public", "table_name": "lines"}


def settings(task: object = None, **sections: Any) -> dict[str, Any]:
    extra = task if isinstance(task, dict) else {}
    return {"task": {"task_name": "orders", **extra}, "tables": [TABLE], **sections}


def full_load(**options: object) -> dict[str, Any]:
    return settings({"full_load_settings": options})


def cdc(**options: object) -> dict[str, Any]:
    return settings({"cdc_settings": options})


def table(**options: object) -> dict[str, Any]:
    return settings(tables=[{**TABLE, **options}])


def row_filter(table_info: object = TABLE, **options: object) -> dict[str, Any]:
    return settings(filters=[{"table_info": table_info, "settings": {"column_name": "c", **options}}])


def transformation(kind: str, contract: object, **options: object) -> dict[str, Any]:
    entry = {
        "table_info": TABLE,
        "settings": {"transformation_type": kind, "contract": contract, **options},
    }
    return settings(transformations=[entry])


def value_operation(operation: str, **contract: object) -> dict[str, Any]:
    return transformation("modify_column_value", {"operation": operation, "column_name": "c", **contract})


def new_column(operation: str, **contract: object) -> dict[str, Any]:
    return transformation("create_column", {"operation": operation, "new_column_name": "n", **contract})


def changes(*entries: tuple[str, int, dict[str, object]], **options: object) -> dict[str, Any]:
    listed = [
        {"table_info": TABLE, "settings": {"transformation_type": kind, "priority": priority, "contract": c}}
        for kind, priority, c in entries
    ]
    return settings(**{"transformations": listed, **options})


VALUE = "filters[0].settings.value"
CONTRACT = "transformations[0].settings.contract"
OPERATION = f"{CONTRACT}.operation"
RENAME = ("modify_column_name", 0, {"column_name": "a", "target_column_name": "b"})
TO_SALES = {"transformation_type": "modify_table_name", "contract": {"target_table_name": "sales"}}

BAD_FIELDS = [
    pytest.param({"tables": [TABLE]}, "task", "is required", id="no task"),
    pytest.param(settings(tabels=[]), "tabels", "unknown key, did you mean tables?", id="section misspelt"),
    pytest.param(settings(tables=[]), "tables", "a list of 1 or more", id="no tables"),
    pytest.param(settings(tables={}), "tables", "wrong type; seen {}", id="tables not a list"),
    pytest.param(settings(tables=["public.orders"]), "tables[0]", "wrong type", id="table not an object"),
    pytest.param(settings(filters=None), "filters", "wrong type; seen null", id="filters null"),
    pytest.param({"task": "x", "tables": [TABLE]}, "task", 'wrong type; seen "x"', id="task not an object"),
    pytest.param({"task": {}, "tables": [TABLE]}, "task.task_name", "is required", id="task without name"),
    pytest.param(settings({"task_name": "My-Task"}), "task.task_name", "lower-case", id="task name"),
    pytest.param(settings({"task_name": ""}), "task.task_name", 'seen ""', id="task name empty"),
    pytest.param(settings({"task_name": "t" * 51}), "task.task_name", "1 to 50", id="task name too long"),
    pytest.param(settings({"task_name": "a\n"}), "task.task_name", "lower-case", id="task name newline"),
    pytest.param(settings({"task_name": 7}), "task.task_name", "wrong type; seen 7", id="task name number"),
    pytest.param(
        settings({"replication_type": "full"}),
        "task.replication_type",
        "allowed: full_load, cdc, full_load_and_cdc",
        id="replication type",
    ),
    pytest.param(
        settings({"replication_typ": "cdc"}), "task.replication_typ", "mean replication_type?", id="key"
    ),
    pytest.param(settings({"start_mode": "restart"}), "task.start_mode", "reload, continue", id="start mode"),
    pytest.param(
        settings({"interval_seconds": 0}), "task.interval_seconds", "greater than 0", id="interval zero"
    ),
    pytest.param(
        settings({"interval_seconds": "10"}), "task.interval_seconds", 'seen "10"', id="interval text"
    ),
    pytest.param(
        settings({"interval_seconds": True}), "task.interval_seconds", "seen true", id="interval bool"
    ),
    pytest.param(
        settings({"create_table_if_not_exists": "yes"}),
        "task.create_table_if_not_exists",
        "allowed: true or false",
        id="flag as text",
    ),
    pytest.param(
        settings({"create_table_if_not_exists": 1}),
        "task.create_table_if_not_exists",
        "wrong type; seen 1",
        id="flag as number",
    ),
    pytest.param(
        settings({"source_conn_id": "my source"}), "task.source_conn_id", "connection id", id="connection id"
    ),
    pytest.param(settings({"owner": 5}), "task.owner", "allowed: text", id="owner number"),
    pytest.param(
        full_load(recreate_table=True),
        "task.full_load_settings.recreate_table",
        "did you mean recreate_table_if_exists?",
        id="full load key",
    ),
    pytest.param(
        full_load(parallel_streams=0),
        "task.full_load_settings.parallel_streams",
        "from 1 to 64",
        id="no streams",
    ),
    pytest.param(
        full_load(parallel_streams=2.5),
        "task.full_load_settings.parallel_streams",
        "a whole number",
        id="half a stream",
    ),
    pytest.param(
        full_load(schedule="every day"), "task.full_load_settings.schedule", "not a schedule", id="schedule"
    ),
    pytest.param(
        full_load(schedule="@dayly"), "task.full_load_settings.schedule", "@daily", id="schedule preset"
    ),
    pytest.param(
        full_load(schedule="61 * * * *"),
        "task.full_load_settings.schedule",
        "`61` in the minute field",
        id="schedule minute",
    ),
    pytest.param(
        full_load(schedule="0 0 * * fry"),
        "task.full_load_settings.schedule",
        "weekday field",
        id="schedule weekday",
    ),
    pytest.param(
        full_load(schedule="*/0 * * * *"),
        "task.full_load_settings.schedule",
        "minute field",
        id="schedule step zero",
    ),
    pytest.param(
        settings({"replication_type": "cdc", "full_load_settings": {"schedule": "@daily"}}),
        "task.full_load_settings.schedule",
        "contradicts task.replication_type cdc",
        id="schedule of a task that never loads",
    ),
    pytest.param(
        cdc(mode="merge"), "task.cdc_settings.mode", 'seen "merge"; allowed: default, upsert, scd2', id="mode"
    ),
    pytest.param(cdc(mode=None), "task.cdc_settings.mode", "seen null", id="mode null"),
    pytest.param(
        cdc(batch_max_bytes=10), "task.cdc_settings.batch_max_bytes", "from 1024", id="batch too small"
    ),
    pytest.param(
        cdc(batch_max_age_seconds=-1),
        "task.cdc_settings.batch_max_age_seconds",
        "greater than 0",
        id="negative age",
    ),
    pytest.param(
        cdc(prefetch_count=70000), "task.cdc_settings.prefetch_count", "from 1 to 65535", id="prefetch"
    ),
    pytest.param(
        cdc(trigger_minimum_seconds=1),
        "task.cdc_settings.trigger_minimum_seconds",
        "from 3",
        id="trigger too quick",
    ),
    pytest.param(
        cdc(schema_evolution="aply"),
        "task.cdc_settings.schema_evolution",
        "did you mean apply?",
        id="schema evolution",
    ),
    pytest.param(
        cdc(on_dead_letter="skip"), "task.cdc_settings.on_dead_letter", "stop, continue", id="dead letter"
    ),
    pytest.param(cdc(truncate=True), "task.cdc_settings.truncate", "replicate, ignore", id="truncate"),
    pytest.param(cdc(origin="local"), "task.cdc_settings.origin", "any, none", id="origin"),
    pytest.param(cdc(apply_lanes=17), "task.cdc_settings.apply_lanes", "from 1 to 16", id="too many lanes"),
    pytest.param(
        cdc(apply_lanes=2, merge_transactions=False),
        "task.cdc_settings.apply_lanes",
        "1, or merge_transactions true",
        id="lanes and whole transactions",
    ),
    pytest.param(
        cdc(apply_lanes=2, origin="none"),
        "task.cdc_settings.apply_lanes",
        "1, or origin any",
        id="lanes and origins",
    ),
    pytest.param(cdc(failover_slot=1), "task.cdc_settings.failover_slot", "true or false", id="failover"),
    pytest.param(
        cdc(scd2_settings={"end_date_column_name": "scd_start_date"}),
        "task.cdc_settings.scd2_settings.end_date_column_name",
        "another SCD2 column",
        id="scd2 names equal",
    ),
    pytest.param(
        cdc(scd2_settings={"start_column": "x"}),
        "task.cdc_settings.scd2_settings.start_column",
        "did you mean start_date_column_name?",
        id="scd2 key",
    ),
    pytest.param(
        settings(error_handling={"stop_if_merge_error": True}),
        "error_handling.stop_if_merge_error",
        "unknown key",
        id="error handling key",
    ),
    pytest.param(
        settings(error_handling={"stop_if_insert_error": "false"}),
        "error_handling.stop_if_insert_error",
        'seen "false"; allowed: true or false',
        id="error handling text",
    ),
    pytest.param(
        settings(tables=[{"schema_name": "s"}]), "tables[0].table_name", "is required", id="table name"
    ),
    pytest.param(table(schema_name=""), "tables[0].schema_name", "is empty", id="schema name empty"),
    pytest.param(table(table_name="ü" * 32), "tables[0].table_name", "64 bytes", id="table name too long"),
    pytest.param(table(table_name="a\0b"), "tables[0].table_name", "NUL", id="table name with NUL"),
    pytest.param(table(table_name="\ud800"), "tables[0].table_name", "surrogate", id="table name surrogate"),
    pytest.param(table(priority=5), "tables[0].priority", "seen 5; allowed: a whole number from 0 to 4"),
    pytest.param(table(priority="1"), "tables[0].priority", 'wrong type; seen "1"', id="priority text"),
    pytest.param(table(columns=[]), "tables[0].columns", "1 or more", id="no columns"),
    pytest.param(table(columns=["a", "a"]), "tables[0].columns", "listed twice", id="column twice"),
    pytest.param(table(columns="a"), "tables[0].columns", "wrong type", id="columns text"),
    pytest.param(table(columns=["a", 1]), "tables[0].columns[1]", "wrong type; seen 1", id="column number"),
    pytest.param(
        table(columns=["a"], exclude_columns=["b"]),
        "tables[0].exclude_columns",
        "contradicts columns",
        id="columns and exclude_columns",
    ),
    pytest.param(
        table(operations=["insert", "upsert"]),
        "tables[0].operations[1]",
        "insert, update, delete, truncate",
        id="operation",
    ),
    pytest.param(table(operations=[]), "tables[0].operations", "1 or more", id="no operations"),
    pytest.param(settings(tables=[TABLE, TABLE]), "tables[1]", "already, as tables[0]", id="table twice"),
    pytest.param(
        row_filter(OTHER_TABLE, filter_type="is_null"),
        "filters[0].table_info",
        "is not a table of this task; seen public.lines; allowed: public.orders",
        id="filter of another table",
    ),
    pytest.param(
        settings(filters=[{"table_info": TABLE}]), "filters[0].settings", "is required", id="filter without"
    ),
    pytest.param(settings(filters=[{"settings": {}}]), "filters[0].table_info", "required", id="no table"),
    pytest.param(
        row_filter(value=1), "filters[0].settings.filter_type", "is required; allowed: between", id="no type"
    ),
    pytest.param(
        row_filter(filter_type="equal", value=1),
        "filters[0].settings.filter_type",
        "did you mean equals?",
        id="filter type",
    ),
    pytest.param(
        row_filter(filter_type=["in"], values=[1]),
        "filters[0].settings.filter_type",
        'seen ["in"]',
        id="filter type list",
    ),
    pytest.param(
        settings(filters=[{"table_info": TABLE, "settings": {"filter_type": "is_null"}}]),
        "filters[0].settings.column_name",
        "is required",
        id="filter without column",
    ),
    pytest.param(
        row_filter(filter_type="equals"), VALUE, "is required", id="equals without value"
    ),
    pytest.param(
        row_filter(filter_type="equals", value=None), VALUE, "seen null", id="equals null"
    ),
    pytest.param(
        row_filter(filter_type="equals", value=[1]), VALUE, "seen [1]", id="equals list"
    ),
    pytest.param(
        row_filter(filter_type="equals", value=1, values=[1]),
        "filters[0].settings.values",
        "does not belong to the filter_type equals",
        id="equals with values",
    ),
    pytest.param(
        row_filter(filter_type="is_null", value=1),
        VALUE,
        "does not belong to the filter_type is_null",
        id="is_null with value",
    ),
    pytest.param(
        row_filter(filter_type="equals", value=float("nan")), VALUE, "finite", id="NaN"
    ),
    pytest.param(
        row_filter(filter_type="greater_than", value=True),
        VALUE,
        "allowed: text or a number",
        id="greater than true",
    ),
    pytest.param(
        row_filter(filter_type="in", values=[]), "filters[0].settings.values", "1 or more", id="in nothing"
    ),
    pytest.param(
        row_filter(filter_type="in", values=[1, None]),
        "filters[0].settings.values[1]",
        "seen null",
        id="in with null",
    ),
    pytest.param(
        row_filter(filter_type="in", value=1), "filters[0].settings.values", "is required", id="in with value"
    ),
    pytest.param(
        row_filter(filter_type="between", lower=1),
        "filters[0].settings.upper",
        "is required",
        id="between without upper",
    ),
    pytest.param(
        row_filter(filter_type="between", lower=9, upper=1),
        "filters[0].settings.lower",
        "greater than upper, 1; seen 9",
        id="between empty",
    ),
    pytest.param(
        row_filter(filter_type="not_between", lower="9", upper=1),
        "filters[0].settings.lower",
        "greater than upper",
        id="not between empty",
    ),
    pytest.param(
        row_filter(filter_type="between", lower=1, upper="z"),
        "filters[0].settings.upper",
        "cannot be compared",
        id="between number and text",
    ),
    pytest.param(
        row_filter(filter_type="contains", value=5),
        VALUE,
        "wrong type; seen 5; allowed: text",
        id="contains number",
    ),
    pytest.param(
        row_filter(filter_type="date_equals", value="31/12/2024"),
        VALUE,
        "not a date; seen",
        id="date in another order",
    ),
    pytest.param(
        row_filter(filter_type="date_equals", value="2023-02-29"),
        VALUE,
        "an ISO date",
        id="day that does not exist",
    ),
    pytest.param(
        row_filter(filter_type="date_less_than", value=20240101),
        VALUE,
        "wrong type",
        id="date as a number",
    ),
    pytest.param(
        row_filter(filter_type="date_between", lower="2024-02-01", upper="2024-01-01"),
        "filters[0].settings.lower",
        "later than upper, 2024-01-01",
        id="days empty",
    ),
    pytest.param(
        settings(
            tables=[{**TABLE, "exclude_columns": ["secret"]}],
            filters=[{"table_info": TABLE, "settings": {"filter_type": "is_null", "column_name": "secret"}}],
        ),
        "filters[0].settings.column_name",
        "never leaves the source: see exclude_columns of public.orders",
        id="filter on an excluded column",
    ),
    pytest.param(
        transformation("rename_table", {}),
        "transformations[0].settings.transformation_type",
        "modify_table_name",
        id="transformation type",
    ),
    pytest.param(
        transformation("modify_table_name", {"target_table_name": "x"}, priority=-1),
        "transformations[0].settings.priority",
        "from 0 to 4",
        id="transformation priority",
    ),
    pytest.param(
        transformation("modify_table_name", {"target_schema_name": "x"}),
        f"{CONTRACT}.target_schema_name",
        "did you mean target_table_name?",
        id="contract of another transformation",
    ),
    pytest.param(
        transformation("modify_column_name", {"column_name": "a", "target_column_name": "a"}),
        f"{CONTRACT}.target_column_name",
        "has already",
        id="rename to the same name",
    ),
    pytest.param(
        transformation("add_primary_key", {"column_names": "id"}),
        f"{CONTRACT}.column_names",
        "a list of 1 or more",
        id="key as text",
    ),
    pytest.param(
        transformation("modify_column_value", {"column_name": "c"}),
        OPERATION,
        "is required",
        id="no operation",
    ),
    pytest.param(
        value_operation("upercase"), OPERATION, "did you mean uppercase?", id="operation misspelt"
    ),
    pytest.param(
        value_operation("literal", value=1), OPERATION, "not an allowed", id="operation of create"
    ),
    pytest.param(
        value_operation("trim", format="%Y"),
        f"{CONTRACT}.format",
        "does not belong to the operation trim",
        id="trim with format",
    ),
    pytest.param(
        value_operation("format_date", format="%d %Z"), f"{CONTRACT}.format", "the code `%Z`", id="time zone"
    ),
    pytest.param(
        value_operation("format_date", format="YYYY-MM-DD"), f"{CONTRACT}.format", "no format code", id="code"
    ),
    pytest.param(
        value_operation("math_expression"), f"{CONTRACT}.expression", "is required", id="no expression"
    ),
    pytest.param(
        value_operation("math_expression", expression="value; drop table x"),
        f"{CONTRACT}.expression",
        "not allowed at position 6: ';'",
        id="expression with SQL",
    ),
    pytest.param(
        value_operation("math_expression", expression="amount * 2 + value"),
        f"{CONTRACT}.expression",
        "`amount` at position 1",
        id="expression with another column",
    ),
    pytest.param(
        value_operation("math_expression", expression="(value + 1"),
        f"{CONTRACT}.expression",
        "not closed",
        id="parenthesis open",
    ),
    pytest.param(
        value_operation("math_expression", expression="value / 0.0"),
        f"{CONTRACT}.expression",
        "divides by zero",
        id="division by zero",
    ),
    pytest.param(
        value_operation("redact", replacement=0), f"{CONTRACT}.replacement", "allowed: text", id="redact"
    ),
    pytest.param(
        value_operation("hash", salt="secret"), f"{CONTRACT}.salt", "mean salt_conn_id?", id="salt"
    ),
    pytest.param(
        new_column("literal", value=1, value_type="int"), f"{CONTRACT}.value_type", "integer", id="value type"
    ),
    pytest.param(
        new_column("literal", value_type="text"), f"{CONTRACT}.value", "is required", id="no value"
    ),
    pytest.param(
        new_column("literal", value=40000, value_type="smallint"),
        f"{CONTRACT}.value",
        "not of the type smallint; seen 40000; allowed: a whole number from -32768 to 32767",
        id="literal out of range",
    ),
    pytest.param(
        new_column("literal", value="maybe", value_type="boolean"),
        f"{CONTRACT}.value",
        "true or false",
        id="literal boolean",
    ),
    pytest.param(
        new_column("literal", value="2024-W01-1", value_type="date"),
        f"{CONTRACT}.value",
        "an ISO date",
        id="literal date",
    ),
    pytest.param(
        new_column("literal", value="2024-13-01 10:00", value_type="timestamp"),
        f"{CONTRACT}.value",
        "an ISO timestamp",
        id="literal timestamp",
    ),
    pytest.param(
        new_column("concat", depends_on=[]), f"{CONTRACT}.depends_on", "1 or more", id="concat of nothing"
    ),
    pytest.param(
        new_column("date_diff_years", depends_on=["a", "b", "c"]),
        f"{CONTRACT}.depends_on",
        "exactly 2",
        id="difference of three dates",
    ),
    pytest.param(
        new_column("date_diff_years", depends_on=["a"]),
        f"{CONTRACT}.depends_on",
        "exactly 2",
        id="difference of one date",
    ),
    pytest.param(
        new_column("date_now", value=1), f"{CONTRACT}.value", "does not belong to", id="date_now"
    ),
    pytest.param(
        changes(RENAME, ("modify_column_value", 1, {"operation": "trim", "column_name": "a"})),
        "transformations[1].settings.contract.column_name",
        "was renamed before, by transformations[0]",
        id="column read after its renaming",
    ),
    pytest.param(
        changes(RENAME, ("create_column", 1, {"operation": "date_now", "new_column_name": "b"})),
        "transformations[1].settings.contract.new_column_name",
        "is a column already: transformations[0]",
        id="column made twice",
    ),
    pytest.param(
        changes(RENAME, task={"task_name": "t", "cdc_settings": {"mode": "scd2", "scd2_settings": {
            "current_column_name": "b"}}}),
        f"{CONTRACT}.target_column_name",
        "SCD2 adds it",
        id="column with the name of an SCD2 column",
    ),
    pytest.param(
        settings(tables=[TABLE, OTHER_TABLE], transformations=[
            {"table_info": TABLE, "settings": TO_SALES}, {"table_info": OTHER_TABLE, "settings": TO_SALES}]),
        "tables[1]",
        "would be written to public.sales on the target, as tables[0] is",
        id="two tables with one target",
    ),
    pytest.param(
        settings(tables=[{"schema_name": "public", "table_name": "*"}], transformations=[
            {"table_info": {"schema_name": "public", "table_name": "*"}, "settings": TO_SALES}]),
        f"{CONTRACT}.target_table_name",
        "one name for all tables that match public.*",
        id="pattern renamed to one table",
    ),
    pytest.param(
        settings({"source_conn_id": "db", "target_conn_id": "db"}),
        "task.target_conn_id",
        "tables[0] would be written onto itself",
        id="source is the target",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "path", "words"), BAD_FIELDS)
def test_bad_field_is_named_with_what_was_seen_and_what_is_allowed(
    bad: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_task(bad, origin="orders.json")

    (problem,) = [problem for problem in caught.value.problems if problem.path == path]
    assert words in str(problem)
    assert f"\n  {path}: " in str(caught.value)
    assert str(caught.value).startswith("orders.json: ")


def test_table_of_bad_settings_is_long_enough() -> None:
    assert len(BAD_FIELDS) >= 60


@pytest.mark.parametrize("name", ["Input", "pydantic", "type=", "https://", "kind"])
def test_wording_of_the_validation_library_never_leaks(name: str) -> None:
    for bad in BAD_FIELDS:
        with pytest.raises(SettingsError) as caught:
            load_task(bad.values[0], origin="orders.json")  # type: ignore[arg-type]
        assert name not in str(caught.value)


def test_value_of_an_unknown_key_that_sounds_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        load_task(settings({"password": "swordfish"}), origin="orders.json")

    assert "task.password: unknown key" in str(caught.value)
    assert "swordfish" not in str(caught.value)


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    bad = settings(
        {"interval_seconds": 0, "replication_type": "cdc", "full_load_settings": {"schedule": "@daily"}},
        tables=[TABLE, TABLE, {**OTHER_TABLE, "priority": 9}],
        filters=[{"table_info": TABLE, "settings": {"filter_type": "equals", "column_name": ""}}],
    )

    with pytest.raises(SettingsError) as caught:
        load_task(bad, origin="orders.json")

    assert [problem.path for problem in caught.value.problems] == [
        "task.interval_seconds",
        "tables[2].priority",
        "filters[0].settings.column_name",
        VALUE,
        "tables[1]",
    ]
    assert str(caught.value).startswith("orders.json: 5 problems in the settings\n")


def test_contradictions_are_all_reported_at_once() -> None:
    bad = settings(
        {"replication_type": "cdc", "full_load_settings": {"schedule": "@daily"}},
        tables=[TABLE, TABLE],
        filters=[{"table_info": OTHER_TABLE, "settings": {"filter_type": "is_null", "column_name": "c"}}],
    )

    with pytest.raises(SettingsError) as caught:
        load_task(bad, origin="orders.json")

    paths = {problem.path for problem in caught.value.problems}
    assert paths == {"task.full_load_settings.schedule", "tables[1]", "filters[0].table_info"}


def test_filter_is_not_blamed_for_a_table_whose_own_entry_is_wrong() -> None:
    bad = row_filter(OTHER_TABLE, filter_type="is_null")
    bad["tables"].append({**OTHER_TABLE, "priority": 9})

    with pytest.raises(SettingsError) as caught:
        load_task(bad, origin="orders.json")

    assert [problem.path for problem in caught.value.problems] == ["tables[1].priority"]


def test_long_values_are_shortened() -> None:
    with pytest.raises(SettingsError) as caught:
        load_task(cdc(mode="x" * 10_000), origin="orders.json")

    (problem,) = caught.value.problems
    assert problem.seen is not None
    assert len(problem.seen) == 60
    assert problem.seen.endswith("…")


def test_hint_says_how_to_validate_without_changing_anything() -> None:
    with pytest.raises(SettingsError) as caught:
        load_task({}, origin="orders.json")

    assert "trempy check" in caught.value.hint


def test_settings_that_were_refused_are_left_as_they_were() -> None:
    bad = row_filter(filter_type="is_null", value="", values=[1])
    before = copy.deepcopy(bad)

    with pytest.raises(SettingsError):
        load_task(bad, origin="orders.json")

    assert bad == before

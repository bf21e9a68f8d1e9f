from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import get_args

import pytest

from trempy_provider.config.filters import FilterSettings
from trempy_provider.config.loader import load_task, split_tasks
from trempy_provider.config.operations import ColumnOperation, FormatDate, MathExpression, ValueOperation
from trempy_provider.config.task import (
    ApplyModeName,
    OperationName,
    ReplicationTask,
    ReplicationType,
    SchemaEvolution,
    StartMode,
)
from trempy_provider.config.transformations import TransformationSettings
from trempy_provider.errors import SettingsError

FILES = Path(__file__).parent / "settings_files"
MINIMAL = {"task": {"task_name": "orders"}, "tables": [{"schema_name": "public", "table_name": "orders"}]}


def load_file(name: str) -> ReplicationTask:
    return load_task((FILES / name).read_bytes(), origin=name)


def kinds_of(union: object) -> set[str]:
    models = get_args(get_args(union)[0])
    return {get_args(model.model_fields["kind"].annotation)[0] for model in models}


def test_minimal_settings_have_the_defaults_of_the_format() -> None:
    task = load_task(MINIMAL, origin="test")

    assert task.replication_type is ReplicationType.FULL_LOAD
    assert task.start_mode is StartMode.RELOAD
    assert task.task.interval_seconds == 10
    assert not task.task.create_table_if_not_exists
    assert not task.full_load.recreate_table_if_exists
    assert not task.full_load.truncate_before_insert
    assert task.full_load.schedule is None
    assert task.cdc.mode is ApplyModeName.DEFAULT
    assert task.cdc.scd2_settings.column_names == ("scd_start_date", "scd_end_date", "scd_current")
    assert task.cdc.schema_evolution is SchemaEvolution.STOP
    policies = task.error_handling.model_dump()
    assert policies.pop("stop_after_errors") is None
    assert policies.pop("stop_after_errors_period_seconds") == 86400
    assert policies.pop("history_retention_days") == 90
    assert set(policies.values()) == {False}
    assert task.tables[0].priority == 2
    assert task.tables[0].columns is None
    assert task.tables[0].operations == tuple(OperationName)


def test_connections_have_default_names_and_metadata_lives_in_the_target() -> None:
    task = load_task(MINIMAL, origin="test")

    assert (task.source_conn_id, task.target_conn_id, task.broker_conn_id, task.metadata_conn_id) == (
        "trempy_source",
        "trempy_target",
        "trempy_broker",
        "trempy_target",
    )


def test_publication_and_slot_are_named_after_the_task() -> None:
    task = load_task(MINIMAL, origin="test")

    assert (task.publication_name, task.slot_name) == ("trempy_orders", "trempy_orders")


@pytest.mark.parametrize(
    ("replication_type", "loads_fully", "captures_changes"),
    [("full_load", True, False), ("cdc", False, True), ("full_load_and_cdc", True, True)],
)
def test_replication_type_says_what_the_task_does(
    replication_type: str, loads_fully: bool, captures_changes: bool
) -> None:
    settings = {**MINIMAL, "task": {"task_name": "orders", "replication_type": replication_type}}

    task = load_task(settings, origin="test")

    assert (task.loads_fully, task.captures_changes) == (loads_fully, captures_changes)


def test_trempy_file_with_every_filter_works_unchanged() -> None:
    task = load_file("trempy_upsert.json")

    assert {entry.settings.kind for entry in task.filters} == kinds_of(FilterSettings)
    assert task.cdc.mode is ApplyModeName.UPSERT
    assert task.error_handling.stop_if_upsert_error


def test_trempy_file_with_scd2_and_every_transformation_works_unchanged() -> None:
    task = load_file("trempy_scd2.json")

    assert {entry.settings.kind for entry in task.transformations} == kinds_of(TransformationSettings)
    operations = {getattr(entry.settings.contract, "kind", None) for entry in task.transformations} - {None}
    assert operations == (kinds_of(ValueOperation) | kinds_of(ColumnOperation)) - {"hash", "redact"}
    assert task.cdc.scd2_settings.column_names == ("valido_de", "valido_ate", "atual")


def test_every_added_key_is_read() -> None:
    task = load_file("everything.json")

    assert task.full_load.schedule == "30 2 * * mon-fri"
    assert task.cdc.batch_max_age_seconds == 0.5
    assert task.tables[0].columns == ("id", "status", "total")
    assert task.tables[0].operations == (OperationName.INSERT, OperationName.UPDATE)
    assert task.tables[1].exclude_columns == ("password",)
    assert task.metadata_conn_id == "warehouse_meta"


@pytest.mark.parametrize("name", ["trempy_upsert.json", "trempy_scd2.json", "everything.json"])
def test_task_that_is_written_back_reads_the_same(name: str) -> None:
    task = load_file(name)

    assert load_task(task.model_dump_json(), origin="written back") == task


@pytest.mark.parametrize("name", ["trempy_upsert.json", "trempy_scd2.json", "everything.json"])
def test_mapping_and_text_give_the_same_task(name: str) -> None:
    mapping = json.loads((FILES / name).read_text("utf-8"))

    assert load_task(mapping, origin="mapping") == load_file(name)


def test_byte_order_mark_is_accepted() -> None:
    text = json.dumps(MINIMAL)

    assert load_task("\ufeff" + text, origin="text") == load_task(text.encode("utf-8-sig"), origin="bytes")


def test_number_with_more_digits_than_a_float_keeps_all_of_them() -> None:
    text = json.dumps({**MINIMAL, "filters": [_filter(filter_type="equals", value=0)]})

    task = load_task(text.replace('"value": 0', '"value": 12345678901234567890.123'), origin="test")

    assert task.filters[0].settings.model_dump()["value"] == "12345678901234567890.123"


def test_time_of_day_of_a_date_filter_is_ignored() -> None:
    settings = {**MINIMAL, "filters": [_filter(filter_type="date_equals", value="2024-02-29T23:59:59.5")]}

    task = load_task(settings, origin="test")

    assert task.filters[0].settings.model_dump()["value"] == date(2024, 2, 29)


def test_empty_operand_left_behind_by_a_form_is_dropped() -> None:
    leftovers = {"value": "", "values": [], "lower": None}
    settings = {**MINIMAL, "filters": [_filter(filter_type="is_null", **leftovers)]}

    task = load_task(settings, origin="test")

    assert task.filters[0].settings.kind == "is_null"


def test_transformations_carry_their_parsed_expression_and_format() -> None:
    contracts = [entry.settings.contract for entry in load_file("trempy_scd2.json").transformations]

    (expression,) = [contract for contract in contracts if isinstance(contract, MathExpression)]
    (date_format,) = [contract for contract in contracts if isinstance(contract, FormatDate)]
    assert "ColumnValue()" in repr(expression.tree)
    assert "".join(part.text for part in date_format.parts) == "DD/MM/YYYY HH24:MI:SS"


@pytest.mark.parametrize(
    "schedule", ["@daily", "0 0 * * *", "*/15 1-5,23 L jan-MAR 5#2", "0 3 1,15 * sun", "0-59/5 * * * 7"]
)
def test_cron_expression_or_preset_is_a_schedule(schedule: str) -> None:
    settings = {**MINIMAL, "task": {"task_name": "orders", "full_load_settings": {"schedule": schedule}}}

    assert load_task(settings, origin="test").full_load.schedule == schedule


@pytest.mark.parametrize("name", ['say "hi"', "semi;colon", "a.b", "ü" * 31, "x" * 63, " ", "select"])
def test_any_identifier_of_63_bytes_is_a_name(name: str) -> None:
    settings = {**MINIMAL, "tables": [{"schema_name": name, "table_name": name}]}

    task = load_task(settings, origin="test")

    assert task.tables[0].matches(name, name)
    assert not task.tables[0].is_pattern


def test_full_load_task_may_carry_the_settings_of_cdc() -> None:
    cdc = {"mode": "default", "scd2_settings": {"current_column_name": "is_current"}}
    settings = {**MINIMAL, "task": {"task_name": "orders", "cdc_settings": cdc}}

    assert load_task(settings, origin="test").cdc.scd2_settings.current_column_name == "is_current"


def test_column_may_be_read_by_its_new_name_after_its_renaming_only() -> None:
    rename = _transformation(
        "modify_column_name", priority=1, column_name="amount", target_column_name="price"
    )
    before = _transformation("modify_column_value", priority=0, operation="trim", column_name="amount")
    after = _transformation("modify_column_value", priority=2, operation="trim", column_name="price")

    task = load_task({**MINIMAL, "transformations": [rename, before, after]}, origin="test")

    assert len(task.transformations) == 3


@pytest.mark.timeout(5)
def test_thousands_of_tables_and_filters_are_checked_in_no_time() -> None:
    tables = [{"schema_name": "public", "table_name": f"t{i}"} for i in range(3000)]
    filters = [
        {"table_info": table, "settings": {"filter_type": "is_null", "column_name": "c"}} for table in tables
    ]

    task = load_task({"task": {"task_name": "orders"}, "tables": tables, "filters": filters}, origin="test")

    assert len(task.filters) == 3000


def test_many_tasks_are_an_object_in_which_no_name_is_repeated() -> None:
    with pytest.raises(SettingsError, match="wrong type"):
        split_tasks("[]", origin="Variable trempy_tasks")
    with pytest.raises(SettingsError, match="orders: is written twice"):
        split_tasks('{"orders": {}, "orders": {}}', origin="Variable trempy_tasks")


def _filter(**settings: object) -> dict[str, object]:
    table = {"schema_name": "public", "table_name": "orders"}
    return {"table_info": table, "settings": {"column_name": "c", **settings}}


def _transformation(kind: str, *, priority: int, **contract: object) -> dict[str, object]:
    table = {"schema_name": "public", "table_name": "orders"}
    settings = {"transformation_type": kind, "priority": priority, "contract": contract}
    return {"table_info": table, "settings": settings}

from __future__ import annotations

from pathlib import Path

import pytest

from trempy_provider.config.loader import load_task
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.unsupported import find_unsupported, refuse_unsupported
from trempy_provider.errors import UnsupportedOptionError

FILES = Path(__file__).parent / "settings_files"


def load_file(name: str) -> ReplicationTask:
    return load_task((FILES / name).read_bytes(), origin=name)


def test_every_option_that_is_not_executed_is_named_by_its_path() -> None:
    found = {problem.path: problem.seen for problem in find_unsupported(load_file("everything.json"))}

    assert found == {
        "task.metadata_conn_id": '"warehouse_meta"',
    }


def test_an_option_that_is_not_executed_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        refuse_unsupported(load_file("everything.json"), origin="everything.json")

    assert "task.metadata_conn_id: " in str(caught.value)


@pytest.mark.parametrize("name", ["trempy_scd2.json", "trempy_upsert.json"])
def test_settings_of_trempy_are_executed_as_they_are(name: str) -> None:
    assert find_unsupported(load_file(name)) == []


def test_patterns_columns_operations_and_policies_are_executed() -> None:
    settings = {
        "task": {
            "task_name": "orders",
            "replication_type": "full_load_and_cdc",
            "target_conn_id": "warehouse",
            "metadata_conn_id": "warehouse",
            "full_load_settings": {"schedule": "@daily"},
            "cdc_settings": {"mode": "scd2", "truncate": "ignore", "on_dead_letter": "continue"},
        },
        "error_handling": {"stop_if_scd2_error": True},
        "tables": [
            {"schema_name": "*", "table_name": "a*", "exclude_columns": ["x"], "operations": ["insert"]},
            {"schema_name": "s", "table_name": "t", "columns": ["x"]},
        ],
    }
    task = load_task(settings, origin="test")

    refuse_unsupported(task, origin="test")

    assert find_unsupported(task) == []

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from trempy_provider.config.loader import task_json_schema
from trempy_provider.config.reference import settings_reference_markdown

FILES = sorted((Path(__file__).parent / "settings_files").glob("*.json"))
TABLE = {"schema_name": "public", "table_name": "orders"}


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(task_json_schema())


def keys_and_nodes() -> Iterator[tuple[str, dict[str, Any]]]:
    schema = task_json_schema()
    for name, node in {"ReplicationTask": schema, **schema["$defs"]}.items():
        for key, field in node.get("properties", {}).items():
            yield f"{name}.{key}", field


def with_filter(**settings: object) -> dict[str, Any]:
    return {
        "task": {"task_name": "a"},
        "tables": [TABLE],
        "filters": [{"table_info": TABLE, "settings": {"column_name": "c", **settings}}],
    }


def with_contract(kind: str, **contract: object) -> dict[str, Any]:
    settings = {"transformation_type": kind, "contract": contract}
    return {
        "task": {"task_name": "a"},
        "tables": [TABLE],
        "transformations": [{"table_info": TABLE, "settings": settings}],
    }


def test_schema_is_valid_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(task_json_schema())

    assert task_json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_example_files_fulfil_the_schema(file: Path) -> None:
    validator().validate(json.loads(file.read_text("utf-8")))


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({}, id="empty"),
        pytest.param({"task": {"task_name": "a"}, "tables": []}, id="no tables"),
        pytest.param({"task": {"task_name": "A"}, "tables": [TABLE]}, id="task name"),
        pytest.param({"task": {"task_name": "a", "x": 1}, "tables": [TABLE]}, id="unknown key"),
        pytest.param({"task": {"task_name": "a"}, "tables": [{**TABLE, "priority": 5}]}, id="priority"),
        pytest.param({"task": {"task_name": "a", "interval_seconds": 0}, "tables": [TABLE]}, id="interval"),
        pytest.param(with_filter(filter_type="equals"), id="equals without value"),
        pytest.param(with_filter(filter_type="is_null", value=1), id="is_null with value"),
        pytest.param(with_filter(filter_type="like", value="x"), id="filter type"),
        pytest.param(with_filter(filter_type="in", values=[]), id="in nothing"),
        pytest.param(with_filter(filter_type="date_equals", value="1.1.2024"), id="date"),
        pytest.param(with_contract("create_column", operation="uppercase", column_name="c"), id="operation"),
        pytest.param(with_contract("modify_table_name", target_table_name=""), id="empty name"),
        pytest.param(
            with_contract(
                "modify_column_value", operation="math_expression", column_name="c", expression="a+b"
            ),
            id="expression",
        ),
        pytest.param(
            with_contract(
                "create_column", operation="date_diff_years", new_column_name="n", depends_on=["a"]
            ),
            id="one date",
        ),
    ],
)
def test_bad_settings_break_the_schema(bad: dict[str, Any]) -> None:
    assert not validator().is_valid(bad)


def test_leftovers_of_a_form_fulfil_the_schema() -> None:
    validator().validate(with_filter(filter_type="is_null", value="", values=[], lower=None))


@pytest.mark.parametrize(("key", "node"), [pytest.param(*pair, id=pair[0]) for pair in keys_and_nodes()])
def test_every_key_has_a_description_that_is_a_sentence(key: str, node: dict[str, Any]) -> None:
    assert node["description"][0].isupper()
    assert node["description"].endswith(".")


def test_schema_that_a_caller_changes_is_the_callers_own() -> None:
    task_json_schema()["properties"].clear()

    assert task_json_schema()["properties"]


@pytest.mark.parametrize("key", sorted({key.partition(".")[2] for key, _ in keys_and_nodes()}))
def test_reference_names_every_key(key: str) -> None:
    shared = {"contract", "description", "settings", "table_info", "values"}

    assert key in shared or f"`{key}`" in settings_reference_markdown()


def test_reference_has_a_row_for_every_filter_and_transformation() -> None:
    reference = settings_reference_markdown()

    for discriminator in ("filter_type", "transformation_type", "operation"):
        nodes = task_json_schema()["$defs"].values()
        kinds = [
            n["properties"][discriminator]["const"] for n in nodes if discriminator in n.get("properties", {})
        ]
        assert all(f"`{kind}`" in reference for kind in kinds)
        assert kinds


def test_reference_is_made_of_whole_tables() -> None:
    rows = [line for line in settings_reference_markdown().splitlines() if line.startswith("|")]

    assert all(row.endswith(" |") for row in rows)
    assert {row.replace("\\|", "").count("|") for row in rows} <= {4, 5}

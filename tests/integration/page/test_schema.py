"""The check while somebody types says what the schema says."""

from copy import deepcopy

from jsonschema import Draft202012Validator
from playwright.sync_api import Page

from tests.support.browser import Watch
from tests.support.page_site import SETTINGS, PageSite
from trempy_provider.config.loader import task_json_schema

ORDERS = {"schema_name": "shop", "table_name": "orders"}
CHANGES = [
    ("task", "task_name", "Orders"),
    ("task", "task_name", ""),
    ("task", "task_name", "x" * 51),
    ("task", "replication_type", "sometimes"),
    ("task", "interval_seconds", 0),
    ("task", "interval_seconds", 0.5),
    ("task", "interval_seconds", True),
    ("task", "interval_seconds", None),
    ("task", "unknown", 1),
    ("task", "cdc_settings", {"batch_max_rows": 1.5}),
    ("task", "cdc_settings", {"batch_max_rows": 10, "mode": "scd2"}),
    ("task", "full_load_settings", {"schedule": None}),
    ("error_handling", "stop_after_errors", None),
    ("error_handling", "stop_after_errors", 0),
    ("error_handling", "stop_if_insert_error", "yes"),
]
WHOLE = [
    ("tables", []),
    ("tables", [{"schema_name": "shop"}]),
    ("tables", [ORDERS, {**ORDERS, "priority": 5}]),
    ("tables", [{**ORDERS, "columns": None, "operations": ["insert"]}]),
    ("tables", [{**ORDERS, "operations": ["merge"]}]),
    (
        "filters",
        [{"table_info": ORDERS, "settings": {"filter_type": "equals", "column_name": "id", "value": 1}}],
    ),
    ("filters", [{"table_info": ORDERS, "settings": {"filter_type": "equals", "column_name": "id"}}]),
    ("filters", [{"table_info": ORDERS, "settings": {"filter_type": "resembles", "column_name": "id"}}]),
    (
        "filters",
        [{"table_info": ORDERS, "settings": {"filter_type": "in", "column_name": "id", "values": [1, "a"]}}],
    ),
    ("transformations", "none"),
    ("nonsense", {}),
]


def variants() -> list[object]:
    """Return settings with one change each, and what are no settings at all."""
    found: list[object] = [SETTINGS, [], None, "text", {}]
    for part, key, value in CHANGES:
        changed = deepcopy(SETTINGS)
        changed.setdefault(part, {})[key] = value
        found.append(changed)
    found.extend({**SETTINGS, key: value} for key, value in WHOLE)
    return found


def test_browser_accepts_and_refuses_what_the_schema_does(page: Page, site: PageSite, watch: Watch) -> None:
    schema = task_json_schema()
    page.goto(site.page)

    verdicts = page.evaluate(
        """async ([schema, values]) => {
            const { check } = await import(new URL("static/schema.js", location.href.split("#")[0]));
            return values.map(value => check(value, schema).length === 0);
        }""",
        [schema, variants()],
    )

    validator = Draft202012Validator(schema)
    assert dict(enumerate(verdicts)) == {
        number: validator.is_valid(value) for number, value in enumerate(variants())
    }
    assert {True, False} == set(verdicts)

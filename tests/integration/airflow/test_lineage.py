"""What OpenLineage is told: with its own package, as Airflow's provider asks for it."""

import json
from urllib.parse import urlsplit

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from openlineage.client.serde import Serde

from tests.integration.airflow.conftest import make_settings
from trempy_provider.operators.apply import TrempyApplyOperator
from trempy_provider.operators.full_load import TrempyFullLoadOperator

HOSTILE = 'or"ders.<script>'


@pytest.fixture
def shop_settings(task_name):
    table = {"schema_name": "public", "table_name": HOSTILE}

    def change(transformation_type, **contract):
        return {
            "table_info": table,
            "settings": {"transformation_type": transformation_type, "contract": contract},
        }

    settings = make_settings(task_name)
    settings["tables"] = [{**table, "exclude_columns": ["notes"]}]
    settings["filters"] = [
        {
            "table_info": table,
            "settings": {"filter_type": "greater_than", "column_name": "amount", "value": 0},
        }
    ]
    settings["transformations"] = [
        change("modify_table_name", target_table_name="sales"),
        change("modify_column_name", column_name="id", target_column_name="order_id"),
        change("modify_column_value", operation="uppercase", column_name="customer"),
        change("modify_column_value", operation="hash", column_name="card"),
        change(
            "create_column",
            operation="concat",
            new_column_name="label",
            depends_on=["order_id", "customer"],
            separator="-",
        ),
    ]
    return settings


@pytest.fixture
def orders(connections, monkeypatch):
    connections.source_admin.execute(
        'create table public."or""ders.<script>" '
        "(id bigint primary key, customer text, card text, amount int, notes text)"
    )
    monkeypatch.setenv("AIRFLOW_CONN_TREMPY_SALT", "generic://:salt@")
    return connections


def told(operator):
    return DefaultExtractor(operator).extract_on_complete(None)


def test_output_is_made_of_the_columns_that_the_settings_say(orders, shop_settings):
    lineage = told(TrempyApplyOperator(task_id="tested", settings=shop_settings))

    (source,), (target,) = lineage.inputs, lineage.outputs
    source_uri, target_uri = urlsplit(orders.source_uri), urlsplit(orders.target_uri)
    assert source.namespace == f"postgres://{source_uri.hostname}:{source_uri.port}"
    assert source.name == f"{source_uri.path[1:]}.public.{HOSTILE}"
    assert target.name == f"{target_uri.path[1:]}.public.sales"
    schema = {field.name: field.type for field in target.facets["schema"].fields}
    assert list(schema) == ["order_id", "customer", "card", "amount", "label"]
    assert "notes" not in {field.name for field in source.facets["schema"].fields}
    facet = target.facets["columnLineage"]
    made_of = {
        name: [
            (f.field, f.transformations[0].subtype, f.transformations[0].masking) for f in column.inputFields
        ]
        for name, column in facet.fields.items()
    }
    assert made_of == {
        "order_id": [("id", "IDENTITY", False)],
        "customer": [("customer", "TRANSFORMATION", False)],
        "card": [("card", "TRANSFORMATION", True)],
        "amount": [("amount", "IDENTITY", False)],
        "label": [("id", "TRANSFORMATION", False), ("customer", "TRANSFORMATION", False)],
    }
    assert [(f.field, f.transformations[0].type) for f in facet.dataset] == [("amount", "INDIRECT")]


def test_lineage_has_no_secret_and_is_an_event_of_openlineage(orders, shop_settings):
    lineage = told(TrempyFullLoadOperator(task_id="tested", settings=shop_settings))

    text = json.dumps([json.loads(Serde.to_json(dataset)) for dataset in (*lineage.inputs, *lineage.outputs)])

    secrets = {urlsplit(uri).password for uri in (orders.source_uri, orders.target_uri)}
    assert not [secret for secret in secrets if secret in text]
    assert "columnLineage" in text


def test_full_load_tells_of_the_tables_it_was_asked_for(orders, task_name):
    orders.source_admin.execute("create table public.a (id int); create table public.b (id int)")
    settings = make_settings(task_name)
    settings["tables"] = [{"schema_name": "public", "table_name": "*"}]

    chosen = told(TrempyFullLoadOperator(task_id="tested", settings=settings, tables=["public.b"]))

    assert [dataset.name.rpartition(".")[2] for dataset in chosen.outputs] == ["b"]


def test_source_that_cannot_be_asked_leaves_the_lineage_out(orders, shop_settings, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_TREMPY_SOURCE", "postgres://nobody@127.0.0.1:1/nothing")

    assert told(TrempyApplyOperator(task_id="tested", settings=shop_settings)) is None

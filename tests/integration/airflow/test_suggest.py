"""The operator drafts for a person to approve: it saves nothing, and shows no row."""

import json
from argparse import ArgumentParser

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.support.model_server import API_KEY, MODEL, model_server, settings_answer
from trempy_provider.errors import ConfigurationError
from trempy_provider.hooks import connections as connection_lookups
from trempy_provider.hooks.settings import save_settings
from trempy_provider.operators.suggest import SuggestTaskOperator, as_code_block
from trempy_provider.plugins.commands import get_commands
from trempy_provider.plugins.run_command import run_suggest

ORDERS = "create table public.orders (id bigint primary key, note text)"
WITHOUT_MODEL = {"model_conn_id": ""}


@pytest.fixture
def orders(connections, monkeypatch):
    monkeypatch.setattr(connection_lookups, "RETRY_SECONDS", ())
    connections.source_admin.execute(ORDERS)
    connections.source_admin.execute(
        "insert into public.orders select n, 'a private note' from generate_series(1, 9) n"
    )
    return connections


def draft(**arguments):
    return SuggestTaskOperator(
        task_id="tested", **{"description": "replicate public.orders", **arguments}
    ).execute(context={})


def test_the_draft_is_the_xcom_with_reasons_and_a_proof_and_without_rows(orders):
    facts = draft()

    assert facts["author"] == "advisor"
    assert facts["settings"]["tables"] == [{"schema_name": "public", "table_name": "orders"}]
    assert {
        "path": "task.replication_type",
        "text": "“replicate”: rows are loaded, then every change is followed",
    } in (facts["reasons"])
    assert "connection 'trempy_model' is not defined" in facts["warnings"][0]
    assert facts["text"].startswith("```\n--- no settings")
    assert "public.orders → public.orders: of the first 9 rows, 9 pass and 0 do not" in facts["text"]
    assert 'create table "public"."orders"' in facts["text"]
    assert "private" not in json.dumps(facts)
    assert orders.target.fetch_value("select to_regclass('public.orders')") is None


def test_the_model_of_an_airflow_connection_is_asked_through_common_ai(orders, monkeypatch, caplog):
    pytest.importorskip("airflow.providers.common.ai", reason="the extra `ai` is not installed")
    good = {"task": {"task_name": "by_model"}, "tables": [{"schema_name": "public", "table_name": "orders"}]}
    with model_server(settings_answer(good, {"tables": "as asked"})) as server:
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_MODEL", server.connection())
        facts = draft(description="copie os pedidos", prove=False)

    assert (facts["author"], facts["task_name"]) == (MODEL, "by_model")
    assert "create_table_if_not_exists" not in facts["settings"]["task"]
    assert "private" not in server.sent
    assert API_KEY not in server.sent + caplog.text + json.dumps(facts)
    for uri in (orders.source_uri, orders.target_uri):
        assert uri not in server.sent + caplog.text


def test_a_draft_that_does_not_validate_fails_the_task_with_what_is_wrong(orders, monkeypatch):
    pytest.importorskip("airflow.providers.common.ai", reason="the extra `ai` is not installed")
    wrong = {
        "task": {"task_name": "by_model"},
        "tables": [{"schema_name": "public", "table_name": "pedidos"}],
    }
    with model_server(settings_answer(wrong)) as server:
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_MODEL", server.connection())
        with pytest.raises(AirflowFailException, match=r"tables\[0\]: the source has no such table"):
            draft(corrections=1)

    assert len(server.requests) == 2


def test_a_connection_that_is_no_usable_model_leaves_the_advisors_draft_and_shows_no_key(orders, monkeypatch):
    pytest.importorskip("airflow.providers.common.ai", reason="the extra `ai` is not installed")
    unusable = {"conn_type": "pydanticai", "password": API_KEY, "extra": {"model": "nothing:such"}}
    monkeypatch.setenv("AIRFLOW_CONN_TREMPY_MODEL", json.dumps(unusable))

    facts = draft(prove=False)

    assert facts["author"] == "advisor"
    assert "not a usable language model" in facts["warnings"][0]
    assert API_KEY not in json.dumps(facts)


def test_the_present_settings_are_changed_and_their_connections_kept(
    orders, settings, define_task, monkeypatch
):
    monkeypatch.setenv("AIRFLOW_CONN_ERP", orders.source_uri)
    settings["task"]["source_conn_id"] = "erp"
    define_task(settings)

    facts = draft(task_name=settings["task"]["task_name"], prove=False, **WITHOUT_MODEL)

    assert facts["settings"]["task"]["source_conn_id"] == "erp"
    assert "--- present settings" in facts["text"]
    assert '"interval_seconds": 1' in json.dumps(facts["settings"])


def test_an_error_that_needs_a_person_is_not_tried_again(orders):
    with pytest.raises(AirflowFailException, match="names no table"):
        draft(description="copy the invoices", **WITHOUT_MODEL)


def test_only_settings_that_validate_are_saved(monkeypatch):
    saved = {}
    monkeypatch.setattr("trempy_provider.hooks.settings.Variable.set", saved.__setitem__)
    good = {"task": {"task_name": "shop"}, "tables": [{"schema_name": "a", "table_name": "b"}]}

    with pytest.raises(ConfigurationError):
        save_settings({**good, "run_now": True})
    assert saved == {}

    assert save_settings(good) == "trempy_task_shop"
    assert json.loads(saved["trempy_task_shop"]) == good


def test_nothing_in_a_draft_ends_its_code_block():
    text = "```\n![x](http://evil/?q=1)\n``````"

    assert as_code_block(text) == f"```````\n{text}\n```````"


def test_airflows_command_drafts_and_saves_nothing_unasked(orders, monkeypatch, capsys):
    saved = {}
    monkeypatch.setattr("trempy_provider.hooks.settings.Variable.set", saved.__setitem__)
    (group,) = get_commands()
    command = next(each for each in group.subcommands if each.name == "suggest")
    parser = ArgumentParser()
    for argument in command.args:
        argument.add_to_parser(parser)

    run_suggest(parser.parse_args(["replicate public.orders", "--no-model"]))
    printed = capsys.readouterr().out  # after what Airflow logs for want of a database
    assert json.loads(printed[printed.index('{\n  "task_name"') :])["task_name"] == "public_orders"
    with pytest.raises(SystemExit) as ended:  # nobody is there to confirm
        run_suggest(parser.parse_args(["replicate public.orders", "--no-model", "--save"]))
    assert ended.value.code == 2
    assert saved == {}

    run_suggest(parser.parse_args(["replicate public.orders", "--no-model", "--save", "--yes"]))
    assert list(saved) == ["trempy_task_public_orders"]

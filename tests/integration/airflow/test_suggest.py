"""The operator drafts for a person to approve: it saves nothing, and shows no row."""

import json
from argparse import ArgumentParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowFailException

from benchmarks.assistant.__main__ import main as evaluate
from benchmarks.assistant.cases import CASES
from tests.support.model_server import API_KEY, MODEL, Answered, model_server, settings_answer
from tests.support.tasks import make_endpoint
from trempy_provider.errors import ConfigurationError
from trempy_provider.hooks import connections as connection_lookups
from trempy_provider.hooks.settings import etag_of, save_settings
from trempy_provider.operators.suggest import SuggestTaskOperator, as_code_block
from trempy_provider.plugins.commands import get_commands
from trempy_provider.plugins.run_command import run_suggest
from trempy_provider.postgres.metadata import migrate

ORDERS = "create table public.orders (id bigint primary key, note text)"
EXAMPLE = Path(__file__).parents[3] / "dags" / "trempy_example_suggest.py"
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


def test_when_the_model_fails_and_the_table_does_not_exist_both_are_told(orders, monkeypatch):
    pytest.importorskip("airflow.providers.common.ai", reason="the extra `ai` is not installed")
    with model_server(Answered(status=401)) as server:
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_MODEL", server.connection())
        with pytest.raises(AirflowFailException, match="names no table") as failed:
            draft(description="copy public.invoices")

    assert "HTTP status 401" in str(failed.value)
    assert "public.orders" in str(failed.value)
    assert API_KEY not in str(failed.value)


def test_when_there_is_no_model_and_the_table_does_not_exist_both_are_told(orders):
    with pytest.raises(AirflowFailException, match="names no table") as failed:
        draft(description="copy public.invoices")

    assert "connection 'trempy_model' is not defined" in str(failed.value)


def test_the_metadata_database_is_asked_and_named_in_the_draft(orders, metadata_database, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", metadata_database.uri)
    with make_endpoint(metadata_database.uri, "any", "metadata").connect("test") as session:
        migrate(session)
        session.execute(
            "insert into trempy.tasks (task_name, system_identifier, timeline, source_database)"
            " values ('public_orders', '1', 1, 'x')"
        )

    with_metadata = draft(metadata_conn_id="elsewhere", **WITHOUT_MODEL)
    without = draft(**WITHOUT_MODEL)

    assert with_metadata["settings"]["task"]["metadata_conn_id"] == "elsewhere"
    assert with_metadata["task_name"] == "public_orders_2"  # the metadata database has the other one
    assert with_metadata["proof_error"] is None
    assert without["task_name"] == "public_orders"


def test_the_evaluation_asks_any_connection_that_airflow_has(monkeypatch, capsys):
    pytest.importorskip("airflow.providers.common.ai", reason="the extra `ai` is not installed")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")  # put back at the end
    monkeypatch.setattr(connection_lookups, "RETRY_SECONDS", ())
    first = CASES[0]
    with model_server(settings_answer(first.settings)) as server:
        kept = Connection(
            conn_id="scored_model",
            conn_type="pydanticai",
            host=server.base_url,
            password=API_KEY,
            extra=json.dumps({"model": MODEL}),
        )
        found = {"scored_model": kept}
        monkeypatch.setattr(BaseHook, "get_connection", classmethod(lambda _, conn_id: found[conn_id]))
        assert evaluate(["--conn-id", "scored_model", "--limit", "1"]) == 0

    printed = capsys.readouterr().out
    assert printed.split(f"{MODEL}: 1 cases")[1].splitlines()[-1].split() == [
        "all",
        "1",
        "100%",
        "100%",
        "100%",
    ]
    assert server.headers[0]["authorization"] == f"Bearer {API_KEY}"


def test_the_evaluation_says_that_there_is_no_such_connection(monkeypatch, capsys):
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")
    monkeypatch.setattr(connection_lookups, "RETRY_SECONDS", ())

    assert evaluate(["--conn-id", "no_such_model", "--limit", "1"]) == 2

    assert "connection 'no_such_model' is not defined" in capsys.readouterr().err


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
        save_settings({**good, "run_now": True}, replaces=None)
    assert saved == {}

    assert save_settings(good, replaces=None) == "trempy_task_shop"
    assert json.loads(saved["trempy_task_shop"]) == good


@pytest.fixture
def variables(monkeypatch):
    """Keep Variables in a dictionary."""
    kept = {}
    monkeypatch.setattr("trempy_provider.hooks.settings.Variable.set", kept.__setitem__)
    monkeypatch.setattr(
        "trempy_provider.hooks.settings.Variable.get", lambda key, default=None: kept.get(key, default)
    )
    monkeypatch.setattr("trempy_provider.hooks.settings._database_keys", lambda: set(kept))
    return kept


def save_of_the_example(drafted):
    """Run the last step of the example, as after an approval."""
    dag = DagBag(EXAMPLE, load_op_links=False).dags["trempy_example_suggest"]
    pulled = SimpleNamespace(xcom_pull=lambda task_ids: {"draft": drafted}[task_ids])
    return dag.get_task("save").python_callable(ti=pulled)


def test_the_example_does_not_overwrite_settings_changed_since_the_draft(orders, variables):
    arguments = {"task_name": "shop", "prove": False, **WITHOUT_MODEL}
    first = draft(**arguments)
    assert save_of_the_example(first) == "trempy_task_shop"
    again = draft(**arguments, description="replicate public.orders, keep history")
    before = variables["trempy_task_shop"]

    changed = json.loads(before)
    changed["task"]["interval_seconds"] = 77
    variables["trempy_task_shop"] = json.dumps(changed)
    with pytest.raises(ConfigurationError, match="Variable trempy_task_shop was changed by somebody else"):
        save_of_the_example(again)
    with pytest.raises(ConfigurationError, match="was changed by somebody else since the draft was made"):
        save_of_the_example(first)  # the task did not exist then
    assert json.loads(variables["trempy_task_shop"]) == changed

    del variables["trempy_task_shop"]
    with pytest.raises(ConfigurationError, match="shop were removed since the draft was made"):
        save_of_the_example(again)
    assert variables == {}

    variables["trempy_task_shop"] = json.dumps(json.loads(before))  # the same, otherwise written
    assert save_of_the_example(again) == "trempy_task_shop"
    assert json.loads(variables["trempy_task_shop"])["task"]["cdc_settings"]["mode"] == "scd2"


def test_settings_in_a_variable_that_cannot_be_listed_are_changed_and_saved(orders, variables, monkeypatch):
    monkeypatch.setattr("trempy_provider.hooks.settings._database_keys", set)  # as of a secrets backend
    table_ = {"schema_name": "public", "table_name": "orders"}
    present = {"task": {"task_name": "shop", "interval_seconds": 77}, "tables": [table_]}
    variables["trempy_task_shop"] = json.dumps(present)

    drafted = draft(task_name="shop", prove=False, **WITHOUT_MODEL)

    assert drafted["settings"]["task"]["interval_seconds"] == 77
    assert save_of_the_example(drafted) == "trempy_task_shop"


def test_settings_that_became_no_json_are_not_overwritten(variables):
    good = {"task": {"task_name": "shop"}, "tables": [{"schema_name": "a", "table_name": "b"}]}
    variables["trempy_task_shop"] = "{"

    with pytest.raises(ConfigurationError, match="Variable trempy_task_shop was changed by somebody else"):
        save_settings(good, replaces=etag_of(good))
    assert variables == {"trempy_task_shop": "{"}


def test_settings_that_the_environment_has_are_not_saved(monkeypatch, variables):
    monkeypatch.setenv("AIRFLOW_VAR_TREMPY_TASK_SHOP", "{}")
    good = {"task": {"task_name": "shop"}, "tables": [{"schema_name": "a", "table_name": "b"}]}

    with pytest.raises(ConfigurationError, match="is set in the environment"):
        save_settings(good, replaces=None)
    assert variables == {}


def test_the_command_does_not_save_what_its_proof_refuses(orders, variables, capsys):
    orders.target_admin.execute("create table public.orders (other date not null)")

    with pytest.raises(SystemExit) as ended:
        run_suggest(parsed("replicate public.orders", "--no-model", "--dry-run", "--save", "--yes"))

    assert ended.value.code != 0
    assert "the dry run of the draft failed" in capsys.readouterr().err
    assert variables == {}


def parsed(*arguments):
    """Return the arguments of `airflow trempy suggest`."""
    (group,) = get_commands()
    command = next(each for each in group.subcommands if each.name == "suggest")
    parser = ArgumentParser()
    for argument in command.args:
        argument.add_to_parser(parser)
    return parser.parse_args(arguments)


def test_nothing_in_a_draft_ends_its_code_block():
    text = "```\n![x](http://evil/?q=1)\n``````"

    assert as_code_block(text) == f"```````\n{text}\n```````"


def test_airflows_command_drafts_and_saves_nothing_unasked(orders, monkeypatch, capsys):
    saved = {}
    monkeypatch.setattr("trempy_provider.hooks.settings.Variable.set", saved.__setitem__)

    run_suggest(parsed("replicate public.orders", "--no-model"))
    printed = capsys.readouterr().out  # after what Airflow logs for want of a database
    assert json.loads(printed[printed.index('{\n  "task_name"') :])["task_name"] == "public_orders"
    with pytest.raises(SystemExit) as ended:  # nobody is there to confirm
        run_suggest(parsed("replicate public.orders", "--no-model", "--save"))
    assert ended.value.code == 2
    assert saved == {}

    run_suggest(parsed("replicate public.orders", "--no-model", "--save", "--yes"))
    assert list(saved) == ["trempy_task_public_orders"]

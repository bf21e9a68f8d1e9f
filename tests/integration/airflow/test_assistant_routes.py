"""The assistant's routes: drafts of a model and of the advisor, dry runs, and what they keep to themselves."""

import json
import logging
import threading
from contextlib import suppress

import pytest

from tests.support.model_server import API_KEY, Answered, model_server, settings_answer
from tests.support.page import Page
from tests.support.served_app import serving_app
from tests.support.wait import wait_until
from trempy_provider.errors import TrempyError
from trempy_provider.hooks.postgres import open_endpoint
from trempy_provider.plugins.api import airflow_access, app, assistant, overview, rights, tasks
from trempy_provider.plugins.api.bounded_endpoint import BoundedEndpoint
from trempy_provider.plugins.api.long_calls import LongCalls

SECRET_ROW = "a private note"
GOOD = {
    "task": {"task_name": "by_model", "create_table_if_not_exists": True, "replication_type": "full_load"},
    "tables": [{"schema_name": "public", "table_name": "orders"}],
}
WANTED = {"description": "replicate public.orders", "model_conn": ""}


class Rights:
    """What the user may do; everything, unless a test takes it away."""

    def __init__(self):
        self.hidden_connections, self.hidden_dags = set(), set()
        self.may_create = self.may_read_logs = True
        self.variables = {}
        self.deeds = []

    def readable_dags(self, _user, dag_ids):
        return set(dag_ids) - self.hidden_dags

    def read_variables(self, prefix):
        return {key: text for key, text in self.variables.items() if key.startswith(prefix)}


@pytest.fixture
def allowed(monkeypatch):
    allowed = Rights()
    monkeypatch.setattr(assistant, "readable_connections", lambda _: {"trempy_source": "postgres"})
    monkeypatch.setattr(
        assistant, "may_read_connection", lambda _, conn_id: conn_id not in allowed.hidden_connections
    )
    monkeypatch.setattr(rights, "may_use_variable", lambda *_, **__: allowed.may_create)
    monkeypatch.setattr(assistant, "note_deed", lambda _, event, *, extra: allowed.deeds.append(event))
    for module in (assistant, overview):
        monkeypatch.setattr(module, "may_create_variables", lambda _: allowed.may_create)
    monkeypatch.setattr(rights, "readable_dags", allowed.readable_dags)
    monkeypatch.setattr(rights, "may_read_logs", lambda *_: allowed.may_read_logs)
    monkeypatch.setattr(tasks, "read_variables", allowed.read_variables)
    return allowed


@pytest.fixture
def served(connections, allowed):
    connections.source_admin.execute("create table public.orders (id bigint primary key, note text)")
    connections.source_admin.execute(
        "insert into public.orders select n, %s from generate_series(1, 9) n", [SECRET_ROW]
    )
    served = app.create_app()
    served.dependency_overrides[airflow_access.current_user] = lambda: None
    return served


@pytest.fixture
def page(served):
    with serving_app(served) as url:
        yield Page(url, None)


def draft(page, **wanted):
    return page.send("POST", "/api/assistant/draft", {**WANTED, **wanted})


def prove(page, settings=GOOD, **given):
    return page.send("POST", "/api/assistant/dry_run", {"text": json.dumps(settings), **given})


def test_the_advisor_drafts_against_nothing_with_reasons(page):
    answer = draft(page).json

    assert (answer["by"], answer["problems"]) == ("advisor", [])
    assert answer["settings"]["tables"] == [{"schema_name": "public", "table_name": "orders"}]
    assert {change["before"] for change in answer["diff"]} == {None}
    assert "task.replication_type" in {reason["path"] for reason in answer["reasons"]}
    assert json.loads(answer["text"]) == answer["settings"]


def test_a_draft_of_present_settings_keeps_their_name_and_shows_what_changes(page, allowed):
    allowed.variables["trempy_task_by_model"] = json.dumps(GOOD)

    answer = draft(page, task_name="by_model", description="replicate public.orders, keep history").json

    assert answer["settings"]["task"]["task_name"] == "by_model"
    assert "task.task_name" not in {change["path"] for change in answer["diff"]}
    assert {"path": "task.cdc_settings", "before": None, "after": {"mode": "scd2"}} in answer["diff"]


def test_without_a_connection_to_a_model_the_advisor_says_so(page):
    answer = draft(page, model_conn=None).json

    assert answer["by"] == "advisor"
    assert "'trempy_model'" in answer["warnings"][0]


def test_a_model_drafts_and_nothing_secret_is_sent_answered_or_logged(page, monkeypatch, caplog, connections):
    caplog.set_level(logging.DEBUG)
    with model_server(settings_answer(GOOD, {"tables": "as asked"})) as server:
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_MODEL", server.connection())
        answer = draft(page, model_conn=None)

    assert (answer.json["by"], answer.json["author"]) == ("model", "openai-chat:deepseek-chat")
    assert answer.json["reasons"][0] == {"path": "tables", "text": "as asked"}
    kept = (API_KEY, connections.source_uri, connections.target_uri, SECRET_ROW)
    logged = "".join(r.getMessage() for r in caplog.records if r.name.startswith(("trempy", "uvicorn")))
    assert not [secret for secret in kept if secret in server.sent + answer.body.decode() + logged]


def test_what_does_not_validate_is_shown_with_the_problems(page, monkeypatch):
    wrong = {**GOOD, "tables": [{"schema_name": "public", "table_name": "pedidos<script>"}]}
    with model_server(settings_answer(wrong)) as server:
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_MODEL", server.connection())
        answer = draft(page, model_conn="trempy_model").json

    assert answer["problems"][0]["path"] == "tables[0]"
    assert answer["problems"][0]["message"].startswith("the source has no such table")


def test_a_slow_model_holds_nobody_up_and_is_left_when_its_viewer_leaves(page, served, monkeypatch):
    served.state.page.long_calls = LongCalls(workers=1)
    with model_server(Answered("{}", waits=True)) as server:
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_MODEL", server.connection())
        leaving = threading.Thread(target=_ask_and_leave, args=(page,))
        leaving.start()
        wait_until(lambda: server.requests, timeout_seconds=30, what="the model is asked")

        assert page.get("/api/assistant/context").json["model"] == "trempy_model"
        busy = draft(page)
        assert (busy.status, "busy" in busy.json["detail"]) == (503, True)
        leaving.join()
        assert server.was_hung_up.wait(10)
    wait_until(lambda: draft(page).status == 200, timeout_seconds=20, what="the place is free")


def _ask_and_leave(page):
    with suppress(TimeoutError):
        Page(page.address, None, timeout_seconds=6).send(
            "POST", "/api/assistant/draft", {**WANTED, "model_conn": "trempy_model"}
        )


def test_what_takes_too_long_is_given_up_clearly(page, served, monkeypatch):
    served.state.page.long_calls = LongCalls(seconds=3.0)
    with model_server(Answered("{}", waits=True)) as server:
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_MODEL", server.connection())
        answer = draft(page, model_conn="trempy_model")

    assert (answer.status, answer.json["detail"]) == (504, "not done within 3 s: it was given up")


def test_a_dry_run_shows_rows_only_when_they_are_asked_for_and_never_what_is_masked(
    page, allowed, connections
):
    mask = {"operation": "redact", "column_name": "note"}
    entry = {
        "table_info": {"schema_name": "public", "table_name": "orders"},
        "settings": {"transformation_type": "modify_column_value", "contract": mask},
    }
    masked = {**GOOD, "transformations": [entry]}

    without, shown, hidden = prove(page), prove(page, rows=True), prove(page, masked, rows=True)

    (table,) = without.json["tables"]
    assert (table["rows"], table["passing_rows"], table["before"], table["after"]) == (9, 9, [], [])
    assert 'create table "public"."orders"' in table["ddl"][0]
    assert SECRET_ROW not in without.body.decode()
    assert shown.json["tables"][0]["before"][0] == {"id": "1", "note": SECRET_ROW}
    assert hidden.status == 200 and SECRET_ROW not in hidden.body.decode()
    assert allowed.deeds == ["trempy_show_rows"] * 2
    assert connections.target.fetch_value("select to_regclass('public.orders')") is None


def test_settings_that_do_not_validate_are_not_tried(page):
    answer = prove(page, {**GOOD, "nonsense": 1})

    assert (answer.status, answer.json["problems"][0]["path"]) == (422, "nonsense")


def test_each_connection_has_to_be_one_that_the_user_may_look_at(page, allowed):
    for conn_id in ("trempy_source", "trempy_target"):
        allowed.hidden_connections = {conn_id}
        answers = [draft(page), prove(page)]
        assert [answer.status for answer in answers] == [403, 403]
        assert all(f"the connection {conn_id}" in answer.json["detail"] for answer in answers)
    allowed.hidden_connections = {"another"}
    assert draft(page, source_conn="another").status == 403
    assert draft(page, model_conn="another").status == 403
    assert prove(page, {**GOOD, "task": {**GOOD["task"], "metadata_conn_id": "another"}}).status == 403


def test_rows_need_the_right_to_read_logs_and_all_of_it_the_right_to_save(page, allowed):
    allowed.may_read_logs = False
    assert (prove(page, rows=True).status, prove(page).status) == (403, 200)

    allowed.may_create = False
    answers = [draft(page), draft(page, task_name="other"), prove(page), page.get("/api/assistant/context")]
    assert [answer.status for answer in answers] == [403] * 4


def test_common_values_need_the_right_to_read_logs_and_are_noted(page, allowed):
    assert draft(page, allow_values=True).status == 200
    assert allowed.deeds == ["trempy_show_rows"]

    allowed.may_read_logs = False
    answers = [draft(page, allow_values=True), draft(page, allow_values=True, task_name="other"), draft(page)]
    assert [answer.status for answer in answers] == [403, 403, 200]
    assert allowed.deeds == ["trempy_show_rows"]


def test_a_draft_tells_nothing_of_tasks_that_the_user_may_not_see(page, allowed, monkeypatch):
    hidden = {**GOOD, "task": {**GOOD["task"], "task_name": "hidden_task"}}
    allowed.variables["trempy_task_hidden_task"] = json.dumps(hidden)
    allowed.hidden_dags = {"trempy_hidden_task_full_load"}
    with model_server(settings_answer(GOOD)) as server:
        monkeypatch.setenv("AIRFLOW_CONN_TREMPY_MODEL", server.connection())
        answer = draft(page, model_conn="trempy_model")

    assert "hidden_task" not in server.sent + answer.body.decode()


def test_unsafe_requests_need_the_header(page):
    answers = [
        page.send("POST", f"/api/assistant/{route}", WANTED, headers={}).status
        for route in ("draft", "dry_run")
    ]

    assert answers == [403, 403]


def test_a_statement_that_takes_too_long_is_given_up(connections):
    endpoint = BoundedEndpoint(
        open_endpoint("trempy_source", task_name="tested", role="source"), statement_seconds=0.2
    )

    with endpoint.connect("test") as session, pytest.raises(TrempyError):
        session.execute("select pg_sleep(20)")

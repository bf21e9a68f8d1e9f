"""The assistant on the page "Replication" of a real Airflow: whose drafts it makes, and that nobody waits for them."""

import json
from contextlib import suppress

import pytest

from tests.support.model_server import API_KEY, MODEL, Answered, model_server, settings_answer
from tests.support.page import Page

MODEL_CONN = "page_model"
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture
def admin(shop):
    return Page(shop.airflow.url, shop.api.token)


def model_connection(server):
    return {
        "conn_type": "pydanticai",
        "host": server.base_url,
        "password": API_KEY,
        "extra": json.dumps({"model": MODEL}),
    }


def wanted(**changes):
    return {"description": "replicate shop.customers and shop.orders", "model_conn": "", **changes}


def test_the_assistant_is_for_those_who_may_create_the_variable(shop, task_name, admin):
    settings = {"task": {"task_name": task_name}, "tables": [{"schema_name": "shop", "table_name": "orders"}]}
    requests = (
        ("GET", "/api/assistant/context", None),
        ("POST", "/api/assistant/draft", wanted()),
        ("POST", "/api/assistant/draft", wanted(task_name=task_name)),
        ("POST", "/api/assistant/dry_run", {"text": json.dumps(settings)}),
    )

    answers = {
        user: [
            Page(shop.airflow.url, shop.airflow.api_of(user).token).send(*request).status
            for request in requests
        ]
        for user in ("nobody", "viewer", "user")
    }

    assert answers == dict.fromkeys(answers, [403] * 4)
    assert [admin.send(*request, headers={}).status for request in requests[1:]] == [403] * 3
    context = admin.get("/api/assistant/context").json
    assert {"trempy_source", "trempy_target"} <= set(context["databases"])
    assert context["brokers"] == ["trempy_broker"]
    assert admin.get("/api/tasks").json["can_create"]


def test_a_draft_is_proved_and_saved_as_a_task(shop, task_name, admin):
    drafted = admin.send("POST", "/api/assistant/draft", wanted(task_name=task_name)).json
    proved = admin.send("POST", "/api/assistant/dry_run", {"text": drafted["text"], "rows": True}).json
    key = f"trempy_task_{task_name}"
    keys = {each["key"] for each in shop.api.get("/variables", limit="200")["variables"]}

    assert drafted["by"] == "advisor"
    assert proved["passed"], proved["problems"]
    assert [table["passing_rows"] for table in proved["tables"]] == [500, 1000]
    assert proved["tables"][0]["before"][0]["name"] == "customer 1"
    assert key not in keys
    saved = admin.send("PUT", f"/api/tasks/{task_name}/settings", {"text": drafted["text"], "etag": None})
    shop.variables.append(key)
    assert saved.status == 200
    assert json.loads(shop.api.get(f"/variables/{key}")["value"]) == drafted["settings"]


def test_a_model_is_asked_in_the_api_server_and_left_when_its_viewer_leaves(shop, task_name, admin):
    good = {"task": {"task_name": task_name}, "tables": [{"schema_name": "shop", "table_name": "orders"}]}
    with model_server(settings_answer(good)) as server:
        shop.api.set_connection(MODEL_CONN, model_connection(server))
        answer = admin.send(
            "POST", "/api/assistant/draft", wanted(task_name=task_name, model_conn=MODEL_CONN)
        ).json
    assert (answer["by"], answer["author"]) == ("model", MODEL)

    with model_server(Answered("{}", waits=True)) as server:
        shop.api.set_connection(MODEL_CONN, model_connection(server))
        with suppress(TimeoutError):
            Page(shop.airflow.url, shop.api.token, timeout_seconds=8).send(
                "POST", "/api/assistant/draft", wanted(model_conn=MODEL_CONN)
            )
        assert server.was_hung_up.wait(20)
        assert admin.get("/api/tasks").status == 200
    log = shop.airflow.log_path.read_text(errors="replace")
    assert API_KEY not in log
    assert "customer 1" not in log

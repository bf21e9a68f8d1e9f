"""The page "Replication" inside a real Airflow: who may do what, route by route, and what it tells."""

import pytest

from tests.support.page import Page
from tests.system.conftest import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture
def admin(shop):
    return Page(shop.airflow.url, shop.api.token)


@pytest.fixture
def page_of(shop):
    return lambda user: Page(shop.airflow.url, shop.airflow.api_of(user).token)


def routes():
    """List all routes of the app, so that none escapes."""
    from trempy_provider.plugins.api.app import create_app  # noqa: PLC0415  # only where an Airflow runs

    return sorted(
        (method, route.path) for route in create_app().routes for method in route.methods - {"HEAD"}
    )


def path_of(route, task_name):
    values = {"{name}": task_name, "{action}": "full_load", "{path:path}": "index.html"}
    for name, value in values.items():
        route = route.replace(name, value)
    assert "{" not in route
    return route


def overview_of(page, task_name):
    tasks = page.get("/api/tasks").json["tasks"]
    return next((task for task in tasks if task["name"] == task_name), None)


def wait_for_task(page, task_name, **expected):
    def is_so():
        task = overview_of(page, task_name)
        return task is not None and all(task[name] == value for name, value in expected.items()) and task

    return wait_until(is_so, timeout_seconds=90, what=f"{task_name} is {expected}")


def test_nobody_gets_anything_of_the_page_without_logging_in(shop, task_name):
    anonymous = Page(shop.airflow.url, None)

    answers = {
        (method, path): anonymous.send(method, path_of(path, task_name), {}).status
        for method, path in routes()
    }

    assert set(answers.values()) == {401}, answers
    assert ("GET", "/") in answers and ("GET", "/static/{path:path}") in answers


def test_a_user_without_rights_sees_no_task(shop, task_name, admin, page_of):
    shop.define_task(task_name)
    wait_for_task(admin, task_name)
    page = page_of("nobody")

    answers = {
        (method, path): page.send(method, path_of(path, task_name), {}).status
        for method, path in routes()
        if "{name}" in path
    }

    assert set(answers.values()) == {403}, answers
    listed = page.get("/api/tasks").json
    assert listed["tasks"] == []
    assert listed["hidden"] >= 1
    assert page.get("/api/tasks/nowhere").status == 403


def test_the_overview_tells_how_far_a_task_is_and_a_broken_one_hides_no_other(
    shop, task_name, admin, page_of
):
    broken = f"{task_name}_broken"
    shop.set_variable(f"trempy_task_{broken}", {"task": {"task_name": broken, "nonsense<script>": 1}})
    shop.define_task(task_name)
    shop.run(f"trempy_{task_name}_full_load")
    shop.start_cdc(task_name)
    viewer = page_of("viewer")

    task = wait_for_task(viewer, task_name, state="running")
    wait_until(
        lambda: overview_of(viewer, task_name)["lag"]["seconds"] == 0, timeout_seconds=60, what="no lag"
    )

    assert task["mode"] == "full_load_and_cdc"
    assert task["problem"] is None
    assert task["queue_depth"] == 0
    assert task["tables"] == {"total": 4, "loaded": 4, "loading": 0, "failed": 0}
    assert task["wal"]["retained_bytes"] is not None
    assert task["dags"]["cdc"] == f"trempy_{task_name}_cdc"
    other = overview_of(viewer, broken)
    assert other["state"] == "unknown"
    assert "nonsense<script>" in other["problem"]
    shown = viewer.get(f"/api/tasks/{task_name}").json
    customers = next(table for table in shown["tables"] if table["table"] == "customers")
    assert (customers["rows"], customers["percent"], customers["state"]) == (500, 100.0, "ready")
    assert not any(shown["can"].values())
    assert admin.get(f"/api/tasks/{task_name}").json["can"]["pause"]


def test_a_server_that_does_not_answer_is_named_and_the_other_tasks_are_told(shop, task_name, admin):
    shop.api.set_connection("trempy_silent", {"conn_type": "postgres", "host": "192.0.2.1", "login": "x"})
    silent = f"{task_name}_silent"
    shop.define_task(task_name)
    shop.set_variable(
        f"trempy_task_{silent}",
        {
            "task": {"task_name": silent, "target_conn_id": "trempy_silent"},
            "tables": [{"schema_name": "shop", "table_name": "*"}],
        },
    )

    task = wait_for_task(admin, silent)

    assert task["state"] == "unknown"
    assert "target" in task["problem"]
    assert overview_of(admin, task_name)["problem"] is None
    assert overview_of(admin, task_name)["state_reason"] == "it has not been set up yet"


def test_the_page_is_in_airflows_navigation_and_beside_each_dag(shop):
    plugins = {plugin["name"]: plugin for plugin in shop.api.get("/plugins", limit="100")["plugins"]}

    views = plugins["trempy"]["external_views"]

    assert {view["destination"] for view in views} == {"nav", "dag", "dag_run"}
    assert {view["name"] for view in views} == {"Replication"}
    assert all(view["href"].startswith("trempy/") for view in views)


def test_browsers_may_load_nothing_from_elsewhere(admin):
    answers = [admin.get(path) for path in ("/", "/static/index.html", "/api/tasks")]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert all("default-src 'self'" in answer.headers["content-security-policy"] for answer in answers)
    assert answers[2].headers["cache-control"] == "no-store"
    assert admin.get("/static/../trempy.py").status == 404
    assert admin.get("/static/%2e%2e/trempy.py").status == 404

"""The page "Replication" of an Airflow whose `[api] base_url` has a path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest

from sandbox.airflow import START_TIMEOUT_SECONDS, AirflowServer
from sandbox.ports import free_port
from tests.support.page import Answer, Page
from tests.system.conftest import Shop, wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
PREFIX = "/deep/airflow"
REFERENCE = re.compile(r'(?:href=|src=|from )"([^"#]+)"')


@pytest.fixture
def page(airflow: AirflowServer, shop: Shop) -> Iterator[Page]:
    """Serve the same Airflow a second time, below a prefix; give its page to a user who may act."""
    port = free_port()
    url = f"http://127.0.0.1:{port}{PREFIX}"
    environment = {"AIRFLOW__API__PORT": str(port), "AIRFLOW__API__BASE_URL": url}
    server = airflow.start_component("api-server", environment=environment)

    def is_there() -> bool:
        try:
            return bool(Page(url, None).get("/").status == 401)
        except OSError:
            assert server.is_running(), airflow.log_path.read_text(errors="replace")[-4000:]
            return False

    try:
        wait_until(is_there, timeout_seconds=START_TIMEOUT_SECONDS, what="the API server below the prefix")
        yield Page(url, airflow.api_of("user").token)
    finally:
        server.kill()


def fetch(page: Page, url: str) -> Answer:
    """GET a URL of the server; what lies outside the prefix does not exist behind a proxy."""
    assert url.startswith(f"{page.address}/"), url
    return page.visit(url)


def files_of(page: Page) -> dict[str, Answer]:
    """Follow the links of the page and of its scripts and styles, as a browser does."""
    found: dict[str, Answer] = {}
    waiting = [f"{page.address}/trempy/"]
    while waiting:
        url = waiting.pop()
        if url not in found:
            found[url] = fetch(page, url)
            waiting += [urljoin(url, link) for link in REFERENCE.findall(found[url].body.decode())]
    return found


def test_page_files_routes_and_links_keep_the_prefix(shop: Shop, task_name: str, page: Page) -> None:
    shop.define_task(task_name)
    shop.api.wait_for_dag(f"trempy_{task_name}_maintenance")
    wait_until(lambda: page.get(f"/api/tasks/{task_name}").status == 200, timeout_seconds=30, what="the task")

    files = files_of(page)
    around = fetch(page, f"{page.address}/").body.decode()
    started = page.act(task_name, "sync_sequences")

    assert {answer.status for answer in files.values()} == {200}, files
    assert {"app.js", "actions.js", "page.css"} < {url.rsplit("/", 1)[-1] for url in files}
    assert task_name in {task["name"] for task in page.get("/api/tasks").json["tasks"]}
    assert f'<base href="{PREFIX}/"' in around  # what the relative links to this page start from
    assert started.status == 202, started.body
    dag_id, run_id = started.json["dag_id"], started.json["run_id"]
    link = urljoin(page.address, started.json["url"])
    assert urlsplit(link).path.startswith(f"{PREFIX}/dags/{dag_id}/runs/manual__")
    assert fetch(page, link).status == 200
    assert shop.api.dag_run(dag_id, run_id)["triggering_user_name"] == "user"
    assert Page(page.address, None).get("/api/tasks").status == 401

"""The page "Replication" in Chromium, inside a real Airflow with live traffic."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.support.browser import (
    PATIENCE_MILLISECONDS,
    Watch,
    is_scrolled_sideways,
    keep_screenshot,
    open_browser,
)
from tests.system.conftest import Shop

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
SLOW_MILLISECONDS = 90_000
DAG_TAB = "plugin/replication_dag"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, shop: Shop) -> Iterator[Page]:
    """Open a browser in which Airflow's administrator is logged in."""
    context = browser.new_context(viewport={"width": 1280, "height": 820}, color_scheme="light")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    context.add_cookies([{"name": "_token", "value": shop.api.token, "url": shop.airflow.url}])
    yield context.new_page()
    context.close()


def frame_of(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title=Replication]")


def start_following(shop: Shop, task_name: str) -> None:
    """Load the shop and follow it; an insert that fails stops at first, and is then passed over."""
    shop.define_task(task_name, on_dead_letter="continue")
    variable = f"trempy_task_{task_name}"
    settings = json.loads(shop.api.get(f"/variables/{variable}")["value"])
    settings["error_handling"] = {"stop_if_insert_error": True}
    shop.set_variable(variable, settings)
    shop.variables.remove(variable)  # it is there twice
    shop.run(f"trempy_{task_name}_full_load")
    dag_id, run_id = shop.start_cdc(task_name)
    shop.wait_for_state(dag_id, run_id, "apply", "running", "deferred")


def test_page_inside_airflow_follows_live_traffic(shop: Shop, page: Page, task_name: str) -> None:
    start_following(shop, task_name)
    watch = Watch(page)

    page.goto(f"{shop.airflow.url}/plugin/replication")
    frame = frame_of(page)
    row = frame.get_by_role("row", name=re.compile(task_name))
    expect(row).to_contain_text("running", timeout=SLOW_MILLISECONDS)
    expect(row).to_contain_text("4 of 4 tables loaded")
    keep_screenshot(page, "overview-light")
    row.get_by_role("link", name=task_name).click()
    inserts = frame.get_by_role("row", name=re.compile(r"shop\.orders")).get_by_role("cell").nth(6)
    expect(inserts).to_have_text("0")
    shop.change("seen while the page is open")
    expect(inserts).to_have_text("50", timeout=SLOW_MILLISECONDS)
    keep_screenshot(page, "task-light")
    page.evaluate('localStorage.setItem("theme", "dark")')
    page.goto(f"{shop.airflow.url}/dags/trempy_{task_name}_cdc/{DAG_TAB}")
    expect(frame.get_by_role("heading", name=task_name)).to_be_visible(timeout=SLOW_MILLISECONDS)
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    frame.get_by_role("tab", name="History").click()
    shop.change("for the history")
    changes = frame.locator("figure").filter(has=frame.get_by_role("heading", name="Changes"))
    expect(changes.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("Inserts: lowest 0, highest [1-9]"), timeout=SLOW_MILLISECONDS
    )
    keep_screenshot(page, "task-history-dark")

    own = urlsplit(shop.airflow.url).netloc
    assert {urlsplit(url).netloc for url in watch.requests if "/trempy/" in url} == {own}
    assert [error for error in watch.errors if "trempy/static" in error] == []


def test_tab_beside_a_dag_and_beside_a_run_shows_their_task(shop: Shop, page: Page, task_name: str) -> None:
    shop.define_task(task_name)
    dag_id = f"trempy_{task_name}_cdc"
    shop.api.wait_for_dag(dag_id)
    run_id = str(shop.api.post(f"/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"])
    watch = Watch(page)

    for address in (dag_id, f"{dag_id}/runs/{run_id}"):
        page.goto(f"{shop.airflow.url}/dags/{address}")
        page.get_by_role("link", name="Replication", exact=True).click()
        heading = frame_of(page).get_by_role("heading", name=task_name, level=1)
        expect(heading).to_be_visible(timeout=SLOW_MILLISECONDS)
        expect(frame_of(page).get_by_role("tab", name="Tables")).to_have_attribute("aria-selected", "true")
        assert urlsplit(page.url).path.startswith(f"/dags/{address}/plugin/")
    assert [error for error in watch.errors if "trempy/static" in error] == []


def act(page: Page, label: str, *, button: str | None = None, typed: str | None = None) -> tuple[str, str]:
    """Press a button, say yes, and return the DAG and the run that the page says it has started."""
    page.get_by_role("button", name=button or label, exact=True).click()
    dialog = page.get_by_role("dialog")
    if typed is not None:
        dialog.get_by_role("textbox").fill(typed)
    dialog.get_by_role("button", name=label, exact=True).click()
    told = page.locator(".notice").filter(has_text=label)
    link = told.get_by_role("link", name="Open the run").get_attribute("href")
    found = re.fullmatch(r".*/dags/([^/]+)/runs/([^/]+)", unquote(link or ""))
    assert found, link
    told.get_by_role("button", name="Close this message").click()
    return found[1], found[2]


def finish(shop: Shop, *started: tuple[str, str]) -> None:
    for dag_id, run_id in started:
        state = shop.api.wait_for_run(dag_id, run_id, timeout_seconds=200)
        assert state == "success", shop.explain(dag_id, run_id)


def test_every_action_is_done_from_the_page_while_changes_go_on(
    shop: Shop, page: Page, task_name: str
) -> None:
    start_following(shop, task_name)
    shop.pair.target_admin.execute(
        "alter table shop.visits add constraint no_poison check (page <> 'poison')"
    )
    for customer in (1, 2):
        shop.pair.source_admin.execute(f"insert into shop.visits values ({customer}, 'poison')")
    watch = Watch(page)
    page.goto(f"{shop.airflow.url}/trempy/#/task/{task_name}/dead_letters")

    letters = page.get_by_role("checkbox", name="Select the change of shop.visits")
    expect(letters).to_have_count(2, timeout=SLOW_MILLISECONDS)
    page.locator("tbody summary").first.click()
    expect(page.locator("tbody dd").nth(1)).to_have_text("poison")
    keep_screenshot(page, "task-dead-letters")
    letters.first.check()
    finish(shop, act(page, "Discard", button="Discard chosen"))
    expect(letters).to_have_count(1, timeout=SLOW_MILLISECONDS)
    shop.pair.target_admin.execute("alter table shop.visits drop constraint no_poison")
    finish(shop, act(page, "Replay", button="Replay all"))
    expect(page.get_by_text("No dead letter.")).to_be_visible(timeout=SLOW_MILLISECONDS)
    poisoned = "select count(*) from shop.visits where page = 'poison'"
    assert shop.pair.target.fetch_value(poisoned) == 1

    page.get_by_role("tab", name="Tables").click()
    finish(shop, act(page, "Pause"))
    shop.change("while paused")
    expect(page.locator(".heading .state")).to_have_text("paused", timeout=SLOW_MILLISECONDS)
    started = [act(page, label) for label in ("Resume", "Refresh tables", "Sync sequences")]
    page.get_by_role("checkbox", name="Select shop.products").check()
    started.append(act(page, "Reload tables", button="Reload chosen"))
    started.append(act(page, "Full load"))
    finish(shop, *started)
    page.get_by_role("checkbox", name="Select shop.products").check()
    finish(shop, act(page, "Validate tables", button="Validate chosen"))
    page.get_by_role("tab", name="Validation").click()
    validated = page.get_by_role("row", name=re.compile(r"shop\.products"))
    expect(validated).to_contain_text("equal", timeout=SLOW_MILLISECONDS)
    keep_screenshot(page, "task-validation")
    page.get_by_role("tab", name="Batches").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("/", timeout=SLOW_MILLISECONDS)
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("task.interval_seconds", exact=True).fill("2")
    page.get_by_role("button", name="Save…").click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings have been saved.")).to_be_visible()
    saved = json.loads(shop.api.get(f"/variables/trempy_task_{task_name}")["value"])
    assert saved["task"]["interval_seconds"] == 2
    page.set_viewport_size({"width": 360, "height": 700})
    assert not is_scrolled_sideways(page)
    keep_screenshot(page, "task-settings-narrow")

    finish(shop, act(page, "Tear down", typed=task_name))
    slots = "select count(*) from pg_replication_slots where slot_name = %s"
    assert shop.pair.source_superuser.fetch_value(slots, [f"trempy_{task_name}"]) == 0
    assert watch.errors == []

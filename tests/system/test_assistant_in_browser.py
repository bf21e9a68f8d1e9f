"""The assistant in Chromium inside a real Airflow: from a description to a task, and not a step without a person."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import PATIENCE_MILLISECONDS, Watch, keep_screenshot, open_browser
from tests.system.conftest import Shop

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]
SLOW_MILLISECONDS = 90_000
HOSTILE = '<script>window.harmed=1</script> "☃"'


@pytest.fixture
def page(shop: Shop) -> Iterator[Page]:
    """Open a browser in which Airflow's administrator is logged in."""
    with open_browser() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 820}, color_scheme="light")
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        context.add_cookies([{"name": "_token", "value": shop.api.token, "url": shop.airflow.url}])
        yield context.new_page()
        context.close()


def test_described_drafted_tried_and_saved(shop: Shop, page: Page, task_name: str) -> None:
    quoted = HOSTILE.replace('"', '""')
    shop.pair.source_admin.execute(f'create table shop."{quoted}" (id int primary key, v text)')
    shop.pair.source_admin.execute(f"""insert into shop."{quoted}" values (1, '{HOSTILE}')""")
    watch = Watch(page)
    key = f"trempy_task_{task_name}"
    page.goto(f"{shop.airflow.url}/plugin/replication")
    frame = page.frame_locator("iframe[title=Replication]")

    frame.get_by_role("link", name="Draft a task").click(timeout=SLOW_MILLISECONDS)
    frame.get_by_label("What is to be replicated").fill("replicate the whole schema shop, keep history")
    frame.get_by_label("Name of the task").fill(task_name)
    frame.get_by_role("button", name="Draft").click()
    expect(frame.get_by_role("heading", name="Draft of the advisor")).to_be_visible(timeout=SLOW_MILLISECONDS)
    expect(frame.get_by_text("✓ These settings are valid.")).to_be_visible()
    frame.get_by_label("with values of the first rows").check()
    frame.get_by_role("button", name="Dry run").click()
    row = frame.get_by_role("table", name="Row 1 of shop.customers").get_by_role("row", name="name")
    expect(row).to_contain_text("customer 1", timeout=SLOW_MILLISECONDS)
    expect(frame.get_by_text(HOSTILE).first).to_be_visible()
    keep_screenshot(page, "assistant-in-airflow")
    frame.get_by_role("button", name="Save…").click()
    keys = {each["key"] for each in shop.api.get("/variables", limit="200")["variables"]}
    frame.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(frame.get_by_text(f"The task {task_name} has been saved.")).to_be_visible()
    shop.variables.append(key)

    assert key not in keys
    saved = json.loads(shop.api.get(f"/variables/{key}")["value"])
    assert saved["task"]["cdc_settings"]["mode"] == "scd2"
    assert shop.api.wait_for_dag(f"trempy_{task_name}_cdc")["is_paused"]
    assert watch.errors == []
    assert page.evaluate("window.harmed") is None

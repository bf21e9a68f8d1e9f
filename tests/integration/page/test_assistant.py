"""The assistant's panel in a browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Watch, is_scrolled_sideways, keep_screenshot
from tests.support.page_answers import HOSTILE
from tests.support.page_site import PageSite

DESCRIPTION = "What is to be replicated, in any language"


@pytest.fixture
def site(site: PageSite) -> PageSite:
    site.may_draft.set()
    return site


def test_draft_is_explained_proved_and_saved_only_after_a_question(
    page: Page, site: PageSite, watch: Watch
) -> None:
    site.version = None  # nothing is saved yet
    page.goto(site.page)

    page.get_by_role("link", name="Draft a task").click()
    page.get_by_label(DESCRIPTION).fill("copia shop.orders")
    page.get_by_text("Connections and model").click()
    expect(page.get_by_label("Language model")).to_have_value("trempy_model")
    page.get_by_role("button", name="Draft").click()
    expect(page.get_by_role("heading", name="Draft of the model deepseek:deepseek-chat")).to_be_visible()
    for text in ("you want changes of <script>", "shop.orders has no primary key"):
        expect(page.get_by_text(text)).to_be_visible()
    expect(page.get_by_text("✓ These settings are valid.")).to_be_visible()
    page.get_by_label("with values of the first rows").check()
    page.get_by_role("button", name="Dry run").click()
    for text in (
        "Of the first 1,000 rows, 990 pass and 10 do not.",
        "keeps out 10",
        "✕ there is no <script>",
    ):
        expect(page.get_by_text(text)).to_be_visible()
    row = page.get_by_role("table", name="Row 1 of shop.orders").get_by_role("row", name="note")
    expect(row.get_by_role("cell").first).to_contain_text(HOSTILE[:40])
    expect(row.get_by_role("cell").last).to_have_text("null")
    keep_screenshot(page, "assistant")
    page.get_by_role("button", name="Save…").click()
    assert '"task_name": "drafted"' not in site.text
    page.get_by_role("dialog", name="Save the task drafted?").get_by_role("button", name="Save").click()

    expect(page.get_by_text("The task drafted has been saved.")).to_be_visible()
    assert '"task_name": "drafted"' in site.text
    (draft, wanted), (proof, proved) = site.assisted
    assert (draft, wanted["description"], wanted["model_conn"]) == (
        "draft",
        "copia shop.orders",
        "trempy_model",
    )
    assert (proof, proved["rows"]) == ("dry_run", True)
    assert page.evaluate("window.harmed") is None


def test_change_of_a_task_is_drafted_against_its_settings(page: Page, site: PageSite, watch: Watch) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(f"{site.page}#/task/orders/settings")

    page.get_by_role("link", name="Describe a change").click()
    page.get_by_label(DESCRIPTION).fill("keep history")
    page.get_by_role("button", name="Draft").click()

    change = page.get_by_role("table", name="What would change")
    expect(change).to_contain_text("task.task_nameordersdrafted")
    assert site.assisted[0][1]["task_name"] == "orders"
    assert not is_scrolled_sideways(page)


def test_draft_can_be_cancelled_and_asked_for_again(page: Page, site: PageSite, watch: Watch) -> None:
    site.may_draft.clear()
    page.goto(f"{site.page}#/assistant")
    page.get_by_label(DESCRIPTION).fill("copy shop.orders")

    page.get_by_role("button", name="Draft").click()
    expect(page.get_by_text("Asking the model")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("There is no draft: You have cancelled it.")).to_be_visible()
    site.may_draft.set()
    page.get_by_role("button", name="Draft").click()

    expect(page.get_by_role("heading", name="Draft of the model")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_draft_that_does_not_fit_the_source_is_saved_only_when_it_is_changed(
    page: Page, site: PageSite, watch: Watch
) -> None:
    site.draft["problems"] = [{"path": "tables[0]", "message": f"the source has no such table {HOSTILE}"}]
    page.goto(f"{site.page}#/assistant")
    page.get_by_label(DESCRIPTION).fill("copy shop.orders")

    page.get_by_role("button", name="Draft").click()
    expect(page.get_by_text("tables[0]: the source has no such table <script>")).to_be_visible()
    expect(page.get_by_text("✓ These settings are valid.")).to_be_visible()
    save = page.get_by_role("button", name="Save…")
    expect(save).to_be_disabled()
    page.get_by_label("task.interval_seconds", exact=True).fill("7")

    expect(save).to_be_enabled()
    assert page.evaluate("window.harmed") is None


def test_who_may_not_create_a_task_is_not_offered_it(page: Page, site: PageSite, watch: Watch) -> None:
    site.can["edit_settings"] = False

    page.goto(site.page)

    expect(page.get_by_text("Tasks", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Draft a task")).to_be_hidden()

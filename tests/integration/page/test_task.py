"""The page of a task in a browser: tables, charts, lists, actions."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Watch, keep_screenshot
from tests.support.page_answers import ACTIONS, dead_letter, error, tables_of
from tests.support.page_site import PREFIX, PageSite

WHOLE_TASK = {
    "Full load": ("full_load", {}),
    "Pause": ("pause", {}),
    "Resume": ("resume", {}),
    "Refresh tables": ("refresh_tables", {}),
    "Validate": ("validate", {"repair": False}),
    "Sync sequences": ("sync_sequences", {}),
}


def open_tab(page: Page, site: PageSite, tab: str) -> None:
    page.goto(f"{site.page}#/task/orders/{tab}")
    expect(page.get_by_role("heading", name="orders", level=1)).to_be_visible()


def test_tables_show_progress_and_changes(page: Page, site: PageSite, watch: Watch) -> None:
    open_tab(page, site, "tables")
    row = page.get_by_role("row", name=re.compile(r"shop\.table_001"))

    expect(row).to_contain_text("42.4 %, 1 min 15 s left")
    expect(row.get_by_role("progressbar", name="Progress of shop.table_001")).to_be_visible()
    assert row.get_by_role("cell").all_inner_texts()[-4:] == ["10", "20", "3", "0"]


def test_chosen_tables_are_reloaded_after_a_question(page: Page, site: PageSite, watch: Watch) -> None:
    open_tab(page, site, "tables")
    reload = page.get_by_role("button", name="Reload chosen")
    expect(reload).to_be_disabled()

    page.get_by_role("checkbox", name="Select shop.table_002").check()
    reload.click()
    dialog = page.get_by_role("dialog", name="Reload tables?")
    expect(dialog).to_contain_text("shop.table_002")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert site.actions == []
    reload.click()
    dialog.get_by_role("button", name="Reload tables").click()

    expect(page.get_by_text("Reload tables: run manual__1")).to_be_visible()
    assert site.actions == [("reload_tables", {"tables": ["shop.table_002"]})]
    expect(page.get_by_role("link", name="Open the run")).to_have_attribute(
        "href", f"{site.url}{PREFIX}/dags/trempy_orders_maintenance/runs/manual__1"
    )


@pytest.mark.parametrize("label", WHOLE_TASK)
def test_action_is_asked_for_and_started(page: Page, site: PageSite, watch: Watch, label: str) -> None:
    open_tab(page, site, "tables")

    page.get_by_role("toolbar").get_by_role("button", name=label).click()
    page.get_by_role("dialog").get_by_role("button", name=label).click()

    expect(page.get_by_role("link", name="Open the run")).to_be_visible()
    assert site.actions == [WHOLE_TASK[label]]


def test_tear_down_wants_the_name_typed(page: Page, site: PageSite, watch: Watch) -> None:
    open_tab(page, site, "tables")

    page.get_by_role("button", name="Tear down").click()
    dialog = page.get_by_role("dialog", name="Tear down?")
    confirm = dialog.get_by_role("button", name="Tear down")
    dialog.get_by_role("textbox").fill("order")
    expect(confirm).to_be_disabled()
    page.keyboard.press("Enter")
    assert site.actions == []
    dialog.get_by_role("textbox").fill("orders")
    confirm.click()

    expect(page.get_by_role("link", name="Open the run")).to_be_visible()
    assert site.actions == [("tear_down", {"confirm": "orders"})]


def test_actions_without_the_right_are_off_and_say_why(page: Page, site: PageSite, watch: Watch) -> None:
    site.can = {**dict.fromkeys(ACTIONS, False), "edit_settings": False}
    open_tab(page, site, "tables")
    expect(page.get_by_role("row", name=re.compile("table_000"))).to_be_visible()

    for button in page.get_by_role("toolbar").get_by_role("button").all():
        expect(button).to_be_disabled()
        expect(button).to_have_attribute("title", re.compile("You lack the right"))


def test_refused_action_is_told(page: Page, site: PageSite, watch: Watch) -> None:
    open_tab(page, site, "tables")
    page.get_by_role("button", name="Pause").click()
    site.failing = 409

    page.get_by_role("dialog").get_by_role("button", name="Pause").click()

    expect(page.get_by_text("Pause was not started: the metadata database does not answer.")).to_be_visible()


def test_charts_say_what_they_show_and_can_be_read_as_tables(
    page: Page, site: PageSite, watch: Watch
) -> None:
    open_tab(page, site, "history")
    chart = page.get_by_role("img", name=re.compile(r"^Lag\. Lag: lowest 0 s, highest 5\.9 s, last 5\.9 s"))
    expect(chart).to_be_visible()

    chart.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("2026-03-04 04:07:07: Lag 100 ms")).to_be_visible()
    figure = page.locator("figure").filter(has=page.get_by_role("heading", name="Changes"))
    figure.get_by_text("As a table").click()
    page.get_by_role("radio", name="Week").check()

    expect(figure.get_by_role("row").nth(1)).to_contain_text("2026-03-04 03:06:07")
    assert figure.get_by_role("row").nth(1).get_by_role("cell").all_inner_texts() == ["177", "118", "59"]
    assert ("GET", f"{PREFIX}/trempy/api/tasks/orders/history?range=week") in site.requests


def test_charts_tell_idle_time_from_time_that_is_not_known(page: Page, site: PageSite, watch: Watch) -> None:
    open_tab(page, site, "history")
    figure = page.locator("figure").filter(has=page.get_by_role("heading", name="Lag", exact=True))
    chart = figure.get_by_role("img", name=re.compile("idle: waiting for changes at 3 of 60 times$"))
    expect(chart).to_be_visible()
    expect(figure.get_by_text("idle: waiting for changes")).to_be_visible()

    chart.focus()
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    expect(figure.get_by_text("Lag –")).to_be_visible()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(figure.get_by_text("Lag idle")).to_be_visible()
    figure.get_by_text("As a table").click()

    values = figure.get_by_role("cell").all_inner_texts()
    assert values[-25:-20] == ["idle", "idle", "idle", "–", "–"]
    keep_screenshot(page, "fake-history")


def test_batches_and_errors_are_listed(page: Page, site: PageSite, watch: Watch) -> None:
    site.errors = [error(number) for number in range(130)]
    open_tab(page, site, "batches")
    expect(page.get_by_role("row").nth(1)).to_contain_text("0/1A2B00")

    page.get_by_role("tab", name="Errors").click()
    expect(page.get_by_text("1–50 of 100")).to_be_visible()
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_text("1–50 of 130")).to_be_visible()
    page.get_by_role("row").nth(1).get_by_text("Statement").click()

    expect(page.get_by_role("row").nth(1)).to_contain_text("insert into shop.orders (id, note)")


def test_dead_letters_show_their_rows_and_are_settled(page: Page, site: PageSite, watch: Watch) -> None:
    open_tab(page, site, "dead_letters")
    page.get_by_role("row").nth(1).get_by_text("4 columns").click()
    values = page.get_by_role("row").nth(1).locator("dd")
    expect(values).to_have_text(["0", "too long", "***", "∅ null"])

    page.get_by_role("checkbox", name="at 0/1A01").check()
    page.get_by_role("button", name="Discard chosen").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(page.get_by_text("Discard: run manual__1")).to_be_visible()
    page.get_by_role("button", name="Replay all").click()
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Replay: run manual__2")).to_be_visible()

    assert site.actions == [
        ("discard_dead_letters", {"ids": ["letter-1"]}),
        ("replay_dead_letters", {"ids": "all"}),
    ]


def test_settled_dead_letter_leaves_list_and_selection(page: Page, site: PageSite, watch: Watch) -> None:
    site.dead_letters = [dead_letter(1), dead_letter(2)]
    open_tab(page, site, "dead_letters")
    page.get_by_role("checkbox", name="at 0/1A01").check()

    site.dead_letters = [dead_letter(2)]
    page.get_by_role("button", name="Refresh", exact=True).click()

    expect(page.get_by_role("checkbox", name="at 0/1A01")).to_be_hidden()
    expect(page.get_by_role("button", name="Discard chosen")).to_be_disabled()


def test_unknown_task_is_told(page: Page, site: PageSite, watch: Watch) -> None:
    page.goto(f"{site.page}#/task/nobody/tables")

    expect(page.get_by_text("no replication task is called 'nobody'")).to_be_visible()
    page.get_by_role("link", name="← All tasks").click()
    expect(page.get_by_role("link", name="orders")).to_be_visible()


def test_two_hundred_tables_are_paged(page: Page, site: PageSite, watch: Watch) -> None:
    site.tables = tables_of(200)
    open_tab(page, site, "tables")
    expect(page.get_by_text("1–50 of 200")).to_be_visible()

    page.get_by_role("button", name="Next page").click()

    expect(page.get_by_role("row").nth(1)).to_contain_text("shop.table_050")
    expect(page.get_by_text("Page 2 of 4")).to_be_visible()


def test_what_may_not_be_read_is_told_in_its_place(page: Page, site: PageSite, watch: Watch) -> None:
    site.forbidden, site.can["view_settings"] = frozenset({"errors"}), False

    open_tab(page, site, "errors")

    expect(page.get_by_role("tabpanel")).to_have_text("reading errors needs a right you lack")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_role("tab", name="Settings")).to_be_hidden()


def test_dead_letter_with_several_changes_shows_the_first_of_them(
    page: Page, site: PageSite, watch: Watch
) -> None:
    several = [
        {"schema": "shop", "table": name, "operation": "insert", "row": {"id": 7}}
        for name in ("orders", "order_lines")
    ]
    site.dead_letters = [dead_letter(1, changes=several, is_complete=False)]
    site.dead_letters.append(
        dead_letter(2, schema=None, table=None, operation=None, row=None, changes=[], problem="no message")
    )

    open_tab(page, site, "dead_letters")

    letter, unreadable = page.get_by_role("row").nth(1), page.get_by_role("row").nth(2)
    expect(letter.locator("summary")).to_have_text(
        ["insert shop.orders: 1 columns", "insert shop.order_lines: 1 columns"]
    )
    expect(letter).to_contain_text("and more")
    expect(unreadable).to_contain_text("22001 value too long; no message")
    expect(unreadable).to_contain_text("not readable")

"""The tab of a task's last validation in a browser."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Watch
from tests.support.page_answers import HOSTILE, at, difference, validated, validation
from tests.support.page_site import PageSite


def open_tab(page: Page, site: PageSite) -> None:
    page.goto(f"{site.page}#/task/orders/tables")
    page.get_by_role("tab", name="Validation").click()


def tables(page: Page) -> Locator:
    return page.get_by_role("table", name="Validated tables")


def rows(page: Page) -> Locator:
    return page.get_by_role("table", name="Rows that differ")


def test_running_validation_tells_how_far_it_is_and_what_it_has_found(
    page: Page, site: PageSite, watch: Watch
) -> None:
    open_tab(page, site)

    panel = page.get_by_role("tabpanel", name="Validation")
    expect(panel).to_contain_text("Started 2026-03-04 05:04:37: 1 of 4 tables compared, with repair")
    expect(panel.locator(".state").first).to_have_text("running")
    orders = tables(page).get_by_role("row", name=re.compile(r"shop\.orders"))
    lines = tables(page).get_by_role("row", name=re.compile(r"shop\.lines"))
    expect(orders).to_contain_text("2 rows could not be repaired")
    expect(orders.locator("td:nth-child(n+2)")).to_have_text(
        ["different", "100 %", "3", "50,000", "2", "1", "0", "1", "0", "0"]
    )
    expect(lines.locator("td:nth-child(n+2)")).to_have_text(
        ["running", "42.4 %", "3", "50,000", "0", "0", "0", "0", "7", "5"]
    )


def test_rows_that_differ_are_listed_by_their_keys(page: Page, site: PageSite, watch: Watch) -> None:
    site.differences = [
        difference(1),
        difference(2, key=None, rows=3, outcome="repaired"),
        difference(3, kind="extra", key={HOSTILE: HOSTILE}, outcome="23505"),
        *(difference(number) for number in range(4, 130)),
    ]

    open_tab(page, site)

    expect(rows(page).get_by_role("row").nth(1).locator("dd")).to_have_text(["1", "***"])
    expect(rows(page).get_by_role("row").nth(1)).to_contain_text("not repaired")
    expect(rows(page).get_by_role("row").nth(2)).to_contain_text("the table has no key")
    expect(rows(page).get_by_role("row").nth(3)).to_contain_text("not repaired: SQLSTATE 23505")
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_text("1–50 of 129")).to_be_visible()
    assert page.evaluate("window.harmed") is None


def test_who_may_not_read_logs_sees_counts_and_is_told_why_no_rows(
    page: Page, site: PageSite, watch: Watch
) -> None:
    site.forbidden = frozenset({"differences"})

    open_tab(page, site)

    expect(tables(page).get_by_role("row", name=re.compile(r"shop\.orders"))).to_be_visible()
    expect(page.get_by_text("reading differences needs a right you lack")).to_be_visible()
    expect(rows(page)).to_be_hidden()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_task_that_was_never_validated_and_tables_that_are_equal_have_no_list_of_rows(
    page: Page, site: PageSite, watch: Watch
) -> None:
    site.validation = None
    open_tab(page, site)
    expect(page.get_by_text("No validation has come to a table yet.")).to_be_visible()

    equal = [validated("shop.orders", target="sales.orders", notes=["a note"])]
    site.validation = validation(
        state="equal",
        finished_at=at(5),
        table_count=1,
        chosen=["shop.orders"],
        tables=equal,
    )
    page.get_by_role("button", name="Refresh", exact=True).click()

    expect(tables(page).get_by_role("row").nth(1)).to_contain_text("to sales.orders")
    expect(tables(page).get_by_role("row").nth(1)).to_contain_text("a note")
    expect(page.get_by_text("1 of 1 chosen tables compared")).to_be_visible()
    expect(rows(page)).to_be_hidden()
    assert not [path for _, path in site.requests if path.endswith("differences")]

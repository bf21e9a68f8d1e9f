"""The list of tasks in a browser."""

import re

from playwright.sync_api import Page, expect

from tests.support.browser import Watch
from tests.support.page_answers import HOSTILE, STATES, overview
from tests.support.page_site import PageSite


def test_task_is_shown_with_all_its_numbers(page: Page, site: PageSite, watch: Watch) -> None:
    site.tasks = [overview("orders", dead_letters=3, apply_errors=2)]

    page.goto(site.page)
    row = page.get_by_role("row", name=re.compile("orders"))

    for text in (
        "full load and cdc",
        "running",
        "3 of 4 tables loaded, 1 loading",
        "3.25 s · 1.23 MB",
        "capture 12 ms (4.1 kB) · broker 200 ms (1.2 MB) · apply 3.04 s",
        "1,230 rows/s · 234 kB/s",
        "17",
        "⚠ 3",
        "⚠ 2",
        "16.8 MB",
        "full in 1 d 1 h (max slot wal keep size)",
    ):
        expect(row).to_contain_text(text)
    expect(row.get_by_role("img", name="Lag, last hour: lowest 0 s, highest 3 s, now 2.7 s")).to_be_visible()
    expect(row.get_by_role("img", name=re.compile("Throughput, last hour"))).to_be_visible()
    expect(page.get_by_text("2 more that you may not see.")).to_be_visible()


def test_every_state_has_its_own_shape_and_word(page: Page, site: PageSite, watch: Watch) -> None:
    site.tasks = [overview(f"is_{state}", state=state) for state in STATES]

    page.goto(site.page)
    shapes = set()
    for state in STATES:
        badge = page.get_by_role("row", name=re.compile(f"is_{state}")).locator(".state")
        expect(badge).to_have_text(state)
        shapes.add(badge.locator("path").get_attribute("d"))

    assert len(shapes) == len(STATES)


def test_tasks_are_filtered_and_sorted(page: Page, site: PageSite, watch: Watch) -> None:
    site.tasks = [
        overview("quiet", queue_depth=5),
        overview("busy", queue_depth=50),
        overview("broken", queue_depth=9, state="failed", state_reason="the slot is gone"),
    ]
    page.goto(site.page)
    names = page.locator("tbody tr td:first-child a")

    expect(names).to_have_text(["broken", "busy", "quiet"])
    page.get_by_role("button", name="Queue").click()
    expect(names).to_have_text(["busy", "broken", "quiet"])
    expect(page.get_by_role("columnheader", name="Queue")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("searchbox", name="Filter Replication tasks").fill("slot is gone")
    expect(names).to_have_text(["broken"])
    page.get_by_role("searchbox").fill("")
    page.get_by_role("combobox", name="Which tasks").select_option("Needs attention")
    expect(names).to_have_text(["broken"])


def test_hostile_names_are_only_text(page: Page, site: PageSite, watch: Watch) -> None:
    site.problems = [HOSTILE]
    site.tasks = [overview(HOSTILE, description=HOSTILE, problem=HOSTILE, state=HOSTILE)]
    for table in site.tables:
        table.update(table=HOSTILE, schema=HOSTILE, target_table=HOSTILE, note=HOSTILE, state=HOSTILE)
    for entry in (*site.errors, *site.dead_letters):
        entry.update(schema=HOSTILE, table=HOSTILE, operation=HOSTILE, lsn=HOSTILE, policy=HOSTILE)
        entry.update({key: HOSTILE for key in ("error", "statement", "reason") if key in entry})
    for letter in site.dead_letters:
        letter["row"] = {HOSTILE: HOSTILE}

    page.goto(site.page)
    expect(page.get_by_role("listitem").first).to_contain_text("<script>window.harmed=1</script>")
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>window.harmed=1</script>")
    expect(page.get_by_role("heading", level=1)).to_contain_text("⏎")
    for tab in ("Errors", "Dead letters", "Settings", "Tables"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).not_to_contain_text("Loading…")
        for summary in page.locator("[role=tabpanel] summary").all():
            summary.dispatch_event("click")
    page.get_by_role("checkbox").nth(1).check()
    page.get_by_role("button", name="Reload chosen").click()
    expect(page.get_by_role("dialog")).to_contain_text("<img src=x onerror=")

    assert page.evaluate("window.harmed") is None
    assert page.locator("img:not([role])").count() == 0


def test_numbers_follow_the_server_without_disturbing_the_reader(
    page: Page, site: PageSite, watch: Watch
) -> None:
    page.clock.install()
    page.goto(site.page)
    link = page.get_by_role("link", name="orders")
    link.focus()

    site.tasks[0]["queue_depth"] = 4711
    page.clock.run_for(6000)

    expect(page.get_by_role("cell", name="4,711")).to_be_visible()
    expect(link).to_be_focused()


def test_hidden_page_asks_nothing_until_it_is_seen_again(page: Page, site: PageSite, watch: Watch) -> None:
    page.clock.install()
    page.goto(site.page)
    expect(page.get_by_role("link", name="orders")).to_be_visible()
    hide = """hidden => {
        Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""

    page.evaluate(hide, True)
    before = len(site.requests)
    page.clock.run_for(60_000)
    while_hidden = len(site.requests) - before
    with page.expect_response(re.compile("api/tasks")):
        page.evaluate(hide, False)

    assert while_hidden == 0


def test_error_of_the_server_is_told_and_takes_nothing_away(page: Page, site: PageSite, watch: Watch) -> None:
    page.clock.install()
    page.goto(site.page)
    expect(page.get_by_role("link", name="orders")).to_be_visible()

    site.failing = 503
    page.clock.run_for(6000)

    expect(page.get_by_role("alert")).to_have_text(
        "the metadata database does not answer. What you see is of 2026-03-04 05:06:07."
    )
    expect(page.get_by_role("link", name="orders")).to_be_visible()
    site.failing = None
    page.get_by_role("button", name="Refresh", exact=True).click()
    expect(page.get_by_role("alert")).to_be_hidden()

"""How the page looks and is worked with: theme, keyboard, width, speed, frame, prefix."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Watch, is_scrolled_sideways, keep_screenshot
from tests.support.page_answers import HOSTILE, difference, overview, tables_of, validated, validation
from tests.support.page_site import PREFIX, PageSite, many_tasks

TABS = ("tables", "history", "batches", "errors", "dead_letters", "validation", "settings")
LONG = "a_very_long_name_without_any_break_" * 3


def theme(page: Page) -> str | None:
    return page.locator("html").get_attribute("data-theme")


def contrast(page: Page, selector: str) -> float:
    """Return WCAG's ratio of an element's text to the page's ground."""
    return page.locator(selector).first.evaluate(
        """element => {
            const light = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number)
                .map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
                .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
            const [a, b] = [getComputedStyle(element).color, getComputedStyle(document.documentElement).backgroundColor]
                .map(light).sort((one, other) => other - one);
            return (a + 0.05) / (b + 0.05);
        }"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_follows_the_system_and_text_is_readable(
    page: Page, site: PageSite, watch: Watch, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    site.tasks = many_tasks(7)
    page.goto(site.page)
    expect(page.get_by_role("link", name="task_000")).to_be_visible()

    assert theme(page) == scheme
    for selector in (
        "h1",
        ".muted",
        "tbody a",
        *(f'.state[data-tone="{tone}"]' for tone in ("good", "busy", "bad", "quiet")),
    ):
        assert contrast(page, selector) >= 4.5, selector
    keep_screenshot(page, f"fake-overview-{scheme}")


def test_theme_chosen_in_airflow_wins(page: Page, site: PageSite, watch: Watch) -> None:
    page.goto(site.page)
    page.evaluate('localStorage.setItem("theme", "dark")')
    page.reload()

    assert theme(page) == "dark"


def test_frame_follows_the_theme_of_the_page_around_it_and_leaves_it(
    page: Page, site: PageSite, watch: Watch
) -> None:
    site.parent_theme = "dark"
    page.goto(f"{site.url}{PREFIX}/frame")
    frame = page.frame_locator("iframe")
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")

    page.evaluate('document.documentElement.className = "light"')
    expect(frame.locator("html")).to_have_attribute("data-theme", "light")
    frame.get_by_role("link", name="orders").click()
    frame.get_by_role("button", name="Pause").click()
    frame.get_by_role("dialog").get_by_role("button", name="Pause").click()
    frame.get_by_role("link", name="Open the run").click()

    page.wait_for_url(f"**{PREFIX}/dags/trempy_orders_maintenance/runs/manual__1")


@pytest.mark.parametrize("hash_", ["", *(f"#/task/orders/{tab}" for tab in TABS)])
def test_narrow_screen_is_not_scrolled_sideways(page: Page, site: PageSite, watch: Watch, hash_: str) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    site.tasks = [overview("orders", problem=LONG, state_reason=HOSTILE)]
    site.tables[0].update(table=LONG, note=LONG)
    site.errors[0].update(table=LONG, error=LONG, statement=LONG)
    site.dead_letters[0].update(table=LONG, row={LONG: LONG})
    site.validation = validation(tables=[validated(LONG, target=LONG, missing=1, notes=[LONG])])
    site.differences = [difference(1, table=LONG, key={LONG: LONG})]

    page.goto(site.page + hash_)
    expect(page.locator("main")).not_to_contain_text("Loading…")
    for summary in page.locator("main summary").all():
        summary.dispatch_event("click")

    assert not is_scrolled_sideways(page)


def test_everything_is_reached_by_keyboard(page: Page, site: PageSite, watch: Watch) -> None:
    page.goto(site.page)
    expect(page.get_by_role("link", name="orders")).to_be_visible()

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_role("link", name="orders").press("Enter")
    tab = page.get_by_role("tab", name="Tables")
    tab.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="History")).to_be_focused()
    expect(page.get_by_role("tab", name="History")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(page.get_by_role("tabpanel", name="Settings")).to_be_visible()
    pause = page.get_by_role("button", name="Pause")
    expect(pause).to_be_enabled()
    pause.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("button", name="Pause")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(pause).to_be_focused()

    assert site.actions == []


def test_reduced_motion_is_respected(page: Page, site: PageSite, watch: Watch) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{site.page}?dag_id=somebody_elses")
    notice = page.locator(".notice")
    expect(notice).to_contain_text("The DAG somebody_elses belongs to no replication task.")

    assert notice.evaluate("element => getComputedStyle(element).animationName") == "none"


def test_tab_of_a_dag_opens_its_task(page: Page, site: PageSite, watch: Watch) -> None:
    site.tasks = many_tasks(3)
    page.goto(f"{site.page}?dag_id=trempy_task_001_maintenance")

    expect(page.get_by_role("heading", name="task_001")).to_be_visible()


def test_link_into_a_tab_and_the_way_back_work(page: Page, site: PageSite, watch: Watch) -> None:
    page.goto(f"{site.page}#/task/orders/errors")
    expect(page.get_by_role("tab", name="Errors")).to_have_attribute("aria-selected", "true")

    page.get_by_role("tab", name="Batches").click()
    expect(page).to_have_url(re.compile("#/task/orders/batches$"))
    page.go_back()
    expect(page.get_by_role("tab", name="Errors")).to_have_attribute("aria-selected", "true")


def test_hundred_tasks_of_two_hundred_tables_are_shown_without_lag(
    page: Page, site: PageSite, watch: Watch
) -> None:
    site.tasks, site.tables = many_tasks(100), tables_of(200)
    page.goto(site.page)
    expect(page.get_by_text("1–50 of 100")).to_be_visible()
    page.evaluate(
        """() => {
            window.longest = 0;
            new PerformanceObserver(list => list.getEntries().forEach(one => {
                window.longest = Math.max(window.longest, one.duration);
            })).observe({type: "longtask"});
        }"""
    )

    page.get_by_role("button", name="Lag").click()
    page.get_by_role("searchbox").fill("task_09")
    expect(page.locator("tbody tr")).to_have_count(10)
    for _ in range(3):
        with page.expect_response(re.compile("api/tasks$")):
            page.get_by_role("button", name="Refresh", exact=True).click()
    page.get_by_role("link", name="task_099").click()
    expect(page.get_by_text("1–50 of 200")).to_be_visible()
    page.get_by_role("button", name="Inserts").click()
    page.get_by_role("searchbox").fill("_19")
    expect(page.locator("tbody tr")).to_have_count(10)

    assert page.evaluate("window.longest") < 400  # milliseconds in which nothing could be typed

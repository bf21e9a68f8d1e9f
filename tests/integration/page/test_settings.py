"""The editor of settings in a browser."""

import json
import re

from playwright.sync_api import Page, expect

from tests.support.browser import Watch
from tests.support.page_site import PageSite


def open_editor(page: Page, site: PageSite) -> None:
    page.goto(f"{site.page}#/task/orders/settings")
    expect(page.get_by_text("✓ These settings are valid.")).to_be_visible()


def test_field_is_edited_checked_shown_and_saved(page: Page, site: PageSite, watch: Watch) -> None:
    open_editor(page, site)
    save = page.get_by_role("button", name="Save…")
    expect(save).to_be_disabled()

    page.get_by_label("task.interval_seconds", exact=True).fill("7")
    change = page.get_by_role("table", name="What would change").get_by_role("row").nth(1)
    expect(change).to_have_text("task.interval_seconds57")
    save.click()
    expect(page.get_by_role("dialog")).to_contain_text("task.interval_seconds")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()

    expect(page.get_by_text("The settings have been saved.")).to_be_visible()
    expect(save).to_be_disabled()
    assert json.loads(site.text)["task"]["interval_seconds"] == 7


def test_schema_is_checked_while_somebody_types(page: Page, site: PageSite, watch: Watch) -> None:
    open_editor(page, site)
    field = page.get_by_label("task.interval_seconds", exact=True)

    field.fill("often")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("must be number, is string").first).to_be_visible()
    field.fill("-1")
    expect(page.get_by_text("must be greater than 0").first).to_be_visible()


def test_server_has_the_last_word(page: Page, site: PageSite, watch: Watch) -> None:
    open_editor(page, site)

    page.get_by_label("task.interval_seconds", exact=True).fill("13")

    expect(page.get_by_role("listitem").filter(has_text="13 is refused by the server alone")).to_be_visible()
    expect(page.get_by_label("task.interval_seconds", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("button", name="Save…")).to_be_disabled()


def test_json_and_form_show_the_same(page: Page, site: PageSite, watch: Watch) -> None:
    open_editor(page, site)

    page.get_by_role("radio", name="JSON").check()
    area = page.get_by_role("textbox", name="Settings as JSON")
    area.fill(re.sub('"interval_seconds": 5', '"interval_seconds": 6', site.text))
    page.get_by_role("radio", name="Form").check()
    expect(page.get_by_label("task.interval_seconds", exact=True)).to_have_value("6")
    page.get_by_role("button", name="Add to tables").click()
    page.get_by_label("tables[1].table_name", exact=True).fill("order_lines")
    page.get_by_role("radio", name="JSON").check()

    assert json.loads(area.input_value())["tables"][1] == {"table_name": "order_lines"}
    expect(page.get_by_role("listitem").filter(has_text="schema_name")).to_be_visible()
    area.fill("{")
    expect(page.get_by_role("listitem").filter(has_text="This is no JSON")).to_be_visible()


def test_empty_field_leaves_the_default(page: Page, site: PageSite, watch: Watch) -> None:
    open_editor(page, site)

    page.get_by_label("task.interval_seconds", exact=True).fill("")
    page.get_by_role("radio", name="JSON").check()
    text = page.get_by_role("textbox", name="Settings as JSON").input_value()

    assert "interval_seconds" not in json.loads(text)["task"]


def test_change_of_somebody_else_is_not_overwritten_unseen(page: Page, site: PageSite, watch: Watch) -> None:
    open_editor(page, site)
    page.get_by_label("task.interval_seconds", exact=True).fill("7")
    expect(page.get_by_role("table", name="What would change")).to_contain_text("57")
    site.text, site.version = site.text.replace('"interval_seconds": 5', '"interval_seconds": 99'), 2

    page.get_by_role("button", name="Save…").click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()

    expect(page.get_by_text("somebody else has changed them meanwhile")).to_be_visible()
    expect(page.get_by_role("table", name="What would change")).to_contain_text("997")
    expect(page.get_by_label("task.interval_seconds", exact=True)).to_have_value("7")
    assert '"interval_seconds": 99' in site.text


def test_polling_keeps_what_is_being_typed(page: Page, site: PageSite, watch: Watch) -> None:
    page.clock.install()
    page.goto(f"{site.page}#/task/orders/settings")
    page.get_by_label("task.interval_seconds", exact=True).fill("8")

    page.clock.run_for(30_000)

    expect(page.get_by_label("task.interval_seconds", exact=True)).to_have_value("8")
    expect(page.get_by_label("task.interval_seconds", exact=True)).to_be_focused()


def test_settings_are_read_only_without_the_right(page: Page, site: PageSite, watch: Watch) -> None:
    site.can["edit_settings"] = False
    open_editor(page, site)

    expect(page.get_by_label("task.interval_seconds", exact=True)).to_be_disabled()
    expect(page.get_by_text("You lack the right to change it.")).to_be_visible()

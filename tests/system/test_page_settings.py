"""The settings on the page "Replication": looked at, checked and saved by those who may use the Variable."""

import json

import pytest

from tests.support.page import Page
from tests.system.conftest import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture
def page_of(shop):
    return lambda user: Page(shop.airflow.url, shop.airflow.api_of(user).token)


@pytest.fixture
def admin(shop):
    return Page(shop.airflow.url, shop.api.token)


@pytest.fixture
def path(shop, task_name, admin):
    shop.define_task(task_name)
    path = f"/api/tasks/{task_name}/settings"
    wait_until(lambda: admin.get(path).status == 200, timeout_seconds=20, what="the settings")
    return path


def variable(shop, task_name):
    return shop.api.get(f"/variables/trempy_task_{task_name}")["value"]


def test_settings_are_for_those_who_may_use_the_variable(path, page_of):
    viewer, user = page_of("viewer"), page_of("user")

    answers = [
        answer.status
        for page in (viewer, user)
        for answer in (
            page.get(path),
            page.send("POST", f"{path}/check", {"text": "{}"}),
            page.send("PUT", path, {"text": "{}", "etag": None}),
        )
    ]

    assert answers == [403] * 6


def test_changed_settings_are_checked_against_the_model_with_what_they_change(path, admin):
    shown = admin.get(path).json
    settings = shown["settings"]
    settings["task"]["interval_seconds"] = 7.5
    settings["tables"].append({"schema_name": "shop", "table_name": "<b>\n☃"})

    valid = admin.send("POST", f"{path}/check", {"text": json.dumps(settings)}).json
    settings["task"]["cdc_settings"]["mode"] = "nonsense"
    invalid = admin.send("POST", f"{path}/check", {"text": json.dumps(settings)}).json
    broken = admin.send("POST", f"{path}/check", {"text": '{"task": '}).json

    assert shown["can_edit"] and shown["schema"]["properties"]["task"]
    assert valid["valid"], valid
    assert [(each["path"], each["before"]) for each in valid["diff"]] == [
        ("task.interval_seconds", 1),
        ("tables[1]", None),
    ]
    assert [problem["path"] for problem in invalid["problems"]] == ["task.cdc_settings.mode"]
    assert "upsert" in invalid["problems"][0]["message"]
    assert not broken["valid"] and broken["diff"] == []


def test_settings_are_saved_unless_they_are_wrong_or_were_changed_meanwhile(shop, task_name, path, admin):
    shown = admin.get(path).json
    changed = json.dumps({**shown["settings"], "filters": []}, indent=1)
    stale = shown["etag"]

    saved = admin.send("PUT", path, {"text": changed, "etag": stale})
    late = admin.send("PUT", path, {"text": shown["text"], "etag": stale})
    wrong = admin.send("PUT", path, {"text": "{}", "etag": saved.json["etag"]})

    assert (saved.status, late.status, wrong.status) == (200, 409, 422)
    assert "meanwhile" in late.json["detail"]
    assert wrong.json["problems"]
    assert json.loads(variable(shop, task_name)) == json.loads(changed)
    shown = admin.get(path).json
    assert (shown["text"], shown["etag"]) == (changed, saved.json["etag"])
    assert admin.get(f"/api/tasks/{task_name}").json["problem"] is None


def test_a_new_task_is_saved_only_where_there_is_none(shop, task_name, path, admin):
    new = f"{task_name}_new"
    settings = {**admin.get(path).json["settings"]}
    settings["task"] = {**settings["task"], "task_name": new}
    text = json.dumps(settings)

    other_name = admin.send("PUT", f"/api/tasks/{new}x/settings", {"text": text, "etag": None})
    saved = admin.send("PUT", f"/api/tasks/{new}/settings", {"text": text, "etag": None})
    shop.variables.append(f"trempy_task_{new}")
    again = admin.send("PUT", f"/api/tasks/{new}/settings", {"text": text, "etag": None})

    assert (other_name.status, saved.status, again.status) == (422, 200, 409)
    assert json.loads(variable(shop, new)) == settings

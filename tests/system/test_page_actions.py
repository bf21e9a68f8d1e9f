"""The actions of the page "Replication": each one is a run of a DAG, in the name of a user who may start it."""

import pytest

from tests.support.page import Page
from tests.system.conftest import wait_until
from trempy_provider.plugins.api.permissions import ACTIONS

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture
def page_of(shop):
    return lambda user: Page(shop.airflow.url, shop.airflow.api_of(user).token)


@pytest.fixture
def followed(shop, task_name):
    """Load a task and follow its changes."""
    shop.define_task(task_name)
    shop.run(f"trempy_{task_name}_full_load")
    dag_id, run_id = shop.start_cdc(task_name)
    shop.wait_for_state(dag_id, run_id, "capture", "running", "deferred")
    return task_name


def history(page, task_name):
    return page.get(f"/api/tasks/{task_name}/history?range=hour").json["points"]


def finish(shop, answer, *, state="success"):
    """Wait for the end of the run that an action has started."""
    assert answer.status == 202, answer.body
    started = answer.json
    assert (
        started["url"]
        == f"/dags/{started['dag_id']}/runs/{started['run_id'].replace(':', '%3A').replace('+', '%2B')}"
    )
    ended = shop.api.wait_for_run(started["dag_id"], started["run_id"], timeout_seconds=150)
    assert ended == state, shop.explain(started["dag_id"], started["run_id"])
    return shop.api.dag_run(started["dag_id"], started["run_id"])


def test_a_user_who_may_only_look_starts_nothing(shop, task_name, page_of):
    shop.define_task(task_name)
    shop.api.wait_for_dag(f"trempy_{task_name}_maintenance")
    viewer = page_of("viewer")
    wait_until(
        lambda: viewer.get(f"/api/tasks/{task_name}").status == 200, timeout_seconds=20, what="the task"
    )

    answers = {action: viewer.act(task_name, action, confirm=task_name).status for action in ACTIONS}

    assert set(answers.values()) == {403}, answers
    assert shop.api.dag_runs(f"trempy_{task_name}_maintenance") == []


def test_another_sites_page_cannot_act_in_the_name_of_a_user(shop, task_name, page_of):
    shop.define_task(task_name)
    user = page_of("user")
    path = f"/api/tasks/{task_name}/actions/sync_sequences"

    unmarked = user.send("POST", path, {}, headers={})
    foreign = user.send(
        "POST", path, {}, headers={"X-Trempy-Action": "1", "Origin": "https://elsewhere.example"}
    )

    assert (unmarked.status, foreign.status) == (403, 403)
    assert "X-Trempy-Action" in unmarked.json["detail"]
    assert "another site" in foreign.json["detail"]


def test_what_an_action_cannot_do_is_refused_with_the_reason(shop, task_name, page_of):
    shop.define_task(task_name, replication_type="full_load")
    shop.api.wait_for_dag(f"trempy_{task_name}_maintenance")
    user = page_of("user")
    wait_until(lambda: user.get(f"/api/tasks/{task_name}").status == 200, timeout_seconds=20, what="the task")

    def problems(action, **params):
        answer = user.act(task_name, action, **params)
        return answer.status, [problem["path"] for problem in answer.json.get("problems", [])]

    assert problems("tear_down", confirm="another") == (422, ["confirm"])
    assert problems("tear_down") == (422, ["confirm"])
    assert problems("reload_tables", tables=[]) == (422, ["tables"])
    assert problems("full_load", nonsense=1) == (422, ["nonsense"])
    assert problems("pause") == (409, [])
    assert user.act(task_name, "<script>").status == 404


def test_a_paused_task_applies_nothing_until_it_is_resumed(shop, followed, page_of):
    user, cdc = page_of("user"), f"trempy_{followed}_cdc"

    run = finish(shop, user.act(followed, "pause"))
    shop.change("while paused")

    assert run["triggering_user_name"] == "user"
    assert shop.api.get(f"/dags/{cdc}")["is_paused"]
    assert (
        shop.pair.target_superuser.fetch_value(
            "select count(*) from pg_stat_activity where application_name in (%s, %s)",
            [f"trempy/{followed}/capture", f"trempy/{followed}/apply"],
        )
        == 0
    )
    shown = wait_until(
        lambda: (task := user.get(f"/api/tasks/{followed}").json)["state"] == "paused" and task,
        timeout_seconds=30,
        what="the task is shown as paused",
    )
    assert "paused in Airflow" in shown["state_reason"]
    assert not shop.is_equal()

    finish(shop, user.act(followed, "resume"))
    shop.wait_until_equal()

    def is_noted():
        shop.change("again")  # a lease that captures takes a sample
        points = history(user, followed)
        return sum(point["inserts"] for point in points) >= 50 and points

    points = wait_until(is_noted, timeout_seconds=90, poll_seconds=3, what="the changes are in the history")
    assert len(points) == 60
    assert any(point["lag_seconds"] is not None for point in points)
    batches = wait_until(
        lambda: user.get(f"/api/tasks/{followed}/batches").json["batches"], timeout_seconds=30, what="batches"
    )
    assert sum(batch["rows"] for batch in batches) >= 60
    assert not shop.api.get(f"/dags/{cdc}")["is_paused"]


def test_tables_are_refreshed_reloaded_and_validated_and_the_task_torn_down(shop, followed, page_of):
    user = page_of("user")
    shop.pair.source_admin.execute(
        "create table shop.gifts (id int primary key); insert into shop.gifts values (1)"
    )

    finish(shop, user.act(followed, "refresh_tables"))
    assert shop.pair.target.fetch_value("select count(*) from shop.gifts") == 1

    shop.pair.target_admin.execute("delete from shop.products where id < 10")
    finish(shop, user.act(followed, "validate", tables=["shop.products"]), state="failed")
    validation = user.get(f"/api/tasks/{followed}/validation").json["validation"]
    assert (validation["state"], validation["tables"][0]["missing"]) == ("different", 9)
    listed = user.get(f"/api/tasks/{followed}/validation/differences").json["differences"]
    assert sorted(int(row["key"]["id"]) for row in listed) == list(range(1, 10))
    finish(shop, user.act(followed, "reload_tables", tables=["shop.products"]))
    finish(shop, user.act(followed, "validate", tables=["shop.products"]))
    shop.pair.target_admin.execute("delete from shop.customers where id < 10")
    assert finish(shop, user.act(followed, "full_load"))["conf"]["reload"] is True
    assert shop.pair.target.fetch_value("select count(*) from shop.customers") == 500
    finish(shop, user.act(followed, "sync_sequences"))
    finish(shop, user.act(followed, "replay_dead_letters", ids="all"))
    finish(shop, user.act(followed, "discard_dead_letters", ids=["nowhere"]), state="failed")

    finish(shop, user.act(followed, "tear_down", confirm=followed))
    slots = "select count(*) from pg_replication_slots where slot_name = %s"
    assert shop.pair.source_superuser.fetch_value(slots, [f"trempy_{followed}"]) == 0
    assert shop.api.get(f"/dags/trempy_{followed}_cdc")["is_paused"]
    assert shop.pair.target.fetch_value("select count(*) from shop.products") == 50


def test_rows_that_failed_are_shown_with_their_statement_and_without_their_values(shop, followed, page_of):
    viewer = page_of("viewer")
    shop.pair.target_admin.execute("alter table shop.customers add constraint lucky check (name <> 'bad<b>')")
    shop.pair.source_admin.execute("update shop.customers set name = 'bad<b>' where id in (1, 2)")

    listed = wait_until(
        lambda: (
            len((page := viewer.get(f"/api/tasks/{followed}/errors?limit=1").json)["errors"]) == 1 and page
        ),
        timeout_seconds=60,
        what="the errors are listed",
    )

    (error,) = listed["errors"]
    assert (error["schema"], error["table"], error["operation"]) == ("shop", "customers", "update")
    assert error["policy"] == "continue"
    assert "lucky" in error["error"]
    assert error["statement"].startswith(("update", "UPDATE"))
    assert "bad<b>" not in str(error)
    older = viewer.get(f"/api/tasks/{followed}/errors?after={listed['next']}").json
    assert [each["id"] < error["id"] for each in older["errors"]] == [True]
    assert viewer.get(f"/api/tasks/{followed}/dead_letters").json == {"dead_letters": [], "next": None}
    assert viewer.get(f"/api/tasks/{followed}/errors?limit=0").status == 422

"""The page says of metadata that an older version has left that it is so, and what helps."""

import pytest

from tests.support.older_metadata import take_metadata_back
from tests.support.replication import Replication, settings
from tests.support.task_page import page_of_task
from trempy_provider.jobs.validate import validate
from trempy_provider.plugins.api import history, overview

SAID = "the metadata schema trempy is of an older version"
HELP = "run the DAG of the task's full load or CDC"


@pytest.fixture
def replication(connections, rabbitmq_uri, task_name):
    connections.source_admin.execute("create table public.t (id int primary key)")
    given = settings(task_name, ["public.t"])
    replication = Replication(given, databases=connections, rabbitmq_uri=rabbitmq_uri)
    replication.setup()
    replication.load()
    yield replication
    replication.teardown()


@pytest.fixture
def page(replication, monkeypatch):
    monkeypatch.setattr(overview, "permissions_of", lambda *_: {})
    monkeypatch.setattr(overview, "may_create_variables", lambda _: False)
    for module in (history, overview):
        monkeypatch.setattr(module, "find_dags", lambda _: {})
    with page_of_task(replication.task, monkeypatch) as page:
        yield page


def test_what_older_metadata_does_not_tell_is_named_and_the_rest_is_shown(
    replication, page, connections, task_name
):
    validate(replication.task, source=replication.source, target=replication.target)
    take_metadata_back(connections.target)

    refused = [page.get(f"/api/tasks/{task_name}/{part}") for part in ("history", "batches", "validation")]
    (listed,) = page.get("/api/tasks").json["tasks"]
    task = page.get(f"/api/tasks/{task_name}").json
    others = [page.get(f"/api/tasks/{task_name}/{part}") for part in ("errors", "dead_letters")]

    assert [answer.status for answer in refused] == [409] * 3
    for said in [*(answer.json["detail"] for answer in refused), listed["problem"], task["problem"]]:
        assert SAID in said
        assert HELP in said
    assert (listed["state"], listed["tables"]["loaded"], task["counts"]["loaded"]) == ("waiting", 1, 1)
    assert task["tables"] == []
    assert [answer.status for answer in others] == [200, 200]


def test_metadata_too_old_to_tell_how_far_its_tasks_are_is_named_too(
    replication, page, connections, task_name
):
    take_metadata_back(connections.target)
    connections.target.execute(
        "alter table trempy.capture_progress drop published_commit_at;"
        "delete from trempy.migrations where name like '0007%'"
    )

    (listed,) = page.get("/api/tasks").json["tasks"]

    assert listed["state"] == "unknown"
    assert f"{SAID}, without migration 0007_published_commit" in listed["problem"]
    assert HELP in listed["problem"]


def test_the_next_setup_brings_back_what_was_missing(replication, page, connections, task_name):
    take_metadata_back(connections.target)
    replication.setup()

    task = page.get(f"/api/tasks/{task_name}").json
    parts = [page.get(f"/api/tasks/{task_name}/{part}") for part in ("history", "batches", "validation")]

    assert (task["problem"], len(task["tables"])) == (None, 1)
    assert [answer.status for answer in parts] == [200, 200, 200]


def test_a_target_without_metadata_is_no_problem_of_versions(replication, page, connections, task_name):
    replication.teardown()

    task = page.get(f"/api/tasks/{task_name}").json
    parts = [page.get(f"/api/tasks/{task_name}/{part}") for part in ("history", "batches", "validation")]

    assert (task["problem"], task["tables"]) == (None, [])
    assert [answer.status for answer in parts] == [200, 200, 200]

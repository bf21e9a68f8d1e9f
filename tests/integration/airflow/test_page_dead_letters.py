"""The page's route of dead letters against real servers: a letter's changes, with masked columns masked."""

import pytest

from tests.support.dead_letters import TABLES, make_tables, options, refuse
from tests.support.replication import Replication, settings
from tests.support.task_page import page_of_task
from trempy_provider.plugins.api import rights

SECRET = "a private note"
REDACT = {
    "table_info": {"schema_name": "public", "table_name": "t"},
    "settings": {
        "transformation_type": "modify_column_value",
        "contract": {"operation": "redact", "column_name": "w"},
    },
}


@pytest.fixture
def replication(connections, rabbitmq_uri, task_name):
    make_tables(connections)
    given = settings(task_name, list(TABLES), transformations=[REDACT], **options())
    replication = Replication(given, databases=connections, rabbitmq_uri=rabbitmq_uri)
    replication.setup()
    replication.load()
    refuse(connections)
    yield replication
    replication.teardown()


@pytest.fixture
def page(replication, monkeypatch):
    with page_of_task(replication.task, monkeypatch) as page:
        yield page


def test_a_dead_letter_is_shown_with_its_changes_and_what_is_masked_stays_masked(
    connections, replication, page, task_name, monkeypatch
):
    connections.source_admin.execute(
        "insert into public.t values (99, 13, %(secret)s); delete from public.t where id = 1;"
        " insert into public.u values (2, 7)",
        {"secret": SECRET},
    )
    replication.catch_up()

    answer = page.get(f"/api/tasks/{task_name}/dead_letters")

    assert answer.status == 200, answer.body
    (letter,) = answer.json["dead_letters"]
    assert (letter["schema"], letter["table"], letter["operation"]) == ("public", "t", "insert")
    assert letter["row"] == {"id": "99", "v": "13", "w": "***"}
    assert [(change["operation"], change["table"]) for change in letter["changes"]] == [
        ("insert", "t"),
        ("delete", "t"),
        ("insert", "u"),
    ]
    assert letter["changes"][1]["row"] == {"id": "1"}
    assert (letter["state"], letter["is_complete"], letter["problem"]) == ("passed_over", True, None)
    assert "lucky" in letter["reason"]
    assert answer.json["next"] is None
    assert SECRET not in answer.body.decode()

    monkeypatch.setattr(rights, "may_read_logs", lambda *_: False)
    assert page.get(f"/api/tasks/{task_name}/dead_letters").status == 403

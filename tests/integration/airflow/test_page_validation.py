"""The page's routes of a task's last validation against real servers."""

import json

import pytest

from tests.support.replication import Replication, settings
from tests.support.task_page import page_of_task
from trempy_provider.jobs.validate import validate
from trempy_provider.plugins.api import rights
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.table_states import read_table_states
from trempy_provider.postgres.validations import TableValidation, ValidationRecord

SECRET = "a private key"
HASH = {
    "table_info": {"schema_name": "public", "table_name": "people"},
    "settings": {
        "transformation_type": "modify_column_value",
        "contract": {"operation": "hash", "column_name": "mail"},
    },
}


@pytest.fixture
def replication(connections, rabbitmq_uri, task_name):
    connections.source_admin.execute(
        "create table public.people (mail text primary key, v int);"
        "create table public.numbers (id int primary key, v int);"
        "insert into public.numbers select g, 0 from generate_series(1, 100) g;"
        "insert into public.people select %(secret)s || g, 0 from generate_series(1, 3) g",
        {"secret": SECRET},
    )
    given = settings(task_name, ["public.people", "public.numbers"], transformations=[HASH])
    replication = Replication(given, databases=connections, rabbitmq_uri=rabbitmq_uri)
    replication.source = Endpoint(
        lambda: ConnectionParameters.from_uri(connections.source_uri),
        task_name=task_name,
        role="source",
        read_salt=lambda _: "pepper",
    )
    replication.setup()
    replication.load()
    yield replication
    replication.teardown()


@pytest.fixture
def page(replication, monkeypatch):
    with page_of_task(replication.task, monkeypatch) as page:
        yield page


def shown(page, task_name):
    answer = page.get(f"/api/tasks/{task_name}/validation")
    assert answer.status == 200, answer.body
    assert SECRET not in answer.body.decode()
    return answer.json["validation"]


def of(validation, table):
    return next(each for each in validation["tables"] if each["table"] == table)


def test_report_is_for_all_who_see_the_task_and_keys_of_rows_for_those_who_may_read_logs(
    connections, replication, page, task_name, monkeypatch
):
    path = f"/api/tasks/{task_name}/validation/differences"
    assert shown(page, task_name) is None
    connections.target_admin.execute(
        "delete from public.people where mail = (select min(mail) from public.people);"
        "update public.numbers set v = 1 where id in (3, 5); insert into public.numbers values (0, 0)"
    )

    validate(replication.task, source=replication.source, target=replication.target)

    found = shown(page, task_name)
    assert (found["state"], found["repairs"], found["chosen"]) == ("different", False, [])
    assert (found["table_count"], found["finished_count"]) == (2, 2)
    assert found["finished_at"] > found["started_at"]
    numbers = of(found, "public.numbers")
    assert (numbers["state"], numbers["percent"], numbers["rows"]) == ("different", 100.0, 100)
    assert (numbers["missing"], numbers["different"], numbers["extra"]) == (0, 2, 1)
    first = page.get(f"{path}?limit=3").json
    rest = page.get(f"{path}?limit=3&after={first['next']}").json
    listed = first["differences"] + rest["differences"]
    assert rest["next"] is None
    assert sorted((each["kind"], each["key"]["id"]) for each in listed if "id" in each["key"]) == [
        ("different", "3"),
        ("different", "5"),
        ("extra", "0"),
    ]
    (masked,) = [each for each in listed if each["table"] == "public.people"]
    assert (masked["kind"], masked["outcome"], len(masked["key"]["mail"])) == ("missing", "found", 64)
    assert SECRET not in json.dumps(listed)

    monkeypatch.setattr(rights, "may_read_logs", lambda *_: False)
    assert page.get(path).status == 403
    assert shown(page, task_name) == found


def test_unfinished_validation_runs_while_somebody_is_at_it_and_tells_no_key(replication, page, task_name):
    with replication.target.connect("test") as session:
        oids = {str(s.source): oid for oid, s in read_table_states(session, task_name).items()}
        record = ValidationRecord(session, task_name)
        record.lock()
        record.begin(tables=["public.people"], repairs=True, anew=False)
        halfway = TableValidation(oids["public.numbers"], "public.numbers", "public.numbers")
        halfway.position, halfway.row_count, halfway.range_count = (SECRET,), 50, 2
        record.write(halfway)
        running = shown(page, task_name)
    stopped = shown(page, task_name)

    assert (running["state"], running["repairs"], running["chosen"]) == ("running", True, ["public.people"])
    assert (running["table_count"], running["finished_count"], running["finished_at"]) == (1, 0, None)
    numbers = of(running, "public.numbers")
    assert (numbers["state"], numbers["percent"], numbers["ranges"]) == ("running", 50.0, 2)
    assert (stopped["state"], of(stopped, "public.numbers")["state"]) == ("stopped", "stopped")

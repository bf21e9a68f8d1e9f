"""The page's route of a task's statistics: time in which nobody looked, because the task waited, is idle."""

import pytest

from tests.support.replication import Replication, settings
from tests.support.task_page import page_of_task
from trempy_provider.plugins.api import history
from trempy_provider.plugins.api.airflow_access import DagFacts

WAITING = """
insert into trempy.statistics (task_name, period_seconds, begins_at, insert_count, update_count, delete_count,
                               error_count, batch_count, published_bytes, idle_until)
values (%s, 60, date_trunc('minute', now()) - interval '10 minutes', 0, 0, 0, 0, 0, 0, now() + interval '1 hour')
"""


@pytest.fixture
def page(connections, rabbitmq_uri, task_name, monkeypatch):
    connections.source_admin.execute("create table public.t (id int primary key)")
    replication = Replication(
        settings(task_name, ["public.t"]), databases=connections, rabbitmq_uri=rabbitmq_uri
    )
    replication.setup()
    connections.target.execute(WAITING, [task_name])
    with page_of_task(replication.task, monkeypatch) as page:
        yield page
    replication.teardown()


@pytest.mark.parametrize(
    ("facts", "idle_count"),
    [
        (DagFacts(is_paused=False, last_run_state="running"), 10),
        (DagFacts(is_paused=True, last_run_state="running"), 0),
        (DagFacts(is_paused=False, last_run_state="failed"), 0),
        (None, 0),
    ],
)
def test_task_that_was_waiting_is_idle_until_now_only_while_a_lease_is_in_progress(
    page, task_name, monkeypatch, facts, idle_count
):
    found = {} if facts is None else {f"trempy_{task_name}_cdc": facts}
    monkeypatch.setattr(history, "find_dags", lambda _: found)

    points = page.get(f"/api/tasks/{task_name}/history").json["points"]

    idle = [index for index, point in enumerate(points) if point["idle"]]
    # The minute may have turned between the insertion and the look.
    assert len(idle) in ({idle_count, idle_count + 1} if idle_count else {0})
    assert not idle or idle[-1] == len(points) - 1

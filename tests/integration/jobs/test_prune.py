"""The metadata forgets what is older than `error_handling.history_retention_days`, and nothing that is open."""

from __future__ import annotations

import pytest

from tests.support.databases import DatabasePair
from tests.support.tasks import make_source, make_target, make_task
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.jobs.apply import apply
from trempy_provider.jobs.lease import Lease, StopSignal
from trempy_provider.jobs.prune import prune
from trempy_provider.jobs.setup import setup
from trempy_provider.jobs.teardown import teardown
from trempy_provider.postgres import history

PAST = """
insert into trempy.apply_errors (task_name, source_oid, target_schema, target_table, operation, sqlstate,
                                 message, summary, statement, transaction_id, commit_lsn, change_index, occurred_at)
select %(name)s, 1, 's', 't', 'insert', '23505', 'm', 'm', 's', 1, '0/1', n, now() - make_interval(days => n)
from generate_series(1, 40) n;
insert into trempy.dead_letters (task_name, message_id, reason, state, settled_at)
select %(name)s, state || n, 'r', state, case when state not in ('waiting', 'passed_over')
                                              then now() - make_interval(days => n) end
from generate_series(1, 40) n, unnest(array['waiting', 'passed_over', 'applied', 'replayed', 'discarded']) state;
insert into trempy.skipped_transactions (task_name, commit_lsn, skipped_at)
select %(name)s, n::text::numeric + '0/1'::pg_lsn, now() - make_interval(days => n) from generate_series(1, 40) n;
"""
LEFT = """
select (select count(*) from trempy.apply_errors where task_name = %(name)s),
       (select count(*) from trempy.dead_letters where task_name = %(name)s and state not in ('waiting', 'passed_over')),
       (select count(*) from trempy.dead_letters where task_name = %(name)s and state in ('waiting', 'passed_over')),
       (select count(*) from trempy.skipped_transactions where task_name = %(name)s)
"""
EVERYTHING = (40, 120, 80, 40)


@pytest.fixture
def make_past(databases: DatabasePair, rabbitmq_uri: str, make_task_name):
    """Return a function that sets up a task and gives it forty days of history."""
    databases.source_admin.execute(
        "create schema shop; create table shop.t0 (id int primary key);"
        "create table shop.t1 (id int primary key)"
    )
    made = []

    def make(**handling):
        task = make_task(make_task_name(), [f"t{len(made)}"])
        task = task.model_copy(update={"error_handling": task.error_handling.model_copy(update=handling)})
        ends = {
            "source": make_source(databases, task.task_name),
            "target": make_target(databases, task.task_name),
            "broker": RabbitMqBroker(
                lambda: RabbitMqParameters.from_uri(rabbitmq_uri), task_name=task.task_name
            ),
        }
        setup(task, **ends)
        made.append((task, ends))
        databases.target.execute(PAST, {"name": task.task_name})
        return task, ends

    yield make
    for task, ends in made:
        teardown(task, **ends)


def left(databases, task):
    return databases.target.fetch_all(LEFT, {"name": task.task_name})[0]


def test_only_what_is_old_and_settled_is_deleted_and_of_this_task_only(databases, make_past, monkeypatch):
    monkeypatch.setattr(history, "ROWS_AT_A_TIME", 7)
    task, ends = make_past(history_retention_days=30)
    other, _ = make_past()

    report = prune(task, target=ends["target"])

    assert report.as_dict() == {
        "apply_error_count": 11,
        "dead_letter_count": 33,
        "skipped_transaction_count": 11,
    }
    assert left(databases, task) == (29, 87, 80, 29)
    assert left(databases, other) == EVERYTHING
    assert not any(prune(task, target=ends["target"]).as_dict().values())


def test_null_keeps_everything(databases, make_past):
    task, ends = make_past(history_retention_days=None)

    prune(task, target=ends["target"])

    assert left(databases, task) == EVERYTHING


def test_errors_that_count_towards_the_limit_stay(databases, make_past):
    task, ends = make_past(history_retention_days=1, stop_after_errors_period_seconds=86400 * 20)

    prune(task, target=ends["target"])

    assert left(databases, task)[0] == 19


def test_apply_prunes_when_it_starts(databases, make_past):
    task, ends = make_past(history_retention_days=30)
    databases.target.execute(
        "delete from trempy.dead_letters where task_name = %s and state = 'waiting'", [task.task_name]
    )

    apply(
        task,
        target=ends["target"],
        broker=ends["broker"],
        lease=Lease.lasting(0.1),
        stop=StopSignal(),
    )

    assert left(databases, task) == (29, 87, 40, 29)

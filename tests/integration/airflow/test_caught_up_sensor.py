import asyncio
import time
from datetime import datetime, timedelta, timezone

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from trempy_provider.config.loader import load_task
from trempy_provider.hooks.endpoints import endpoints_of
from trempy_provider.jobs.apply import apply
from trempy_provider.jobs.capture import capture
from trempy_provider.jobs.caught_up import current_position
from trempy_provider.jobs.full_load import full_load
from trempy_provider.jobs.lease import Lease, StopSignal
from trempy_provider.jobs.setup import setup
from trempy_provider.replication.lsn import Lsn
from trempy_provider.sensors.caught_up import ReplicationCaughtUpSensor


@pytest.fixture
def task(settings, define_task):
    define_task(settings)
    return load_task(settings, origin="test")


@pytest.fixture
def prepared(connections, task):
    connections.source_admin.execute("create table public.orders (id bigint primary key)")
    endpoints = endpoints_of(task)
    setup(task, **endpoints.for_job(task))
    full_load(task, source=endpoints.source, target=endpoints.target)
    yield connections
    endpoints.broker.delete_topology()


def sensor(task, **arguments):
    return ReplicationCaughtUpSensor(task_id="tested", task_name=task.task_name, **arguments)


def catch_up(task):
    endpoints = endpoints_of(task)
    lease = Lease.lasting(20, caught_up_lsn=current_position(endpoints.source))
    ends = {"target": endpoints.target, "broker": endpoints.broker, "lease": lease, "stop": StopSignal()}
    capture(task, source=endpoints.source, **ends)
    apply(task, **ends)


def test_sensor_waits_for_what_was_committed_when_it_was_asked(prepared, task):
    prepared.source_admin.execute("insert into public.orders values (1)")

    with pytest.raises(TaskDeferred) as deferred:
        sensor(task).execute({})
    asked_for = deferred.value.trigger.lsn
    catch_up(task)
    prepared.source_admin.execute("insert into public.orders values (2)")  # later: not waited for
    event = asyncio.run(_fire(deferred.value.trigger))
    result = sensor(task).resume({}, event)

    assert result == {"lsn": asked_for}


def test_sensor_is_content_at_once_when_the_target_has_caught_up(prepared, task):
    prepared.source_admin.execute("insert into public.orders values (1)")
    position = str(current_position(endpoints_of(task).source))
    catch_up(task)

    assert sensor(task, lsn=position).execute({}) == {"lsn": position}


def test_time_that_is_over_on_the_source_becomes_a_position(prepared, task):
    prepared.source_admin.execute("insert into public.orders values (1)")
    before = current_position(endpoints_of(task).source)
    moment = datetime.now(timezone.utc)

    forms = [
        moment,
        moment.isoformat(),
        str(moment),
        f"{moment:%Y-%m-%dT%H:%M:%S}Z",
        f"{moment:%Y-%m-%d %H:%M}",
    ]
    goals = [sensor(task, committed_at=form)._goal() for form in forms]

    assert all(Lsn.parse(position) >= before and time is None for position, time in goals)


def test_sensor_waits_for_a_commit_time_to_come(prepared, task):
    future = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
    catch_up(task)

    with pytest.raises(TaskDeferred) as deferred:
        sensor(task, committed_at=future).execute({})

    assert deferred.value.trigger.committed_at == future


def test_sensor_waits_until_the_lag_is_below_a_number_of_seconds(prepared, task):
    catch_up(task)
    at_rest = sensor(task, max_lag_seconds=0).execute({})
    prepared.source_admin.execute("insert into public.orders values (1)")
    time.sleep(0.2)

    with pytest.raises(TaskDeferred) as deferred:
        sensor(task, max_lag_seconds=0.1).execute({})
    tolerant = sensor(task, max_lag_seconds=3600).execute({})
    catch_up(task)
    event = asyncio.run(_fire(deferred.value.trigger))
    in_time = sensor(task).resume({}, event)

    assert at_rest == {"max_lag_seconds": 0}
    assert tolerant == {"max_lag_seconds": 3600}
    assert in_time == {"max_lag_seconds": 0.1}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lsn": "nonsense"}, "not an LSN"),
        ({"committed_at": "yesterday"}, "committed_at"),
        ({"committed_at": "P1D"}, "committed_at"),
        ({"lsn": "0/1", "committed_at": "2024-01-01"}, "not two"),
        ({"lsn": "0/1", "max_lag_seconds": 5}, "not two"),
        ({"max_lag_seconds": -1}, "0 or more"),
    ],
)
def test_wrong_goal_is_not_tried_again(task, arguments, words):
    with pytest.raises(AirflowFailException, match=words):
        sensor(task, **arguments).execute({})


async def _fire(trigger):
    return (await anext(aiter(trigger.run()))).payload

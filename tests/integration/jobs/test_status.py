"""Status tells how far a task is, and says which part it could not ask."""

import json
from datetime import datetime

import pytest

from tests.support.older_metadata import take_metadata_back
from tests.support.replication import Background, Replication, settings
from tests.support.wait import wait_until
from trempy_provider.broker.parameters import RabbitMqParameters
from trempy_provider.broker.rabbitmq import RabbitMqBroker
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.status import TaskState, TaskStatus, status
from trempy_provider.postgres.metadata import record_stop
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def replication(databases, rabbitmq_uri, task_name):
    databases.source_admin.execute("create table public.t (id int primary key, v text)")
    databases.source_admin.execute("insert into public.t select g, 'v' from generate_series(1, 50) g")
    replication = Replication(
        settings(task_name, ["public.t"]), databases=databases, rabbitmq_uri=rabbitmq_uri
    )
    yield replication
    replication.teardown()


def status_of(replication: Replication, **parts) -> TaskStatus:
    given = {"source": replication.source, "target": replication.target, "broker": replication.broker}
    return status(replication.task, **{**given, **parts})


def nowhere(role: str) -> Endpoint:
    return Endpoint(lambda: ConnectionParameters.from_uri(NOWHERE), task_name="x", role=role)


def test_task_that_was_never_set_up_is_not_an_error(replication):
    told = status_of(replication)

    assert told.state is TaskState.NOT_SET_UP
    assert told.unreachable == {}
    assert told.slot is not None and not told.slot.exists
    assert told.tables == ()
    assert json.dumps(told.as_dict())


@pytest.mark.parametrize("version", ["0010", "0009"])
def test_metadata_of_an_older_version_is_told_from_none_until_the_next_setup(replication, databases, version):
    replication.setup()
    take_metadata_back(databases.target)
    if version == "0009":
        databases.target.execute(
            "drop table trempy.identity; alter table trempy.tasks drop metadata_id, drop target_id;"
            "delete from trempy.migrations where name like '0010%'"
        )

    told = status_of(replication)
    replication.setup()
    after = status_of(replication)

    assert list(told.unreachable) == ["target"]
    assert "of an older version" in told.unreachable["target"]
    assert "run the DAG of the task's full load or CDC" in told.unreachable["target"]
    if version == "0010":
        assert (told.state, told.capture) == (after.state, after.capture)
    assert (after.state, after.unreachable, len(after.tables)) == (TaskState.IDLE, {}, 1)


def test_stages_of_the_lag_follow_a_change_through_the_queue(replication, databases):
    replication.setup()
    waiting = status_of(replication)
    replication.load()
    databases.source_admin.execute("update public.t set v = 'w'")
    committed = status_of(replication)
    replication.capture()
    published = status_of(replication)
    replication.apply()
    applied = status_of(replication)

    assert [table.percent for table in waiting.tables] == [0.0]
    assert committed.lag.capture_bytes > 0
    assert published.lag.apply_bytes > 0
    assert published.queue.ready == 1
    assert published.lag.seconds > 0
    assert applied.lag.apply_bytes == 0
    assert applied.queue.ready == 0
    assert applied.checkpoint.end_lsn == applied.capture.published_lsn
    assert applied.state is TaskState.IDLE
    (table,) = applied.tables
    assert (table.loaded_rows, table.percent, table.update_count, table.error_count) == (50, 100.0, 50, 0)
    assert table.snapshot_lsn is not None


def test_lag_is_zero_seconds_while_capture_follows_an_idle_source(replication, databases):
    replication.setup()
    replication.load()
    stop = StopSignal()
    capture = Background(lambda: replication.capture(seconds=60, stop=stop))
    wait_until(
        lambda: status_of(replication).slot.active, timeout_seconds=30, what="capture to read the slot"
    )
    databases.source_admin.execute("create table public.unrelated (id int)")

    told = status_of(replication)
    stop.set()
    capture.result()

    assert told.state is TaskState.RUNNING
    assert told.slot.active
    assert told.lag.seconds == 0.0


@pytest.mark.parametrize("part", ["source", "broker"])
def test_part_that_does_not_answer_is_named_and_the_rest_is_told(replication, part):
    replication.setup()
    replication.load()
    name = replication.task.task_name
    silent = {
        "source": nowhere("source"),
        "broker": RabbitMqBroker(lambda: RabbitMqParameters.from_uri("amqp://127.0.0.1:1/"), task_name=name),
    }

    told = status_of(replication, **{part: silent[part]})

    assert set(told.unreachable) == {part}
    assert "127.0.0.1:1" in told.unreachable[part]
    assert told.state is TaskState.IDLE
    assert len(told.tables) == 1
    assert json.dumps(told.as_dict())


def test_without_the_target_slot_and_queue_are_told(replication):
    replication.setup()

    told = status_of(replication, target=nowhere("target"))

    assert told.state is TaskState.UNKNOWN
    assert set(told.unreachable) == {"target"}
    assert told.slot.exists
    assert told.queue.ready == 0
    assert told.lag is None


def test_reason_of_a_stop_is_told_until_the_job_runs_again(replication):
    replication.setup()
    replication.load()
    with replication.target.connect("test") as session:
        record_stop(session, replication.task.task_name, "capture: the slot is gone")
    stopped = status_of(replication)
    with replication.target.connect("capture"):
        running = status_of(replication)

    assert (stopped.state, stopped.stop_reason) == (TaskState.STOPPED, "capture: the slot is gone")
    assert running.state is TaskState.RUNNING


def test_errors_of_a_table_are_told_without_values(replication, databases):
    replication.setup()
    replication.load()
    databases.target_admin.execute("alter table public.t add constraint short check (length(v) < 3)")
    databases.source_admin.execute("insert into public.t values (77, 'confidential')")
    replication.catch_up()

    told = status_of(replication)

    (table,) = told.tables
    assert table.error_count == 1
    assert "short" in table.apply_error
    assert "confidential" not in json.dumps(told.as_dict())


def test_every_value_of_the_json_form_is_plain_and_every_field_is_there(replication):
    replication.setup()
    replication.load()
    replication.catch_up()

    told = json.loads(json.dumps(status_of(replication).as_dict()))

    assert set(told) == {
        "task_name", "replication_type", "mode", "state", "stop_reason", "stopped_at", "set_up_at",
        "running_jobs", "source_lsn", "checkpoint", "capture", "lag", "slot", "queue", "dead_letters", "tables",
        "unreachable", "skip_lsn", "skipped",
    }  # fmt: skip
    assert set(told["lag"]) == {"capture_bytes", "apply_bytes", "total_bytes", "seconds"}
    assert set(told["queue"]) == {"ready", "unacknowledged", "dead_letters"}
    assert {"name", "exists", "active", "wal_status", "retained_bytes"} <= set(told["slot"])
    (table,) = told["tables"]
    assert (table["source"], table["state"]) == ("public.t", "ready")
    assert datetime.fromisoformat(told["set_up_at"]).tzinfo is not None

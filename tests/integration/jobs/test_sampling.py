"""Statistics are noted beside capture and apply, cost them nothing, and grow no further than they may."""

import time
from datetime import timedelta

import pytest

from tests.support.replication import Background, Replication, settings
from tests.support.wait import wait_until
from trempy_provider.jobs import sampling as sampling_module
from trempy_provider.jobs.applying import batch_log
from trempy_provider.jobs.capture import capture
from trempy_provider.jobs.caught_up import current_position
from trempy_provider.jobs.lease import Lease, StopSignal
from trempy_provider.jobs.pause import pause
from trempy_provider.jobs.sampling import sample
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.statistics import read_batches, read_sparklines, read_statistics
from trempy_provider.postgres.tables import QualifiedName

HOUR_OF_MINUTES = {"period_seconds": 60, "step_seconds": 60, "span_seconds": 3600}


@pytest.fixture
def replicate(databases, rabbitmq_uri, task_name):
    made = []

    def make(**statistics):
        databases.source_admin.execute(
            "create table public.t (id int primary key, v text); create table public.u (id int primary key)"
        )
        given = settings(task_name, ["public.t", "public.u"], task={"statistics_settings": statistics})
        made.append(Replication(given, databases=databases, rabbitmq_uri=rabbitmq_uri))
        made[0].setup()
        made[0].load()
        return made[0]

    yield make
    for replication in made:
        replication.teardown()


def sample_of(replication):
    return sample(
        replication.task, source=replication.source, target=replication.target, broker=replication.broker
    )


def steps(replication, table=None):
    with replication.target.connect("test") as session:
        return read_statistics(session, replication.task.task_name, table=table, **HOUR_OF_MINUTES)


def test_a_sample_tells_the_lag_the_queue_and_what_was_counted(replicate, databases):
    replication = replicate()
    databases.source_admin.execute("insert into public.t select g, 'v' from generate_series(1, 30) g")
    replication.capture()

    behind = sample_of(replication)
    replication.apply()
    databases.source_admin.execute(
        "update public.t set v = 'w' where id <= 10; delete from public.t where id > 25"
    )
    replication.catch_up()
    level = sample_of(replication)

    assert behind.queue_depth == 1
    assert behind.lag_seconds > 0
    assert level.queue_depth == 0
    assert level.retained_bytes is not None
    last = steps(replication)[-1]
    assert (last.insert_count, last.update_count, last.delete_count, last.error_count) == (30, 10, 5, 0)
    assert max(step.lag_seconds for step in steps(replication)) >= behind.lag_seconds
    of_table = steps(replication, QualifiedName("public", "t"))[-1]
    assert (of_table.insert_count, of_table.update_count) == (30, 10)
    assert steps(replication, QualifiedName("public", "u")) == []
    with replication.target.connect("test") as session:
        (line,) = read_sparklines(session, [replication.task.task_name]).values()
    assert line[-1][2] == 45


def test_capture_is_sampled_while_it_runs_and_pauses_when_asked(replicate, monkeypatch):
    monkeypatch.setattr(sampling_module, "FIRST_SAMPLE_SECONDS", 0.1)
    replication = replicate(interval_seconds=10)
    stop = StopSignal()
    capture = Background(lambda: replication.capture(seconds=60, stop=stop))

    wait_until(lambda: steps(replication), what="a sample")
    report = pause(replication.task, target=replication.target, stop=StopSignal())

    assert report.asked == ("capture",)
    assert capture.result().end_reason == "paused"


def capture_until_silence(replication, monkeypatch):
    monkeypatch.setattr(sampling_module, "FIRST_SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr(sampling_module, "LAST_SAMPLE_SECONDS", 60.0)
    report = capture(
        replication.task,
        source=replication.source,
        target=replication.target,
        broker=replication.broker,
        lease=Lease.lasting(3000, idle_seconds=0.5),
        stop=StopSignal(),
    )
    assert report.end_reason == "idle"


def test_a_lease_that_ends_in_silence_notes_how_long_it_waits_unless_apply_has_a_backlog(
    replicate, databases, monkeypatch
):
    replication = replicate()
    databases.source_admin.execute("insert into public.t values (1, 'v')")
    capture_until_silence(replication, monkeypatch)
    behind = steps(replication)[-1]
    replication.apply(until=current_position(replication.source))

    capture_until_silence(replication, monkeypatch)
    waiting = steps(replication)[-1]
    sample_of(replication)
    resumed = steps(replication)[-1]

    assert (behind.idle_until, resumed.idle_until) == (None, None)
    left = waiting.idle_until - replication.databases.target.fetch_value("select now()")
    assert timedelta(minutes=40) < left < timedelta(minutes=50)


def test_a_task_that_is_paused_while_it_waits_waits_no_longer(replicate, databases, monkeypatch):
    replication = replicate()
    capture_until_silence(replication, monkeypatch)

    pause(replication.task, target=replication.target, stop=StopSignal())
    paused = steps(replication)[-1]
    pause(replication.task, target=replication.target, stop=StopSignal())

    now = databases.target.fetch_value("select now()")
    assert timedelta(0) <= now - paused.idle_until < timedelta(minutes=5)
    assert steps(replication)[-1].idle_until == paused.idle_until
    until = "select array_agg(distinct idle_until) from trempy.statistics"
    assert databases.target.fetch_value(until) == [paused.idle_until]


def test_a_short_lease_is_not_held_up_and_an_unreachable_server_is_no_error(replicate, monkeypatch):
    monkeypatch.setattr(sampling_module, "FIRST_SAMPLE_SECONDS", 0.0)
    replication = replicate()
    nowhere = Endpoint(
        lambda: ConnectionParameters.from_uri("postgresql://nobody@127.0.0.1:1/nothing"),
        task_name="x",
        role="source",
    )

    began_at = time.monotonic()
    with sampling_module.sampling(
        replication.task,
        source=nowhere,
        target=replication.target,
        broker=replication.broker,
        stop=StopSignal(),
    ):
        pass

    assert time.monotonic() - began_at < sampling_module.LAST_SAMPLE_SECONDS
    assert steps(replication) == []


def test_nothing_is_noted_when_the_setting_says_never(replicate, monkeypatch):
    monkeypatch.setattr(sampling_module, "FIRST_SAMPLE_SECONDS", 0.0)
    replication = replicate(interval_seconds=None)

    replication.catch_up()

    assert steps(replication) == []


def test_statistics_older_than_they_are_kept_are_forgotten(replicate, monkeypatch):
    monkeypatch.setattr(sampling_module, "FIRST_SAMPLE_SECONDS", 0.0)
    replication = replicate(minute_retention_hours=1, hour_retention_days=1, day_retention_days=5)
    sample_of(replication)
    age = "update trempy.statistics set begins_at = begins_at - make_interval(secs => %s) where period_seconds = %s"
    for period_seconds in (60, 3600, 86400):
        replication.databases.target.execute(age, [timedelta(days=1.5).total_seconds(), period_seconds])

    stop = StopSignal()
    capture = Background(lambda: replication.capture(seconds=60, stop=stop))
    kept = "select array_agg(period_seconds order by period_seconds) from trempy.statistics where begins_at < now() - interval '1 day'"
    wait_until(
        lambda: replication.databases.target.fetch_value(kept) == [86400],
        timeout_seconds=30,
        what="the old rows are gone",
    )
    stop.set()
    capture.result()


def test_the_batches_applied_last_are_noted_and_no_more_than_so_many(replicate, databases, monkeypatch):
    monkeypatch.setattr(batch_log, "INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("trempy_provider.postgres.statistics.BATCHES_KEPT", 2)
    replication = replicate()
    for n in range(4):
        databases.source_admin.execute(
            "insert into public.t select g, 'v' from generate_series(%s, %s) g", [n * 10, n * 10 + n]
        )
        replication.catch_up()

    with replication.target.connect("test") as session:
        batches = read_batches(session, replication.task.task_name, limit=10)

    assert [(batch.change_count, batch.transaction_count) for batch in batches[:2]] == [(4, 1), (3, 1)]
    assert len(batches) == 2
    assert batches[0].end_lsn > batches[1].end_lsn

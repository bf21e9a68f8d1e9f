"""The monitor says what needs attention, and drops a slot only where the settings say so."""

import json

import pytest

from tests.integration.jobs.test_status import nowhere
from tests.support.databases import connect
from tests.support.replication import Background, Replication, settings
from tests.support.wait import wait_until
from trempy_provider.config.loader import load_task
from trempy_provider.errors import ApplyError, MonitorError, SettingsError, SlotInUseError, SlotLostError
from trempy_provider.jobs import monitor as monitor_module
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.monitor import MonitorReport, monitor
from trempy_provider.jobs.reload import reload
from trempy_provider.jobs.status import status
from trempy_provider.jobs.stop_record import recording_stop

QUIET = {"max_lag_seconds": None, "max_errors": None, "max_dead_letters": None}


@pytest.fixture
def replication(databases, rabbitmq_uri, task_name):
    databases.source_admin.execute("create table public.t (id int primary key, v text)")
    databases.source_admin.execute("insert into public.t select g, 'v' from generate_series(1, 50) g")
    replication = Replication(make_settings(task_name), databases=databases, rabbitmq_uri=rabbitmq_uri)
    replication.setup()
    replication.load()
    yield replication
    replication.teardown()


def make_settings(task_name, **monitor_settings):
    return settings(task_name, ["public.t"], task={"monitor_settings": monitor_settings})


def look(replication, **parts) -> MonitorReport:
    given = {"source": replication.source, "target": replication.target, "broker": replication.broker}
    return monitor(replication.task, **{**given, **parts})


def write_wal(databases):
    databases.source_admin.execute(
        "insert into public.t select g, repeat('x', 500) from generate_series(100, 2000) g"
    )


def slot_exists(replication) -> bool:
    query = "select count(*) from pg_replication_slots where slot_name = %s"
    return bool(replication.databases.source.fetch_value(query, [replication.task.slot_name]))


def test_task_that_has_caught_up_needs_no_attention(replication):
    replication.catch_up()

    report = look(replication)

    assert report.alerts == ()
    assert report.error is None
    assert (report.error_count, report.dead_letter_count, report.slot_dropped) == (0, 0, False)
    json.dumps(report.as_dict())


def test_each_threshold_that_is_passed_is_named_with_what_was_measured(replication, databases, task_name):
    replication.change_settings(make_settings(task_name, max_lag_seconds=0, max_retained_wal_bytes=1000))
    databases.target_admin.execute("alter table public.t add check (v <> 'bad')")
    databases.source_admin.execute("update public.t set v = 'bad' where id = 1")
    replication.catch_up()
    write_wal(databases)

    report = look(replication)

    lag, wal, errors = report.alerts
    assert lag.startswith("lag: ")
    assert lag.endswith(" s; max_lag_seconds allows 0")
    assert wal.startswith("WAL retained on the source: ")
    assert errors == "errors: 1 rows failed within 3600 s; max_errors allows 0"
    assert isinstance(report.error, MonitorError)
    assert report.lag_seconds is not None and report.lag_seconds > 0
    assert report.retained_wal_bytes is not None and report.retained_wal_bytes > 1000


def test_dead_letters_and_a_stop_need_attention(replication, databases, task_name):
    stopping = {"error_handling": {"stop_if_update_error": True}}
    replication.change_settings({**make_settings(task_name), **stopping})
    databases.target_admin.execute("alter table public.t add check (v <> 'bad')")
    databases.source_admin.execute("update public.t set v = 'bad' where id = 1")
    replication.capture()
    with pytest.raises(ApplyError), recording_stop(replication.target, job="apply"):
        replication.apply()

    stopped, letters = look(replication).alerts

    assert stopped.startswith("stopped: apply: ")
    assert letters == "dead letters: 1 messages; max_dead_letters allows 0"


def test_threshold_that_is_null_allows_anything(replication, databases, task_name):
    replication.change_settings(make_settings(task_name, **QUIET))
    databases.target_admin.execute("alter table public.t add check (v <> 'bad')")
    databases.source_admin.execute("update public.t set v = 'bad'")
    replication.catch_up()
    write_wal(databases)

    assert look(replication).alerts == ()


def test_part_that_cannot_be_asked_and_a_slot_that_is_gone_need_attention(replication, databases):
    (unreachable, *_) = look(replication, source=nowhere("source")).alerts
    databases.source.execute("select pg_drop_replication_slot(%s)", [replication.task.slot_name])
    (gone, *_) = look(replication).alerts

    assert unreachable.startswith("source cannot be asked: ")
    assert "is gone" in gone


def test_slot_stays_whatever_it_retains_unless_the_settings_say_otherwise(replication, databases, task_name):
    write_wal(databases)

    kept = look(replication)
    replication.change_settings(make_settings(task_name, drop_slot_at_retained_wal_bytes=10**12))
    kept_too = look(replication)

    assert slot_exists(replication)
    assert not kept.slot_dropped and not kept_too.slot_dropped


def test_slot_that_retains_too_much_is_dropped_under_its_reader_and_a_reload_brings_the_task_back(
    replication, databases, task_name
):
    replication.change_settings(make_settings(task_name, drop_slot_at_retained_wal_bytes=100_000, **QUIET))
    with connect(databases.source_admin.uri) as connection, connection.cursor() as cursor:
        cursor.execute(
            "begin; insert into public.t values (90, 'open')"
        )  # while it is, the slot keeps its WAL
        capturing = Background(lambda: replication.capture(seconds=60))
        write_wal(databases)
        reports = []

        def is_dropped():
            reports.append(look(replication))
            return reports[-1].slot_dropped

        wait_until(is_dropped, timeout_seconds=30, poll_seconds=0.2, what="the slot to be dropped")
        with pytest.raises(SlotLostError):
            capturing.result()
        cursor.execute("commit")

    (alert,) = reports[-1].alerts
    assert "was dropped, because it retained" in alert
    assert "drop_slot_at_retained_wal_bytes is 100,000" in alert
    assert not slot_exists(replication)
    assert (
        "monitor: the slot"
        in status(replication.task, source=replication.source, target=replication.target).stop_reason
    )
    reload(
        replication.task,
        source=replication.source,
        target=replication.target,
        broker=replication.broker,
        keep_equal=True,
        stop=StopSignal(),
    )
    replication.catch_up()
    replication.assert_equal()
    assert look(replication).alerts == ()


def test_slot_of_a_task_that_is_not_set_up_here_stays(replication, databases, task_name):
    """Another installation replicates the same source to another target under the same name."""
    replication.change_settings(make_settings(task_name, drop_slot_at_retained_wal_bytes=1))
    databases.target.execute("delete from trempy.tasks where task_name = %s", [task_name])
    write_wal(databases)

    report = look(replication)

    assert report.retained_wal_bytes is not None and report.retained_wal_bytes > 1
    assert not report.slot_dropped
    assert slot_exists(replication)


def test_slot_that_cannot_be_dropped_leaves_the_task_as_it_was(
    replication, databases, task_name, monkeypatch
):
    def refuse(*_args, **_options):
        raise SlotInUseError("somebody else reads it")

    monkeypatch.setattr(monitor_module, "drop_slot", refuse)
    replication.change_settings(make_settings(task_name, drop_slot_at_retained_wal_bytes=1))
    write_wal(databases)

    with pytest.raises(SlotInUseError):
        look(replication)

    assert status(replication.task, source=replication.source, target=replication.target).stop_reason is None


def test_threshold_of_the_drop_is_above_that_of_the_alert(task_name):
    settings = make_settings(task_name, max_retained_wal_bytes=100, drop_slot_at_retained_wal_bytes=100)

    with pytest.raises(
        SettingsError, match=r"monitor_settings\.drop_slot_at_retained_wal_bytes.*before anybody"
    ):
        load_task(settings, origin="test")

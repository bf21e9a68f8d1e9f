"""Capture, apply and run as processes: catching up, stopping, and being killed at any moment (G12)."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.command import finish, halves_of, is_running, stop
from tests.support.databases import connect
from tests.support.wait import wait_until

TABLES = (
    "create table public.t (id bigint generated always as identity primary key, v text);"
    "create table public.markers (id int primary key);"
    "create table public.keyless (n int, v text); alter table public.keyless replica identity full"
)


@pytest.fixture
def command(databases, trempy):
    databases.source_admin.execute(TABLES)
    databases.source_admin.execute("insert into public.t (v) select 'v' || g from generate_series(1, 500) g")
    return trempy("public.*")


@contextmanager
def writing(databases) -> Iterator[None]:
    """Write beside the block: inserts, updates and deletes, some rolled back."""
    done = threading.Event()

    def write() -> None:
        with connect(databases.source_admin_uri) as connection, connection.cursor() as cursor:
            for step in range(1_000_000):
                if done.wait(0.03):
                    return
                ending = "rollback" if step % 7 == 0 else "commit"
                cursor.execute(
                    "begin; insert into public.t (v) select 'n' from generate_series(1, 5);"
                    f"update public.t set v = v || '.' where id % 50 = {step % 50};"
                    f"delete from public.t where id % 100 = {step % 100};"
                    f"insert into public.keyless values ({step % 3}, 'k');"
                    f"update public.keyless set v = 'u' where n = {step % 3} and v = 'k'; {ending}"
                )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def test_run_until_caught_up_has_applied_what_was_committed_before_the_call(databases, command):
    command.done("run", "--until-caught-up")
    with writing(databases):
        databases.source_admin.execute("insert into public.markers values (1)")

        report = command.done("run", "--until-caught-up")

        assert report["end_reason"] == "caught_up"
        assert databases.target.fetch_value("select count(*) from public.markers") == 1
    command.done("run", "--until-caught-up")
    command.assert_equal()


def test_apply_catches_up_alone_when_nothing_of_the_task_is_left_to_capture(databases, command):
    command.done("setup")
    command.done("full-load")
    databases.source_admin.execute("insert into public.t (v) values ('new')")
    command.done("capture", "--until-caught-up")
    databases.source_admin.execute("create table public.other (id int); insert into public.other values (1)")

    report = command.done("apply", "--until-caught-up")

    assert report["end_reason"] == "caught_up"
    assert databases.target.fetch_value("select count(*) from public.t where v = 'new'") == 1


def test_apply_waits_for_changes_that_are_not_captured_yet(databases, command):
    command.done("setup")
    command.done("full-load")
    databases.source_admin.execute("insert into public.t (v) values ('late')")
    waiting = command.start("apply", "--until-caught-up", "--json")
    seen = "select count(*) from pg_stat_activity where application_name = %s"
    wait_until(
        lambda: databases.target.fetch_value(seen, [f"trempy/{command.task_name}/apply"]), timeout_seconds=60
    )

    captured = command.start("capture", "--for", "10", "--json")
    result = finish(waiting)
    captured.kill()

    assert result.code == 0, result.stderr
    assert databases.target.fetch_value("select count(*) from public.t where v = 'late'") == 1


def test_second_capture_waits_its_turn_and_says_who_is_in_the_way(databases, command):
    command.done("setup")
    first = command.start("capture", "--json")
    active = "select active from pg_replication_slots where slot_name = %s"
    wait_until(
        lambda: databases.source.fetch_value(active, [f"trempy_{command.task_name}"]), timeout_seconds=60
    )

    refused = command.run("capture", "--for", "1")
    heir = command.start("capture", "--for", "30", "--json")
    first.kill()
    first.communicate()
    databases.source_admin.execute("insert into public.t (v) values ('inherited')")
    published = "select change_count from trempy.capture_progress"
    wait_until(
        lambda: databases.target.fetch_value(published), timeout_seconds=25, what="the heir to capture"
    )
    inherited, _ = stop(heir)

    assert refused.code == 1
    assert "Another capture of this task is running" in refused.last_line
    assert inherited.report["change_count"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_run_and_its_halves_within_two_seconds(databases, command, number):
    with writing(databases):
        process = command.start("run")
        halves = halves_of(process)
        wait_until(lambda: changes_of(databases) > 0, timeout_seconds=90, what="changes to be applied")

        result, seconds = stop(process, number)

    assert result.code == 0, result.stderr
    assert seconds < 3  # two, and some for a busy machine
    assert "stopped" in result.stdout
    assert not any(map(is_running, halves.values()))
    command.done("run", "--until-caught-up")
    command.assert_equal()


def changes_of(databases) -> int:
    rows = databases.target.fetch_all("select change_count from trempy.checkpoints")
    return rows[0][0] if rows else 0


def test_run_stopped_before_its_time_is_not_done(command):
    process = command.start("run", "--for", "60")
    halves_of(process)

    result, _ = stop(process)

    assert result.code == 1
    assert result.last_line.startswith("error: stopped: SIGTERM received — ")


def test_halves_end_when_run_is_killed(command):
    process = command.start("run")
    halves = halves_of(process)

    process.kill()

    wait_until(lambda: not any(map(is_running, halves.values())), timeout_seconds=10)


@pytest.mark.parametrize("half", ["capture", "apply"])
def test_run_ends_with_the_reason_when_a_half_is_killed(command, half):
    process = command.start("run")
    halves = halves_of(process)

    os.kill(halves[half], signal.SIGKILL)
    result = finish(process)

    assert result.code == 1
    assert result.last_line.startswith(f"error: {half} ended without a word")
    assert not any(map(is_running, halves.values()))


def test_run_killed_at_random_moments_and_run_again_converges(databases, command):
    with writing(databases):
        for moment in (random.uniform(0.8, 2), random.uniform(1.5, 3.5), random.uniform(2.5, 5)):
            process = command.start("run")
            time.sleep(moment)
            process.kill()
            process.communicate()
        process = command.start("run")
        halves = halves_of(process)
        time.sleep(random.uniform(0, 2))
        os.kill(random.choice(list(halves.values())), signal.SIGKILL)
        finish(process)

    report = command.done("run", "--until-caught-up")

    assert report["end_reason"] == "caught_up"
    command.assert_equal()


def test_two_runs_at_once_replicate_once(databases, command):
    with writing(databases):
        both = [command.start("run", "--for", "3", "--json") for _ in range(2)]
        results = [finish(process) for process in both]
    command.done("run", "--until-caught-up")

    assert 0 in [result.code for result in results], results
    assert not any("Traceback" in result.stderr for result in results)
    command.assert_equal()
    assert databases.target.fetch_value("select count(*) from trempy.apply_errors") == 0


def test_task_stopped_by_an_error_says_so_until_it_runs_again(databases, command):
    command.done("run", "--until-caught-up")
    databases.source_superuser.fetch_all(
        "select pg_drop_replication_slot(%s)", [f"trempy_{command.task_name}"]
    )

    lost = command.run("capture", "--until-caught-up")
    told = command.done("status")

    assert lost.code == 1
    assert "was dropped" in lost.last_line
    assert "trempy reload" in lost.last_line
    assert told["state"] == "stopped"
    assert told["stop_reason"].startswith("capture: ")


def test_apply_does_not_wait_for_changes_that_are_lost(databases, command):
    command.done("setup")
    slot = [f"trempy_{command.task_name}"]
    databases.source_superuser.fetch_all("select pg_drop_replication_slot(%s)", slot)
    databases.source_admin.execute("insert into public.markers values (1)")

    lost = command.run("apply", "--until-caught-up")

    assert lost.code == 1
    assert "was dropped" in lost.last_line


def test_setup_that_waits_for_others_is_stopped_at_once_and_done_later(databases, command):
    with connect(databases.source_admin_uri) as blocking, blocking.cursor() as cursor:
        cursor.execute("begin; insert into public.markers values (9)")
        process = command.start("setup")
        wait_until(lambda: sessions_waiting(databases.source_superuser), timeout_seconds=60)

        result, seconds = stop(process)

    assert result.code == 1
    assert result.last_line.startswith("error: stopped: SIGTERM received — ")
    assert seconds < 3
    wait_until(lambda: not sessions_waiting(databases.source_superuser), timeout_seconds=60)
    assert command.done("setup")["started_anew"]


def test_full_load_is_stopped_at_once_and_goes_on_later(databases, command):
    command.done("setup")
    with connect(databases.source_admin_uri) as blocking, blocking.cursor() as cursor:
        cursor.execute("begin; lock table public.t in access exclusive mode")
        process = command.start("full-load")
        wait_until(lambda: sessions_waiting(databases.source_superuser), timeout_seconds=60)

        result, seconds = stop(process)

    assert result.code == 1
    assert result.last_line.startswith("error: stopped: ")
    assert seconds < 3
    assert command.done("full-load")["rows"] >= 500
    command.assert_equal()


def sessions_waiting(database) -> int:
    """Count the task's sessions that wait for a lock."""
    return database.fetch_value(
        "select count(*) from pg_stat_activity where application_name like 'trempy/%'"
        " and wait_event_type = 'Lock' and datname = current_database()"
    )

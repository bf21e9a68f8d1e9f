import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.support.wait import wait_until
from trempy_provider.errors import JobInProgressError, StoppedError
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.loading import rounds, streams
from trempy_provider.jobs.progress import Phase
from trempy_provider.postgres.load_snapshot import LoadSnapshot
from trempy_provider.postgres.table_states import LoadState

PROGRAM = """
import sys
from tests.support.loading import endpoint
from trempy_provider.config.task import ReplicationTask
from trempy_provider.jobs.full_load import full_load
task = ReplicationTask.model_validate_json(sys.argv[1])
full_load(task, source=endpoint(sys.argv[2], task.task_name, "source"),
          target=endpoint(sys.argv[3], task.task_name, "target"))
"""


@pytest.fixture
def quick_pauses(monkeypatch):
    monkeypatch.setattr(streams, "PAUSES_SECONDS", (0.1,) * 6)
    monkeypatch.setattr(rounds, "PAUSES_SECONDS", (0.1,) * 6)


@pytest.fixture
def slow(make_loading):
    """Make a task whose table `slow` takes seconds to read, and whose table `quick` comes first."""
    loading = make_loading(
        "public.quick",
        "public.slow",
        options={"create_table_if_not_exists": True},
        full_load_settings={"parallel_streams": 2, "split_bytes": 65536},
        table_settings={"public.quick": {"priority": 0}},
    )
    loading.databases.source_admin.execute(
        "create table quick (id int primary key); insert into quick values (1), (2);"
        "create table slow (id int primary key, filler text);"
        "insert into slow select g, repeat('x', 100) from generate_series(1, 3000) g; analyze"
    )
    loading.setup()
    # The target checks every row slowly: a COPY there takes seconds, and no data has to be large.
    loading.databases.target.execute(
        "create function slowly(text) returns boolean language plpgsql immutable as"
        " $$ begin perform pg_sleep(0.0005); return true; end $$;"
        "alter table slow add constraint slow_check check (slowly(filler))"
    )
    return loading


class Background(threading.Thread):
    """Run a function in a thread; its outcome is there after finish()."""

    def __init__(self, run):
        super().__init__(daemon=True)
        self._run = run
        self.outcome = None
        self.start()

    def run(self):
        try:
            self.outcome = self._run()
        except BaseException as error:  # noqa: BLE001
            self.outcome = error

    def finish(self, seconds=60):
        self.join(seconds)
        assert not self.is_alive()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def wait_for_copy(loading, *, side="target"):
    """Wait until rows of the slow table are being copied; return the sessions that do.

    The source's COPY may be done already: small parts fit into the pipe.
    """
    database = getattr(loading.databases, f"{side}_superuser")
    query = (
        "select pid from pg_stat_activity where datname = current_database() and state <> 'idle'"
        " and application_name like 'trempy/%%/full_load' and query like %(query)s"
    )
    parameters = {"query": 'copy%slow"%' if side == "source" else "copy%load_%"}
    return wait_until(lambda: database.fetch_all(query, parameters), what="a running COPY")


def assert_loaded(loading):
    for table in ("quick", "slow"):
        source, target = loading.checksums(f"public.{table}")
        assert source == target
    assert {str(state.state) for state in loading.states().values()} == {"ready"}
    assert not loading.leftovers()


def test_a_killed_load_goes_on_with_the_tables_that_are_not_ready(slow):
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROGRAM,
            slow.task.model_dump_json(),
            slow.databases.source_uri,
            slow.databases.target_uri,
        ]
    )
    wait_until(lambda: slow.states()["public.quick"].state is LoadState.READY, timeout_seconds=30)
    wait_for_copy(slow)

    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    ready_at = slow.states()["public.quick"].load_finished_at
    wait_until(lambda: not _sessions(slow), timeout_seconds=30, what="the killed process's sessions to end")
    report = slow.full_load()

    assert [str(table.source) for table in report.tables] == ["public.slow"]
    assert slow.states()["public.quick"].load_finished_at == ready_at
    assert_loaded(slow)


def _sessions(loading):
    return loading.databases.target_superuser.fetch_all(
        "select pid from pg_stat_activity"
        " where datname = current_database() and application_name like 'trempy/%/full_load%'"
    )


def test_a_stop_ends_the_load_within_two_seconds_and_leaves_nothing_half_made(slow):
    stop = StopSignal()
    load = Background(lambda: slow.full_load(stop=stop))
    wait_for_copy(slow)

    asked = time.monotonic()
    stop.set("on_kill")
    load.join(10)
    seconds = time.monotonic() - asked

    assert isinstance(load.outcome, StoppedError)
    assert seconds < 2
    assert slow.states()["public.slow"].state is LoadState.PENDING
    assert not slow.leftovers()
    slow.full_load()
    assert_loaded(slow)


def test_a_stop_does_not_wait_for_a_snapshot_that_has_to_wait(make_loading, monkeypatch):
    loading = make_loading("public.t")
    loading.databases.source_admin.execute("create table t (id int primary key)")
    loading.setup()
    proceed, stop = threading.Event(), StopSignal()
    open_snapshot = LoadSnapshot.open
    monkeypatch.setattr(LoadSnapshot, "open", lambda *given: proceed.wait(20) and open_snapshot(*given))
    load = Background(lambda: loading.full_load(stop=stop))
    wait_until(lambda: loading.states()["public.t"].state is LoadState.LOADING)

    stop.set()
    load.join(3)

    proceed.set()
    assert isinstance(load.outcome, StoppedError)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_lost_connection_costs_one_part_only(slow, quick_pauses, side):
    load = Background(slow.full_load)
    (pid,) = wait_for_copy(slow, side=side)[0]

    database = getattr(slow.databases, f"{side}_superuser")
    database.execute("select pg_terminate_backend(%s)", [pid])
    load.finish()

    assert_loaded(slow)


def test_a_lost_snapshot_is_replaced_by_another(slow, quick_pauses):
    load = Background(slow.full_load)
    wait_for_copy(slow)

    slow.databases.source_superuser.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name like 'trempy/%'"
    )
    load.finish()

    assert_loaded(slow)


@pytest.mark.parametrize(
    "rewrite", ["truncate slow", "alter table slow alter column id type bigint", "vacuum full slow"]
)
def test_a_table_rewritten_during_the_load_is_not_taken_for_empty(slow, quick_pauses, rewrite):
    load = Background(slow.full_load)
    wait_for_copy(slow)

    slow.databases.source_superuser.execute(rewrite)
    load.finish()

    assert_loaded(slow)


def test_a_second_process_is_refused_the_same_table_but_not_another(slow):
    load = Background(lambda: slow.full_load(tables=["public.slow"]))
    wait_for_copy(slow)

    with pytest.raises(JobInProgressError, match=r"public\.slow .*pid \d+"):
        slow.full_load()
    report = slow.full_load(tables=["public.quick"])
    load.finish()

    assert report.rows == 2
    assert_loaded(slow)


def test_progress_is_told_and_recorded(slow, monkeypatch):
    monkeypatch.setattr(rounds, "_RECORD_SECONDS", 0.0)
    seen = []

    class Listener:
        def update(self, tables):
            seen.extend(progress for progress in tables if progress.table.table_name == "slow")

    load = Background(lambda: slow.full_load(progress=Listener()))
    recorded = wait_until(lambda: slow.states()["public.slow"].loaded_rows, timeout_seconds=20)
    load.finish()

    copying = [progress for progress in seen if progress.phase is Phase.COPYING]
    assert 0 < recorded < 3000
    assert any(0 < progress.rows < 3000 for progress in copying)
    assert all(progress.estimated_rows == 3000 for progress in copying)
    assert any(0 < progress.percent < 100 and progress.eta_seconds for progress in copying)
    assert (seen[-1].phase, seen[-1].rows, seen[-1].percent) == (Phase.READY, 3000, 100)
    assert slow.states()["public.slow"].loaded_rows == 3000

"""How the tests are shared out among several processes (pytest-xdist).

Every process has servers of its own: a test that looks at all slots, all sessions or all open transactions
sees those of its own server only.
"""

import os
import signal
import time
from collections.abc import Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from sandbox.processes import POLL_SECONDS, descendants, read_processes, send_signal

# One Airflow at a time: each keeps a core busy.
WITH_AIRFLOW = ("tests/system/", "tests/integration/sandbox/test_airflow.py")
# Tests of these folders take seconds each and share nothing but servers.
ONE_BY_ONE = ("tests/scenarios/", "tests/integration/cli/", "tests/integration/jobs/")
CLEAN_UP_SECONDS = 90


class Scheduler(LoadScopeScheduling):
    """Hand out whole files, long tests one by one, and all that starts an Airflow to one process."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(WITH_AIRFLOW):
            return "airflow"
        return nodeid if nodeid.startswith(ONE_BY_ONE) else nodeid.partition("::")[0]


class Distribution:
    """The hooks of the process that shares out the tests."""

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> Scheduler:
        return Scheduler(config, log)

    def pytest_keyboard_interrupt(self) -> None:
        """Let the tests' processes end their servers; xdist would kill them after ten seconds."""
        workers = {row.pid for row in read_processes().values() if row.parent_pid == os.getpid()}
        for pid in workers:
            send_signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + CLEAN_UP_SECONDS
        while descendants(workers, read_processes()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def interrupt_once(numbers: Sequence[int]) -> None:
    """Raise KeyboardInterrupt at the first of these signals, and let nothing disturb the clean-up after it."""

    def interrupt(number: int, _frame: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(signal.Signals(number).name)

    for each in numbers:
        signal.signal(each, interrupt)

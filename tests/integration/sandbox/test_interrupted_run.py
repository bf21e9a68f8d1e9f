"""A run of the tests that somebody ends: its processes clean up after themselves."""

import signal
import subprocess
import sys
from pathlib import Path

from sandbox.processes import descendants, read_processes, running_pids
from tests.support.wait import wait_until

ROOT = Path(__file__).parents[3]
INTERRUPTED = 2  # pytest.ExitCode


def test_interrupted_run_in_several_processes_leaves_nothing() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "tests/integration/postgres"]
    run = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    servers = wait_until(lambda: _server_pids(run.pid), timeout_seconds=100, what="servers of the run")

    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate(timeout=60)

    assert run.returncode == INTERRUPTED, output
    assert not running_pids(servers)


def _server_pids(pid: int) -> set[int]:
    """Return the processes below a run when PostgreSQL is among them."""
    found = descendants({pid}, read_processes())
    return found if any(_is_postgres(each) for each in found) else set()


def _is_postgres(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name == "postgres"
    except OSError:
        return False

"""The demo as a person runs it: real Airflow, real RabbitMQ, two PostgreSQL servers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.demo.state import DemoState, read_state
from sandbox.processes import read_processes
from tests.support.wait import wait_until

pytestmark = pytest.mark.airflow

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_SECONDS = 1200
END_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's command in a directory of its own."""

    directory: Path
    process: "subprocess.Popen[str]"

    def state(self) -> DemoState | None:
        return read_state(self.directory)

    def wait_until_servers_run(self) -> None:
        wait_until(self._server_count_is_high, timeout_seconds=60, what="servers of the demo")

    def is_gone(self) -> bool:
        return not self.directory.exists() and not servers_below(self.directory)

    def _server_count_is_high(self) -> bool:
        return len(servers_below(self.directory)) >= 4


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    directory = tmp_path / "demo"
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.demo", "--once", "--seconds", "15", "--rate", "60"],
        cwd=REPOSITORY,
        env=environment_of(directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield Demo(directory, process)
    take_down(directory)
    process.communicate(timeout=END_SECONDS)


def environment_of(directory: Path) -> dict[str, str]:
    return {**os.environ, "DEMO_DIRECTORY": str(directory)}


def take_down(directory: Path) -> str:
    return subprocess.run(
        [sys.executable, "-m", "sandbox.demo.down"],
        cwd=REPOSITORY,
        env=environment_of(directory),
        capture_output=True,
        text=True,
        check=True,
        timeout=END_SECONDS,
    ).stdout


def servers_below(directory: Path) -> set[int]:
    """Return the processes that work in the demo's directory or in the one its databases are in."""
    state = read_state(directory)
    places = {str(directory), state.server_directory if state else str(directory)}
    return {
        pid for pid in read_processes() if any(working_directory(pid).startswith(place) for place in places)
    }


def working_directory(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""


@pytest.mark.timeout(RUN_SECONDS + END_SECONDS)
def test_demo_ends_with_equal_tables_and_leaves_nothing(demo: Demo) -> None:
    output, _ = demo.process.communicate(timeout=RUN_SECONDS)

    assert demo.process.returncode == 0, output
    assert "every table is equal" in output
    assert "DIFFER" not in output
    assert demo.is_gone()


def test_interrupted_demo_cleans_up(demo: Demo) -> None:
    demo.wait_until_servers_run()

    demo.process.send_signal(signal.SIGINT)
    output, _ = demo.process.communicate(timeout=END_SECONDS)

    assert demo.process.returncode == 130, output
    assert demo.is_gone()


def test_killed_demo_is_removed_by_demo_down(demo: Demo) -> None:
    demo.wait_until_servers_run()
    demo.process.kill()
    demo.process.wait()
    survivors = servers_below(demo.directory)

    said = take_down(demo.directory)

    assert survivors
    assert "The demo is gone" in said
    assert demo.is_gone()
    assert not survivors & read_processes().keys()


def test_demo_is_not_started_twice(demo: Demo) -> None:
    demo.wait_until_servers_run()

    second = subprocess.run(
        [sys.executable, "-m", "sandbox.demo", "--once"],
        cwd=REPOSITORY,
        env=environment_of(demo.directory),
        capture_output=True,
        text=True,
        check=False,
        timeout=END_SECONDS,
    )

    assert second.returncode == 1
    assert f"Another `make demo` is at work (pid {demo.process.pid})" in second.stdout

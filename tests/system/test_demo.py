"""The demo as a person runs it: real Airflow, real RabbitMQ, two PostgreSQL servers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.demo.state import read_state
from sandbox.processes import read_processes
from tests.support.wait import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_SECONDS = 1200
END_SECONDS = 150  # on a busy machine


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's command in a directory of its own."""

    directory: Path
    process: "subprocess.Popen[str]"

    def wait_until_servers_run(self) -> set[Path]:
        """Return the directories the demo uses, once at least four processes work there."""
        wait_until(
            lambda: len(processes_below(self.places())) >= 4, timeout_seconds=END_SECONDS, what="servers"
        )
        return self.places()

    def places(self) -> set[Path]:
        state = read_state(self.directory)
        return {self.directory, Path(state.server_directory) if state else self.directory}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    directory = tmp_path / "demo"
    process = start_demo(directory)
    yield Demo(directory, process)
    take_down(directory)
    if process.stdout is not None and not process.stdout.closed:
        process.communicate(timeout=END_SECONDS)


def start_demo(directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox.demo", "--once", "--seconds", "15", "--rate", "60"],
        cwd=REPOSITORY,
        env=environment_of(directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


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


def processes_below(places: set[Path]) -> set[int]:
    return {
        pid for pid in read_processes() if places & {working_directory(pid), *working_directory(pid).parents}
    }


def is_nothing_left(places: set[Path]) -> bool:
    return not any(place.exists() for place in places) and not processes_below(places)


def working_directory(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return Path("/")


@pytest.mark.timeout(RUN_SECONDS + END_SECONDS)
def test_demo_ends_with_equal_tables_and_leaves_nothing(demo: Demo) -> None:
    places = demo.wait_until_servers_run()

    output, _ = demo.process.communicate(timeout=RUN_SECONDS)

    assert demo.process.returncode == 0, output
    assert "every table is equal" in output
    assert "DIFFER" not in output
    assert is_nothing_left(places)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_nothing(demo: Demo, signal_number: int) -> None:
    places = demo.wait_until_servers_run()

    demo.process.send_signal(signal_number)
    output, _ = demo.process.communicate(timeout=END_SECONDS)

    assert demo.process.returncode == 130, output
    assert is_nothing_left(places)


def test_killed_demo_is_removed_by_demo_down(demo: Demo) -> None:
    places = demo.wait_until_servers_run()
    demo.process.kill()
    demo.process.wait()
    survivors = processes_below(places)

    said = take_down(demo.directory)

    assert survivors
    assert "The demo is gone" in said
    # On a busy machine a killed process takes a moment to be gone.
    wait_until(lambda: is_nothing_left(places), timeout_seconds=END_SECONDS, what="what the demo left to go")


def test_killed_demo_is_cleared_away_by_the_next_one(demo: Demo) -> None:
    places = demo.wait_until_servers_run()
    demo.process.kill()
    demo.process.wait()

    second = start_demo(demo.directory)
    try:
        wait_until(
            lambda: read_pid(demo.directory) == second.pid,
            timeout_seconds=END_SECONDS,
            what="the second demo",
        )

        wait_until(
            lambda: not processes_below(places - {demo.directory}),
            timeout_seconds=END_SECONDS,
            what="the first demo's processes to end",
        )
    finally:
        take_down(demo.directory)
        second.communicate(timeout=END_SECONDS)


def test_demo_is_not_started_twice(demo: Demo) -> None:
    demo.wait_until_servers_run()

    second = start_demo(demo.directory)
    output, _ = second.communicate(timeout=END_SECONDS)

    assert second.returncode == 1
    assert f"Another `make demo` is at work (pid {demo.process.pid})" in output


def read_pid(directory: Path) -> int | None:
    state = read_state(directory)
    return state.demo_pid if state else None

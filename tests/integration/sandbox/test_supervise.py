"""The supervisor of .ci/run: the command's exit code, and no process left behind unseen."""

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.processes import read_processes
from sandbox.supervise import LEFT_BEHIND

ROOT = Path(__file__).parents[3]


def supervise(script: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sandbox.supervise", "bash", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("exit_code", [0, 3])
def test_exit_code_is_the_commands(exit_code: int) -> None:
    assert supervise(f"exit {exit_code}").returncode == exit_code


def test_process_that_ends_by_itself_soon_is_no_failure() -> None:
    assert supervise("sleep 0.5 & exit 0").returncode == 0


def test_process_in_another_session_is_found_named_and_ended() -> None:
    finished = supervise("setsid bash -c 'echo $$; exec sleep 1000' & sleep 0.3; exit 0")

    assert finished.returncode == LEFT_BEHIND
    assert "sleep 1000" in finished.stderr
    assert int(finished.stdout) not in read_processes()

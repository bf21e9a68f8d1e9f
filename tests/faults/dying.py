"""Processes of a site that die at a step, and those that take over from them."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import pytest

from tests.faults.launcher import ForkedProcess
from tests.faults.steps import Step
from tests.support.halves import END_TIMEOUT_SECONDS, Half
from tests.support.site import Site


def by_name(steps: Sequence[Step]) -> pytest.MarkDecorator:
    """Run a test once for each step."""
    return pytest.mark.parametrize("step", steps, ids=[step.name for step in steps])


def start(half: Half, *arguments: str, step: Step | None = None) -> None:
    """Start the half; it dies at the step, if one is given."""
    half.process = ForkedProcess(
        [half.name, str(half.settings_file), *arguments],
        environment=half.wires.environment,
        log_path=half.log_path,
        step=step,
    )


def go_on(site: Site) -> None:
    """Start the halves that have died."""
    for half in site.halves:
        if not half.is_running:
            start(half)


def die_at(half: Half, step: Step, *arguments: str) -> None:
    """Replace the half by one that will die at the step."""
    half.kill()
    start(half, *arguments, step=step)


def assert_died(half: Half, step: Step) -> None:
    """Wait until the half has died at the step."""
    assert half.wait() == -signal.SIGKILL, half.log[-3000:]
    assert half.log.endswith(f"dies at: {step.name}\n")


def command(site: Site, name: str, *arguments: str, step: Step | None = None) -> int:
    """Run a command of the task to its end, at the step if one is given, and return its exit code."""
    log_path = site.command.settings_file.with_suffix(f".{name}.log")
    process = ForkedProcess(
        [name, str(site.command.settings_file), *arguments],
        environment=site.capture.wires.environment,
        log_path=log_path,
        step=step,
    )
    code = process.wait(END_TIMEOUT_SECONDS)
    if step is not None:
        log = log_path.read_text()
        assert code == -signal.SIGKILL, log[-3000:]
        assert log.endswith(f"dies at: {step.name}\n")
    return code

"""Processes of a site that die at a step, and those that take over from them."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence

import pytest

from tests.faults.launcher import ForkedProcess
from tests.faults.steps import Step
from tests.support.halves import END_TIMEOUT_SECONDS, Half
from tests.support.servers import versions_in_turn
from tests.support.site import Site


def by_name(steps: Sequence[Step], *, on: Sequence[str]) -> pytest.MarkDecorator:
    """Run a test once for each step, on each of the pairs of versions in turn."""
    return in_turn("step", {step.name: step for step in steps}, on=on)


def in_turn(argument: str, cases: Mapping[str, object], *, on: Sequence[str]) -> pytest.MarkDecorator:
    """Run a test once for each case, on each of the pairs of versions in turn: `15-18` is from 15 to 18."""
    pairs = list(zip(versions_in_turn(on), cases.items(), strict=False))
    return pytest.mark.parametrize(
        ("versions", argument),
        [(versions, case) for versions, (_, case) in pairs],
        ids=[
            name if versions[0] is None else f"{versions[0]}-{versions[1]}, {name}"
            for versions, (name, _) in pairs
        ],
    )


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

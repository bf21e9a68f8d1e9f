"""Start `trempy` in a process of its own that dies at a step.

The product knows nothing of this: the step's function is replaced, in that process only, by one that calls it
and sends SIGKILL to its own process at the right moment.
The processes are forked from one that has imported the product already: a second less for each.
"""

from __future__ import annotations

import functools
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

from tests.faults.steps import Step

IMPORTED_BEFORE = (
    "trempy_provider.cli.execution",
    "trempy_provider.cli.following",
    "trempy_provider.cli.loading",
    "trempy_provider.cli.preparing",
    "tests.faults.launcher",
)


def owner_of(step: Step) -> tuple[Any, str]:
    """Return what holds the step's function, and its name there; raise when there is no such function."""
    module, _, path = step.function.partition(":")
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for attribute in owners:
        owner = getattr(owner, attribute)
    getattr(owner, name)
    return owner, name


class ForkedProcess:
    """A `trempy` process, with the methods of Popen that are needed."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log_path: Path,
        step: Step | None = None,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(IMPORTED_BEFORE))
        self._process: BaseProcess = context.Process(
            target=_run, args=(list(arguments), dict(environment), str(log_path), step), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait for the end and return the exit code; raise what Popen raises."""
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("trempy", timeout)
        return code


def _run(arguments: list[str], environment: dict[str, str], log_path: str, step: Step | None) -> None:
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(environment)
    if step is not None:
        arm(step)
    from trempy_provider.cli import main  # noqa: PLC0415  # the step's modules come first

    sys.exit(main(arguments))


def arm(step: Step) -> None:
    """Make this process die at the step, or the lane of apply that it starts for it."""
    if step.in_lane is not None:
        _arm_lane(step)
        return
    owner, name = owner_of(step)
    original = vars(owner)[name]
    mortal: Any = _mortal(step, getattr(original, "__func__", original))
    setattr(
        owner, name, type(original)(mortal) if isinstance(original, classmethod | staticmethod) else mortal
    )


def _arm_lane(step: Step) -> None:
    """Let the lane with the step's number die when it is started first; those started later live."""
    lanes: Any = import_module("trempy_provider.jobs.applying.lanes")
    original, numbers = lanes.lane_command, itertools.count()
    mortal = json.dumps({**asdict(step), "in_lane": None})

    def command(handle: int) -> list[str]:
        if next(numbers) != step.in_lane:
            return list(original(handle))
        return [sys.executable, "-m", "tests.faults.dying_lane", str(handle), mortal]

    lanes.lane_command = command


def _mortal(step: Step, original: Callable[..., Any]) -> Callable[..., Any]:
    lock, hits = threading.Lock(), 0

    def count() -> None:
        nonlocal hits
        with lock:
            hits += 1
            if hits == step.hit:
                _die(step)

    @functools.wraps(original)
    def mortal(*args: Any, **kwargs: Any) -> Any:
        if step.statement is not None and step.statement not in args:
            return original(*args, **kwargs)
        if step.moment == "before":
            count()
        result = original(*args, **kwargs)
        if step.moment == "after" and (result is not None or not step.with_result):
            count()
        return result

    return mortal


def _die(step: Step) -> NoReturn:
    os.write(sys.stderr.fileno(), f"dies at: {step.name}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL returns to nobody")

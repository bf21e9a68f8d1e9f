"""`run`: capture and apply as child processes that end with this one."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from typing import Any

from trempy_provider.cli.errors import WRONG_SETTINGS
from trempy_provider.cli.following import stopped_error
from trempy_provider.cli.invocation import Invocation, Outcome
from trempy_provider.cli.loading import progress_listener
from trempy_provider.cli.reports import facts_text
from trempy_provider.errors import ConfigurationError, TrempyError
from trempy_provider.jobs.caught_up import current_position
from trempy_provider.jobs.run import run

_KILLED_HINT = (
    "Run it again: it goes on where it stopped. Look at the machine's memory if it is killed again."
)


class ChildHalf:
    """A child process with `trempy capture` or `trempy apply`; its standard input ends when we do.

    See `jobs.run.Half`.
    """

    def __init__(self, name: str, invocation: Invocation, bounds: list[str]) -> None:
        self.name = name
        command = [sys.executable, "-m", "trempy_provider.cli", name, invocation.given.origin, "--child"]
        for flag in ("verbose", "debug"):
            command += [f"--{flag}"] if getattr(invocation.arguments, flag) else []
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            [*command, *bounds], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died: report() says so
            self._process.stdin.write(invocation.given.as_line())
            self._process.stdin.flush()

    def has_ended(self) -> bool:
        """Tell whether the process has ended."""
        return self._process.poll() is not None

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self._process.kill()
        self._process.wait()

    def report(self) -> dict[str, Any]:
        """Return the job's report; raise its error, or that it was killed."""
        output, _ = self._process.communicate()
        try:
            report: dict[str, Any] = json.loads(output)
        except ValueError:
            raise TrempyError(
                f"{self.name} ended without a word, with code {self._process.returncode}", hint=_KILLED_HINT
            ) from None
        if "error" in report:
            self._raise(report["error"])
        return report

    def _raise(self, error: dict[str, Any]) -> None:
        kind = ConfigurationError if error["exit_code"] == WRONG_SETTINGS else TrempyError
        raise kind(f"{self.name}: {error['message']}", hint=error["hint"])


def run_run(invocation: Invocation) -> Outcome:
    """Run everything; the position to catch up with is that of the call."""
    connections = invocation.connections
    bounds = _bounds(invocation)
    report = run(
        invocation.task,
        source=connections.source,
        target=connections.target,
        broker=connections.broker_if_needed,
        start_half=lambda name: ChildHalf(name, invocation, bounds),
        stop=invocation.stop,
        progress=progress_listener(),
    ).as_dict()
    return Outcome(report, facts_text(report), stopped_error(invocation, report["end_reason"]))


def _bounds(invocation: Invocation) -> list[str]:
    """Return the children's bounds: one position for both, or apply would wait for more than is captured."""
    if invocation.arguments.until_caught_up:
        return ["--until-lsn", str(current_position(invocation.connections.source))]
    if invocation.arguments.seconds is not None:
        return ["--for", str(invocation.arguments.seconds)]
    return []

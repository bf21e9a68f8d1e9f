"""Run: everything a task needs, in one call; started again it goes on where it stopped.

Setup, then the load of the tables that are not ready, then capture and apply as two processes of their own.
Each step is idempotent, so a run that was killed at any moment is mended by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import JobInProgressError, StoppedError, TrempyError
from trempy_provider.jobs.backoff import Backoff
from trempy_provider.jobs.full_load import FullLoadReport, full_load
from trempy_provider.jobs.lease import EndReason, Lease, StopSignal
from trempy_provider.jobs.progress import ProgressListener
from trempy_provider.jobs.setup import SetupReport, setup
from trempy_provider.jobs.stop_record import recording_stop
from trempy_provider.jobs.waiting_loads import WaitingLoads
from trempy_provider.postgres.session import Endpoint

HALVES = ("capture", "apply")
# The sessions of a process that was killed live on until their statement ends.
PATIENCE_SECONDS = 30.0
STOP_SECONDS = 1.9
_POLL_SECONDS = 0.05
Result = TypeVar("Result")


class Half(Protocol):
    """Capture or apply in a process of its own."""

    name: str

    def has_ended(self) -> bool:
        """Tell whether the process has ended."""

    def ask_to_stop(self) -> None:
        """Ask the process to stop; nothing happens when it has ended."""

    def kill(self) -> None:
        """End the process at once; nothing happens when it has ended."""

    def report(self) -> Mapping[str, Any]:
        """Return the ended job's report, or raise the error it ended with."""


@dataclass(slots=True)
class RunReport:
    """What a run did."""

    end_reason: str = ""
    setup: SetupReport | None = None
    full_load: FullLoadReport | None = None
    halves: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "end_reason": self.end_reason,
            "seconds": round(self.seconds, 3),
            "setup": None if self.setup is None else self.setup.as_dict(),
            "full_load": None if self.full_load is None else self.full_load.as_dict(),
            **{name: self.halves.get(name) for name in HALVES},
        }


def run(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    broker: Broker | None,
    start_half: Callable[[str], Half],
    stop: StopSignal,
    progress: ProgressListener | None = None,
) -> RunReport:
    """Set the task up, load what is not loaded, then follow its changes until both halves end.

    `start_half` starts capture or apply; it bounds them.
    Raise what the steps raise; when one half fails, the other is stopped first.
    """
    started = time.monotonic()
    report = RunReport()
    report.setup = _patiently(lambda: setup(task, source=source, target=target, broker=broker), stop)
    stop.raise_if_set()
    if task.loads_fully:
        with recording_stop(target, job="full_load"):
            report.full_load = _patiently(
                lambda: full_load(task, source=source, target=target, stop=stop, progress=progress), stop
            )
    if task.captures_changes:
        loads = WaitingLoads(task, source=source, target=target, stop=stop)
        _follow(start_half, stop, report, on_look=loads.start_if_due)
        loads.finish()
    report.end_reason = _end_reason(report, stop)
    report.seconds = time.monotonic() - started
    return report


def _patiently(step: Callable[[], Result], stop: StopSignal) -> Result:
    """Try again for a while where a process that was killed a moment ago is still in the way."""
    backoff = Backoff(lease=Lease(), stop=stop, patience_seconds=PATIENCE_SECONDS)
    while True:
        try:
            return step()
        except JobInProgressError as error:
            backoff.wait(error)
            stop.raise_if_set()


def _follow(
    start_half: Callable[[str], Half],
    stop: StopSignal,
    report: RunReport,
    *,
    on_look: Callable[[], None] = lambda: None,
) -> None:
    halves: list[Half] = []
    try:
        for name in HALVES:
            stop.raise_if_set()
            halves.append(start_half(name))
        _watch(halves, stop, report, on_look)
    finally:
        stop_halves(halves)
    for half in (half for half in halves if half.name not in report.halves):
        with suppress(TrempyError):  # stopped, it need not have anything to tell
            report.halves[half.name] = half.report()


def _watch(halves: Sequence[Half], stop: StopSignal, report: RunReport, on_look: Callable[[], None]) -> None:
    """Return when all have ended or a stop is asked for; raise the error of the first that fails."""
    running = list(halves)
    while running and not stop.wait(_POLL_SECONDS):
        on_look()
        for half in [half for half in running if half.has_ended()]:
            running.remove(half)
            report.halves[half.name] = ended = half.report()
            if ended["end_reason"] == EndReason.STOPPED.value and not stop.is_set():
                raise StoppedError(f"{half.name} was stopped by somebody else")


def stop_halves(halves: Sequence[Half]) -> None:
    """Ask all to stop, and kill those that do not in time."""
    for half in halves:
        half.ask_to_stop()
    deadline = time.monotonic() + STOP_SECONDS
    while not all(half.has_ended() for half in halves) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for half in halves:
        half.kill()


def _end_reason(report: RunReport, stop: StopSignal) -> str:
    if stop.is_set():
        return EndReason.STOPPED.value
    reasons = [str(half["end_reason"]) for half in report.halves.values()]
    return reasons[-1] if reasons else EndReason.CAUGHT_UP.value

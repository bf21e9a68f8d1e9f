"""`capture` and `apply`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trempy_provider.cli.invocation import Invocation, Outcome
from trempy_provider.cli.reports import facts_text
from trempy_provider.errors import ConfigurationError, StoppedError
from trempy_provider.jobs.apply import apply
from trempy_provider.jobs.capture import capture
from trempy_provider.jobs.caught_up import current_position
from trempy_provider.jobs.lease import EndReason, Lease
from trempy_provider.jobs.stop_record import recording_stop
from trempy_provider.jobs.uncaptured import UncapturedWatch
from trempy_provider.replication.lsn import Lsn


def run_capture(invocation: Invocation) -> Outcome:
    """Publish the task's changes."""
    connections = invocation.connections
    _require_changes(invocation)
    lease = _lease(invocation)
    with recording_stop(connections.target, job="capture"):
        report = capture(
            invocation.task,
            source=connections.source,
            target=connections.target,
            broker=connections.broker,
            lease=lease,
            stop=invocation.stop,
        ).as_dict()
    return _outcome(invocation, report)


def run_apply(invocation: Invocation) -> Outcome:
    """Apply what is published."""
    connections = invocation.connections
    _require_changes(invocation)
    lease = _lease(invocation)
    with recording_stop(connections.target, job="apply"), _watch_for_uncaptured(invocation, lease):
        report = apply(
            invocation.task,
            target=connections.target,
            broker=connections.broker,
            lease=lease,
            stop=invocation.stop,
        ).as_dict()
    return _outcome(invocation, report)


def stopped_error(invocation: Invocation, end_reason: str) -> StoppedError | None:
    """Return the error of a command that was stopped before what it was asked for was done.

    Asked to go on until it is stopped, it has done all it should.
    """
    arguments = invocation.arguments
    has_end = arguments.until_caught_up or arguments.until_lsn or arguments.seconds
    if end_reason != EndReason.STOPPED.value or not has_end or invocation.is_child:
        return None
    return StoppedError(f"stopped: {invocation.stop.reason}")


def _outcome(invocation: Invocation, report: dict[str, Any]) -> Outcome:
    return Outcome(report, facts_text(report), stopped_error(invocation, report["end_reason"]))


def _lease(invocation: Invocation) -> Lease:
    """Return the bounds asked for; the position to catch up with is that of the call."""
    arguments = invocation.arguments
    lsn = None
    if arguments.until_caught_up:
        lsn = current_position(invocation.connections.source)
    elif arguments.until_lsn:
        lsn = Lsn.parse(arguments.until_lsn)
    return Lease.lasting(arguments.seconds, caught_up_lsn=lsn)


@contextmanager
def _watch_for_uncaptured(invocation: Invocation, lease: Lease) -> Iterator[None]:
    """While apply waits to catch up, look whether there is anything to wait for; `run` has a capture."""
    if lease.caught_up_lsn is None or invocation.is_child:
        yield
        return
    connections = invocation.connections
    with UncapturedWatch(
        invocation.task,
        source=connections.source,
        target=connections.target,
        lsn=lease.caught_up_lsn,
        stop=invocation.stop,
    ):
        yield


def _require_changes(invocation: Invocation) -> None:
    task = invocation.task
    if not task.captures_changes:
        raise ConfigurationError(
            f"task {task.task_name} follows no changes: its replication_type is {task.replication_type}",
            hint="Set replication_type to full_load_and_cdc or cdc, or run `trempy full-load`.",
        )

"""`full-load`, `reload` and `refresh`."""

from __future__ import annotations

import sys

from trempy_provider.cli.invocation import Invocation, Outcome
from trempy_provider.cli.reports import facts_text
from trempy_provider.jobs.full_load import FullLoadReport, full_load
from trempy_provider.jobs.progress import LogProgress, ProgressListener, TerminalProgress
from trempy_provider.jobs.refresh import refresh
from trempy_provider.jobs.reload import reload
from trempy_provider.jobs.stop_record import recording_stop

JOB = "full_load"


def progress_listener() -> ProgressListener:
    """Return bars where somebody looks at a terminal, lines in the log otherwise."""
    return TerminalProgress(sys.stderr) if sys.stderr.isatty() else LogProgress()


def run_full_load(invocation: Invocation) -> Outcome:
    """Load what is not loaded."""
    report = _load(invocation).as_dict()
    return Outcome(report, facts_text(report))


def run_reload(invocation: Invocation) -> Outcome:
    """Load again, everything from zero or the tables named."""
    connections, tables = invocation.connections, invocation.arguments.tables
    with recording_stop(connections.target, job=JOB):
        report = reload(
            invocation.task,
            source=connections.source,
            target=connections.target,
            broker=connections.broker_if_needed if tables is None else None,
            tables=tables,
            keep_equal=invocation.arguments.keep_equal,
            stop=invocation.stop,
            progress=progress_listener(),
        ).as_dict()
    return Outcome(report, facts_text(report))


def run_refresh(invocation: Invocation) -> Outcome:
    """Pick up tables, and load every table that waits for it: those of a refresh that was killed too."""
    connections = invocation.connections
    report = refresh(
        invocation.task,
        source=connections.source,
        target=connections.target,
        broker=connections.broker_if_needed,
    ).as_dict()
    invocation.stop.raise_if_set()
    load = _load(invocation).as_dict() if invocation.task.loads_fully else None
    report["full_load"] = load
    return Outcome(report, facts_text(report))


def _load(invocation: Invocation) -> FullLoadReport:
    connections = invocation.connections
    with recording_stop(connections.target, job=JOB):
        return full_load(
            invocation.task,
            source=connections.source,
            target=connections.target,
            tables=getattr(invocation.arguments, "tables", None),
            stop=invocation.stop,
            progress=progress_listener(),
        )

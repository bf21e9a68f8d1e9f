"""`check`, `dry-run`, `setup`, `sync-sequences`, `prune`, `sweep` and `teardown`."""

from __future__ import annotations

from trempy_provider.assistant.presentation import dry_run_text
from trempy_provider.cli.invocation import Invocation, Outcome
from trempy_provider.cli.reports import facts_text, findings_text
from trempy_provider.jobs.check import check
from trempy_provider.jobs.dry_run import dry_run
from trempy_provider.jobs.prune import prune
from trempy_provider.jobs.setup import setup
from trempy_provider.jobs.sweep import sweep
from trempy_provider.jobs.sync_sequences import sync_sequences
from trempy_provider.jobs.teardown import teardown


def run_check(invocation: Invocation) -> Outcome:
    """Find what is in the way; errors among the findings are the command's."""
    task, connections = invocation.task, invocation.connections
    report = check(
        task, source=connections.source, target=connections.target, broker=connections.broker_if_needed
    )
    found = report.as_dict()
    return Outcome(found, findings_text(found), report.error)


def run_dry_run(invocation: Invocation) -> Outcome:
    """Apply the settings to the first rows of each table, and undo it."""
    connections = invocation.connections
    report = dry_run(
        invocation.task,
        source=connections.source,
        target=connections.target,
        broker=connections.broker_if_given,
        sample_rows=invocation.arguments.rows,
    )
    return Outcome(report.as_dict(), dry_run_text(report), report.error)


def run_setup(invocation: Invocation) -> Outcome:
    """Make what the task needs."""
    connections = invocation.connections
    report = setup(
        invocation.task,
        source=connections.source,
        target=connections.target,
        broker=connections.broker_if_needed,
    ).as_dict()
    return Outcome(report, facts_text(report))


def run_sync_sequences(invocation: Invocation) -> Outcome:
    """Bring the target's sequences to where the source's stand."""
    connections = invocation.connections
    report = sync_sequences(invocation.task, source=connections.source, target=connections.target).as_dict()
    return Outcome(report, facts_text(report))


def run_prune(invocation: Invocation) -> Outcome:
    """Delete what the metadata tells of a past that the settings let go of."""
    report = prune(invocation.task, target=invocation.connections.target).as_dict()
    return Outcome(report, facts_text(report))


def run_sweep(invocation: Invocation) -> Outcome:
    """List what unknown tasks have left, and remove what is named."""
    connections = invocation.connections
    report = sweep(
        invocation.task,
        source=connections.source,
        target=connections.target,
        broker=connections.broker_if_needed,
        remove=invocation.arguments.remove,
    ).as_dict()
    return Outcome(report, facts_text(report))


def run_teardown(invocation: Invocation) -> Outcome:
    """Remove what the task has made."""
    connections = invocation.connections
    report = teardown(
        invocation.task,
        source=connections.source,
        target=connections.target,
        broker=connections.broker_if_needed,
    ).as_dict()
    return Outcome(report, facts_text(report))

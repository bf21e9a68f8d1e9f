"""`status` and `monitor`."""

from __future__ import annotations

from trempy_provider.cli.invocation import Invocation, Outcome
from trempy_provider.cli.reports import facts_text, status_text
from trempy_provider.jobs.monitor import monitor
from trempy_provider.jobs.status import status


def run_status(invocation: Invocation) -> Outcome:
    """Tell how far the task is; without the target there is nothing to tell, which is an error."""
    connections = invocation.connections
    report = status(
        invocation.task,
        source=connections.source_if_given,
        target=connections.target,
        broker=connections.broker_if_given,
    )
    return Outcome(report.as_dict(), status_text(report), report.error)


def run_monitor(invocation: Invocation) -> Outcome:
    """Compare what is measured with the thresholds; what needs attention is what the command ends with."""
    connections = invocation.connections
    report = monitor(
        invocation.task,
        source=connections.source,
        target=connections.target,
        broker=connections.broker_if_given,
    )
    facts = report.as_dict()
    return Outcome(facts, facts_text(facts), report.error)

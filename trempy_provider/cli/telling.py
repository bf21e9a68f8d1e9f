"""`status`."""

from __future__ import annotations

from trempy_provider.cli.invocation import Invocation, Outcome
from trempy_provider.cli.reports import status_text
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

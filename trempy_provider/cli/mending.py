"""`skip`."""

from __future__ import annotations

from trempy_provider.cli.invocation import Invocation, Outcome
from trempy_provider.cli.reports import facts_text
from trempy_provider.jobs.skip import skip


def run_skip(invocation: Invocation) -> Outcome:
    """Let apply leave out one transaction, or none after all."""
    report = skip(
        invocation.task, target=invocation.connections.target, lsn=invocation.arguments.lsn
    ).as_dict()
    return Outcome(report, facts_text(report))

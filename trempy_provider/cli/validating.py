"""`validate` and `cutover`."""

from __future__ import annotations

from trempy_provider.cli.invocation import Invocation, Outcome
from trempy_provider.cli.reports import facts_text
from trempy_provider.jobs.cutover import cutover
from trempy_provider.jobs.validate import validate


def run_validate(invocation: Invocation) -> Outcome:
    """Compare the rows of both sides; rows that differ are what the command ends with."""
    connections, arguments = invocation.connections, invocation.arguments
    report = validate(
        invocation.task,
        source=connections.source,
        target=connections.target,
        tables=arguments.tables,
        repair=arguments.repair,
        anew=arguments.anew,
        rows_per_second=arguments.rows_per_second,
        stop=invocation.stop,
    )
    facts = report.as_dict()
    return Outcome(facts, facts_text(facts), report.error)


def run_cutover(invocation: Invocation) -> Outcome:
    """Say whether it is safe to switch; why not is what the command ends with."""
    connections = invocation.connections
    report = cutover(
        invocation.task,
        source=connections.source,
        target=connections.target,
        patience_seconds=invocation.arguments.patience_seconds,
        stop=invocation.stop,
    )
    facts = report.as_dict()
    return Outcome(facts, facts_text(facts), report.error)

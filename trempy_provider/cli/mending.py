"""`skip` and `dead-letters`."""

from __future__ import annotations

from collections.abc import Callable

from trempy_provider.cli.invocation import Invocation, Outcome
from trempy_provider.cli.letters import letters_text, settled_text, shown_text
from trempy_provider.cli.reports import facts_text
from trempy_provider.errors import ConfigurationError
from trempy_provider.jobs.dead_letters import (
    SettleReport,
    discard_dead_letters,
    list_dead_letters,
    replay_dead_letters,
    show_dead_letter,
)
from trempy_provider.jobs.skip import skip


def run_skip(invocation: Invocation) -> Outcome:
    """Let apply leave out one transaction, or none after all."""
    target, lsn = invocation.connections.target, invocation.arguments.lsn
    report = skip(invocation.task, target=target, lsn=lsn).as_dict()
    return Outcome(report, facts_text(report))


def run_dead_letters(invocation: Invocation) -> Outcome:
    """List, show, replay or discard dead letters."""
    return _ACTIONS[invocation.arguments.action](invocation)


def _list(invocation: Invocation) -> Outcome:
    connections = invocation.connections
    report = list_dead_letters(invocation.task, target=connections.target, broker=connections.broker)
    return Outcome(report.as_dict(), letters_text(report.letters))


def _show(invocation: Invocation) -> Outcome:
    connections, arguments = invocation.connections, invocation.arguments
    shown = show_dead_letter(
        invocation.task,
        target=connections.target,
        broker=connections.broker,
        message_id=arguments.message_ids[0],
        limit=arguments.limit,
    )
    return Outcome(shown.as_dict(), shown_text(shown))


def _replay(invocation: Invocation) -> Outcome:
    connections = invocation.connections
    report = replay_dead_letters(
        invocation.task,
        target=connections.target,
        broker=connections.broker,
        message_ids=invocation.arguments.message_ids or None,
        stop=invocation.stop,
    )
    return _settled(report)


def _discard(invocation: Invocation) -> Outcome:
    connections, arguments = invocation.connections, invocation.arguments
    if bool(arguments.message_ids) is arguments.all:
        raise ConfigurationError("give the dead letters to discard, or --all", hint="They are gone for good.")
    report = discard_dead_letters(
        invocation.task,
        target=connections.target,
        broker=connections.broker,
        message_ids=arguments.message_ids or None,
    )
    return _settled(report)


def _settled(report: SettleReport) -> Outcome:
    return Outcome(report.as_dict(), settled_text(report), report.error)


_ACTIONS: dict[str, Callable[[Invocation], Outcome]] = {
    "list": _list,
    "show": _show,
    "replay": _replay,
    "discard": _discard,
}

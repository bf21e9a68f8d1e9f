"""Check: find everything that would keep a task from working, and change nothing.

Each finding says where, what was seen and how to mend it; none hides another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask, StartMode
from trempy_provider.errors import PreflightError, RetryPolicy, TrempyError
from trempy_provider.jobs.starting_point import verify_source
from trempy_provider.postgres.findings import Finding, Severity, error, failure_finding, warning
from trempy_provider.postgres.metadata import (
    TaskRow,
    applied_migrations,
    available_migrations,
    check_migrations,
    read_task,
)
from trempy_provider.postgres.metadata_places import verify_owner, verify_places
from trempy_provider.postgres.preflight_server import (
    ServerFacts,
    check_failover,
    check_metadata_rights,
    check_origins,
    check_pair,
    check_replication,
    check_version,
    needed_slots,
    read_server_facts,
)
from trempy_provider.postgres.preflight_settings import check_settings
from trempy_provider.postgres.preflight_source import check_source_tables, find_tables_with_findings
from trempy_provider.postgres.preflight_target import check_target_tables
from trempy_provider.postgres.salts import read_salts
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.slot import read_identity, read_slot
from trempy_provider.postgres.slot_checks import verify_identity
from trempy_provider.postgres.tables import Table
from trempy_provider.postgres.text_collation import choose_text_collation


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All findings, in the order source, target, metadata database, broker."""

    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings that keep the task from running."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Return the findings that a person should know of."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.WARNING)

    @property
    def error(self) -> PreflightError | None:
        """Return what a command ends with that has told all findings, if one of them is an error."""
        if not self.errors:
            return None
        first = self.errors[0]
        return PreflightError(
            f"{len(self.errors)} problem(s) found; the first: {first.where}: {first.what}",
            hint=f"{first.remedy} Then run `trempy check` again.",
        )

    def raise_errors(self, task_name: str) -> None:
        """Raise PreflightError that lists all errors with their remedies, if there are any.

        It is worth another try when nothing but servers that do not answer is in the way.
        """
        if self.errors:
            lines = "".join(
                f"\n  {finding.where}: {finding.what}\n    → {finding.remedy}" for finding in self.errors
            )
            failed = PreflightError(f"task {task_name}: {len(self.errors)} problem(s) found{lines}")
            if all(finding.mends_by_itself for finding in self.errors):
                failed.policy = RetryPolicy.BY_ITSELF
            raise failed

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain values."""
        return {
            "findings": [
                {
                    "severity": str(finding.severity),
                    "where": finding.where,
                    "what": finding.what,
                    "remedy": finding.remedy,
                }
                for finding in self.findings
            ]
        }


def check(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    broker: Broker | None = None,
    restart: bool = False,
) -> CheckReport:
    """Find what is wrong with the settings, the two servers, their tables, the rights and the broker.

    With `restart`, what the task had before does not count: it is about to be replaced.
    """
    with ExitStack() as stack:
        checks = _Checks(task, source, restart=restart)
        checks.attempt("settings", lambda: _salts(task, source))
        source_session = checks.open(source, stack)
        target_session = checks.open(target, stack)
        metadata = target_session if target.metadata is target else checks.open(target.metadata, stack)
        if source_session is not None:
            checks.source(source_session)
        if target_session is not None:
            checks.target(target_session)
        if metadata is not None and metadata is not target_session:
            checks.metadata(metadata, target_session)
        if source_session is not None and target_session is not None:
            checks.both(source_session, target_session)
            if metadata is not None:
                checks.task(source_session, target_session, metadata)
    if broker is not None and task.captures_changes:
        checks.attempt("broker", lambda: _broker(broker))
    return CheckReport(tuple(checks.findings))


class _Checks:
    """The findings so far; a group of checks that fails becomes a finding itself."""

    def __init__(self, task: ReplicationTask, source: Endpoint, *, restart: bool) -> None:
        self.findings: list[Finding] = []
        self._task = task
        self._source = source
        self._restart = restart
        self._tables: tuple[Table, ...] = ()

    def add(self, findings: Iterable[Finding]) -> None:
        """Add findings; raises what producing them raises."""
        self.findings.extend(findings)

    def attempt(self, where: str, group: Callable[[], Iterable[Finding]]) -> None:
        """Add the findings that `group()` yields; an error of ours among them is a finding too."""
        try:
            self.add(group())
        except TrempyError as failure:
            self.findings.append(failure_finding(where, failure))

    def open(self, endpoint: Endpoint, stack: ExitStack) -> Session | None:
        """Return a session that `stack` closes, or None after adding why there is none."""
        try:
            return stack.enter_context(endpoint.connect("check"))
        except TrempyError as failure:
            self.findings.append(failure_finding(endpoint.role, failure))
            return None

    def source(self, session: Session) -> None:
        """Check the source alone."""
        where = f"source {session.parameters.where}"
        self.attempt(where, lambda: self._source_server(session, where))
        self.attempt(where, lambda: self._source_tables(session))

    def target(self, session: Session) -> None:
        """Check the target alone."""
        where = f"target {session.parameters.where}"
        self.attempt(where, lambda: _target_server(self._task, session, where))

    def both(self, source: Session, target: Session) -> None:
        """Check what takes both sessions."""
        self.attempt("source and target", lambda: check_pair(source, target))
        self.attempt("settings", lambda: self._filters_and_transformations(source, target))
        self.attempt("target tables", lambda: self._target_tables(source, target))

    def metadata(self, metadata: Session, target: Session | None) -> None:
        """Check the metadata database, where it is not the target."""
        where = f"metadata {metadata.parameters.where}"
        self.attempt(where, lambda: _metadata_server(metadata, target, where))

    def task(self, source: Session, target: Session, metadata: Session) -> None:
        """Check what there is of the task."""
        self.attempt("task", lambda: self._state(source, target, metadata))

    def _source_server(self, session: Session, where: str) -> Iterator[Finding]:
        facts = read_server_facts(session)
        yield from check_version(facts, where)
        if self._task.captures_changes:
            status = read_slot(session, self._task.slot_name)
            needs = needed_slots(self._task, slot_exists=status.exists, slot_is_active=status.active)
            yield from check_replication(facts, where, needs)
            if self._task.cdc.failover_slot:
                yield from check_failover(facts, where)

    def _source_tables(self, session: Session) -> Iterator[Finding]:
        self._tables, findings = find_tables_with_findings(session, self._task)
        yield from findings
        yield from check_source_tables(session, self._task, read_server_facts(session), self._tables)

    def _target_tables(self, source: Session, target: Session) -> Iterator[Finding]:
        return check_target_tables(source, target, self._task, read_server_facts(target), self._tables)

    def _filters_and_transformations(self, source: Session, target: Session) -> Iterator[Finding]:
        collation = choose_text_collation(source, target)
        return check_settings(source, self._task, self._tables, text_collation=collation)

    def _state(self, source: Session, target: Session, metadata: Session) -> Iterator[Finding]:
        name = self._task.task_name
        present = [session for session in (target, metadata) if applied_migrations(session)]
        if any(applied_migrations(session) != available_migrations() for session in present):
            return  # setup brings them up to date; capture and apply look at the rest
        if self._restart:
            if present:
                verify_owner(target, metadata, name)
            return
        if present:
            verify_places(target, metadata, name)
        row = read_task(metadata, name) if metadata in present else None
        if row is not None:
            yield from _known_task(self._task, row, self._source, source, metadata)
        elif self._task.captures_changes:
            yield from _leftover_slot(self._task, source)


def _salts(task: ReplicationTask, source: Endpoint) -> Iterator[Finding]:
    read_salts(task, source)
    yield from ()


def _target_server(task: ReplicationTask, session: Session, where: str) -> Iterator[Finding]:
    facts = read_server_facts(session)
    yield from _metadata_keeper(session, facts, where)
    if task.captures_local_only:
        yield from check_origins(session, facts, where)
    check_migrations(session)


def _metadata_server(metadata: Session, target: Session | None, where: str) -> Iterator[Finding]:
    yield from _metadata_keeper(metadata, read_server_facts(metadata), where)
    if target is not None and read_identity(metadata) == read_identity(target):
        yield error(
            where,
            "metadata_conn_id names the target's own database by another connection",
            "Leave metadata_conn_id out: the target is where metadata is kept by default.",
        )
    check_migrations(metadata)


def _metadata_keeper(session: Session, facts: ServerFacts, where: str) -> Iterator[Finding]:
    yield from check_version(facts, where)
    if facts.is_standby:
        yield error(where, "the server is a standby; nothing can be written there", "Use the primary.")
    yield from check_metadata_rights(session, facts, where)


def _known_task(
    task: ReplicationTask, row: TaskRow, source: Endpoint, source_session: Session, metadata: Session
) -> Iterator[Finding]:
    """Check that the source still is what the task was set up with, and that no change is missing."""
    if task.captures_changes and row.consistent_point is not None:
        verify_source(row, row.slot_name or task.slot_name, source=source, metadata=metadata)
    else:
        verify_identity(row, read_identity(source_session))
    if row.stop_reason is not None:
        yield warning(f"task {task.task_name}", f"it has stopped: {row.stop_reason}", "Mend the cause named.")


def _leftover_slot(task: ReplicationTask, source: Session) -> Iterator[Finding]:
    """Find a slot of the task's name although the target knows nothing of the task."""
    status = read_slot(source, task.slot_name)
    where = f"slot {task.slot_name}"
    if not status.exists:
        return
    if status.active:
        yield error(
            where,
            f"it exists and process {status.active_pid} is reading it, but the target has no such task",
            "Another task of this name replicates to another target: choose another task_name, or stop it.",
        )
    elif task.start_mode is StartMode.CONTINUE:
        yield error(
            where,
            "it exists, but the target has no checkpoint of the task to continue from",
            f"If nobody needs it: select pg_drop_replication_slot('{task.slot_name}'); "
            "or set start_mode to reload.",
        )
    else:
        yield warning(where, "it is left over from an earlier task", "Setup will drop it and start anew.")


def _broker(broker: Broker) -> Iterator[Finding]:
    broker.check()
    yield from ()

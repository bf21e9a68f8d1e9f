"""Setup: make everything a task needs, once.

The order is such that a kill between any two steps is mended by running setup again:

1. metadata schema, then the task's row without a consistent point: from here on, what is on the source under
   the task's names is known to be the task's own;
2. publication, before the slot: decoding looks publications up as of each change;
3. queues, empty;
4. slot: a half-made or left-over one is dropped and created again; it is moved to where it decodes rightly;
5. one transaction: target tables, their states, checkpoint, and the consistent point in the task's row.

A task whose row has its consistent point is complete; setup then only brings publication, queues and tables
up to date with the settings.

With a metadata database of its own, the task's row and the progress of capture are there.
The transaction of the target comes first, and then one there, with the consistent point: killed between the
two, the task is not complete, and setup begins again from zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import MetadataError, SlotCreationBlockedError
from trempy_provider.jobs.check import check
from trempy_provider.postgres.catalog import find_tables
from trempy_provider.postgres.checkpoints import (
    read_checkpoint,
    start_capture_progress,
    start_checkpoint,
    start_progress,
)
from trempy_provider.postgres.metadata import (
    TaskRow,
    known_text_collation,
    migrate,
    read_task,
    write_task,
    write_text_collation,
)
from trempy_provider.postgres.metadata_places import metadata_session, read_schema_id, write_target_part
from trempy_provider.postgres.publication import (
    drop_publication,
    ensure_publication,
    pushed_filters,
    wanted_publication,
)
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.setup_lock import setup_lock
from trempy_provider.postgres.slot import (
    create_slot,
    drop_slot,
    read_identity,
    read_slot,
    read_wal_position,
    synchronize_slot,
)
from trempy_provider.postgres.slot_start import find_start
from trempy_provider.postgres.source_facts import SourceFacts
from trempy_provider.postgres.tables import Table
from trempy_provider.postgres.task_tables import (
    TableChanges,
    read_first_facts,
    start_tables,
    synchronize_tables,
)
from trempy_provider.postgres.text_collation import choose_text_collation
from trempy_provider.replication.lsn import NO_LSN, Lsn


@dataclass(frozen=True, slots=True)
class SetupReport:
    """What a task has on the source and on the target."""

    task_name: str
    publication: str | None
    slot: str | None
    consistent_point: Lsn | None
    tables: tuple[str, ...]
    created_tables: tuple[str, ...]
    created_types: tuple[str, ...]
    pushed_filters: tuple[str, ...]
    started_anew: bool
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "task_name": self.task_name,
            "publication": self.publication,
            "slot": self.slot,
            "consistent_point": None if self.consistent_point is None else str(self.consistent_point),
            "tables": list(self.tables),
            "created_tables": list(self.created_tables),
            "created_types": list(self.created_types),
            "pushed_filters": list(self.pushed_filters),
            "started_anew": self.started_anew,
            "warnings": list(self.warnings),
        }


def setup(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    broker: Broker | None = None,
    restart: bool = False,
) -> SetupReport:
    """Make publication, slot, target tables, queues and metadata; a second run changes nothing.

    With `restart` the task starts from zero: slot, queues, held changes and checkpoint begin anew, and a full
    load will replace its target tables.
    Raise PreflightError that lists everything in the way, JobInProgressError while another setup runs.
    """
    findings = check(task, source=source, target=target, broker=broker, restart=restart)
    findings.raise_errors(task.task_name)
    with (
        source.connect("setup") as source_session,
        target.connect("setup") as target_session,
        metadata_session(target, target_session, "setup") as metadata,
    ):
        migrate(target_session)
        if metadata is not target_session:
            migrate(metadata)
        with setup_lock(target_session, task.task_name):
            steps = _Steps(task, source, source_session, target_session, metadata, broker)
            report = steps.run(restart=restart)
    warnings = [f"{finding.where}: {finding.what}" for finding in findings.warnings]
    return replace(report, warnings=(*warnings, *report.warnings))


@dataclass(frozen=True, slots=True)
class _Steps:
    task: ReplicationTask
    source_endpoint: Endpoint
    source: Session
    target: Session
    metadata: Session  # the same as `target` where that has all of the metadata
    broker: Broker | None

    @property
    def application_prefix(self) -> str:
        return self.source_endpoint.application_name("")

    def run(self, *, restart: bool) -> SetupReport:
        tables = find_tables(self.source, self.task)
        facts = read_first_facts(self.source, self.task, tables)
        known = self._read_known(restart=restart)
        if known is not None and known.slot_name is not None and not self.task.captures_changes:
            known = self._leave_capture(known)
        if known is None or restart or (self.task.captures_changes and known.consistent_point is None):
            return self._start(tables, facts)
        return self._bring_up_to_date(tables, known)

    def _start(self, tables: tuple[Table, ...], facts: Mapping[int, SourceFacts]) -> SetupReport:
        """Make everything, and empty what is left of an earlier time."""
        row, collation = self._new_row(), choose_text_collation(self.source, self.target)
        start = NO_LSN
        if self.task.captures_changes:
            write_task(self.metadata, row)
            ensure_publication(self.source, wanted_publication(self.task, tables))
            self._empty_queues()
            start = self._create_slot()
            row = replace(row, consistent_point=start)
        with self.target.transaction():
            self._begin(row, start)
            write_text_collation(self.target, row.task_name, collation)
            changes = start_tables(self.source, self.target, self.task, tables, start=start, facts=facts)
        if self.metadata is not self.target:
            self._complete(row, start)
        return self._report(row, tables, changes, started_anew=True)

    def _read_known(self, *, restart: bool) -> TaskRow | None:
        """Return the task's row; a start from zero may leave the database where it was."""
        try:
            return read_task(self.metadata, self.task.task_name)
        except MetadataError:
            if restart:
                return None
            raise

    def _begin(self, row: TaskRow, start: Lsn) -> None:
        """Write what commits with the target's tables: all there is, unless a part is elsewhere."""
        name = self.task.task_name
        if self.metadata is self.target:
            write_task(self.target, row)
            start_progress(self.target, name, start, captures_changes=self.task.captures_changes)
        else:
            write_target_part(self.target, self.metadata, name)
            start_checkpoint(self.target, name, start)

    def _complete(self, row: TaskRow, start: Lsn) -> None:
        """Write what the metadata database has."""
        name = self.task.task_name
        former = read_checkpoint(self.target, name).capture_session
        with self.metadata.transaction():
            write_task(self.metadata, row)
            if self.task.captures_changes:
                start_capture_progress(self.metadata, name, start, session_number=former)

    def _bring_up_to_date(self, tables: tuple[Table, ...], row: TaskRow) -> SetupReport:
        if self.task.captures_changes:
            ensure_publication(self.source, wanted_publication(self.task, tables))
            self._bring_slot_up_to_date()
            if self.broker is not None:
                self.broker.declare_topology()
        if known_text_collation(self.target, row.task_name) is None:
            collation = choose_text_collation(self.source, self.target)
            write_text_collation(self.target, row.task_name, collation)
        changes = bring_tables_up_to_date(self.source, self.target, self.task, tables)
        return self._report(row, tables, changes, started_anew=False)

    def _leave_capture(self, row: TaskRow) -> TaskRow:
        """Remove what holds WAL back on the source, since the task captures no more."""
        drop_slot(self.source, self.task.slot_name, application_prefix=self.application_prefix)
        drop_publication(self.source, self.task.publication_name)
        if self.broker is not None:
            self.broker.delete_topology()
        left = replace(row, slot_name=None, publication_name=None, consistent_point=None)
        write_task(self.metadata, left)
        return left

    def _create_slot(self) -> Lsn:
        """Create the slot and return where it begins; one that cannot begin is not left behind."""
        name, timeout_seconds = self.task.slot_name, self.task.cdc.slot_creation_timeout_seconds
        drop_slot(self.source, name, application_prefix=self.application_prefix)
        create_slot(self.source, name, timeout_seconds=timeout_seconds, failover=self.task.cdc.failover_slot)
        try:
            return find_start(
                self.source,
                name,
                publication_name=self.task.publication_name,
                timeout_seconds=timeout_seconds,
            )
        except SlotCreationBlockedError:
            drop_slot(self.source, name, application_prefix=self.application_prefix)
            raise

    def _bring_slot_up_to_date(self) -> None:
        """Follow a changed `failover_slot`."""
        status = read_slot(self.source, self.task.slot_name)
        if status.exists and status.is_synchronized != self.task.cdc.failover_slot:
            synchronize_slot(
                self.source_endpoint, self.task.slot_name, is_synchronized=self.task.cdc.failover_slot
            )

    def _empty_queues(self) -> None:
        """Delete and declare: purging would leave what a consumer holds unacknowledged."""
        if self.broker is not None:
            self.broker.delete_topology()
            self.broker.declare_topology()

    def _new_row(self) -> TaskRow:
        identity = read_identity(self.source)
        captures = self.task.captures_changes
        return TaskRow(
            task_name=self.task.task_name,
            system_identifier=identity.system_identifier,
            timeline=identity.timeline,
            source_database=identity.database,
            slot_name=self.task.slot_name if captures else None,
            publication_name=self.task.publication_name if captures else None,
            target_id=None if self.metadata is self.target else read_schema_id(self.target),
        )

    def _report(
        self, row: TaskRow, tables: tuple[Table, ...], changes: TableChanges, *, started_anew: bool
    ) -> SetupReport:
        pushed = pushed_filters(self.task, tables)
        return SetupReport(
            task_name=row.task_name,
            publication=row.publication_name,
            slot=row.slot_name,
            consistent_point=row.consistent_point,
            tables=tuple(str(table.name) for table in tables),
            created_tables=tuple(map(str, changes.created)),
            created_types=tuple(changes.created_types),
            pushed_filters=tuple(
                f"{table.name}: {path}" for table, filters in pushed for path, _ in filters.pushed
            ),
            started_anew=started_anew,
            warnings=tuple(changes.warnings),
        )


def bring_tables_up_to_date(
    source: Session, target: Session, task: ReplicationTask, tables: tuple[Table, ...]
) -> TableChanges:
    """Add and remove tables of a running task, after its publication was brought up to date.

    In this order no load can take its snapshot before the table's changes are published; apply leaves out
    changes of a table that has no state yet.
    """
    facts = read_first_facts(source, task, tables)
    start = read_wal_position(source)
    with target.transaction():
        return synchronize_tables(source, target, task, tables, start=start, facts=facts)

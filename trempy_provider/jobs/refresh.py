"""Refresh: follow the settings and the source's catalog while the task runs.

Tables newly named, or newly matching a pattern, are published, created on the target and wait for their load;
the others go on untouched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import MetadataError
from trempy_provider.jobs.check import check
from trempy_provider.jobs.setup import bring_tables_up_to_date
from trempy_provider.postgres.catalog import find_tables
from trempy_provider.postgres.metadata import migrate, read_task
from trempy_provider.postgres.metadata_places import metadata_session
from trempy_provider.postgres.publication import ensure_publication, wanted_publication
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.setup_lock import setup_lock


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What has changed; `added` are the names to hand to a full load."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    created_tables: tuple[str, ...]
    publication_changed: bool
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "created_tables": list(self.created_tables),
            "publication_changed": self.publication_changed,
            "warnings": list(self.warnings),
        }


def refresh(
    task: ReplicationTask, *, source: Endpoint, target: Endpoint, broker: Broker | None = None
) -> RefreshReport:
    """Add tables the settings name or match now, and take off those they no longer do.

    A table added waits for `full_load(tables=report.added)`; in a task that loads nothing it is followed from
    now on.
    A table taken off stays on the target as it is.
    Raise MetadataError when the task has not been set up, PreflightError when something is in the way.
    """
    findings = check(task, source=source, target=target, broker=broker)
    findings.raise_errors(task.task_name)
    with (
        source.connect("refresh") as source_session,
        target.connect("refresh") as target_session,
        metadata_session(target, target_session, "refresh") as metadata,
    ):
        migrate(target_session)
        if metadata is not target_session:
            migrate(metadata)
        with setup_lock(target_session, task.task_name):
            _require_setup(metadata, task)
            return _refresh(task, source_session, target_session)


def _refresh(task: ReplicationTask, source: Session, target: Session) -> RefreshReport:
    tables = find_tables(source, task)
    publication_changed = False
    if task.captures_changes:
        publication_changed = ensure_publication(source, wanted_publication(task, tables))
    changes = bring_tables_up_to_date(source, target, task, tables)
    return RefreshReport(
        added=tuple(map(str, changes.added)),
        removed=tuple(map(str, changes.removed)),
        created_tables=tuple(map(str, changes.created)),
        publication_changed=publication_changed,
        warnings=tuple(changes.warnings),
    )


def _require_setup(metadata: Session, task: ReplicationTask) -> None:
    row = read_task(metadata, task.task_name)
    if row is None or (task.captures_changes and row.consistent_point is None):
        raise MetadataError(f"task {task.task_name} has not been set up")

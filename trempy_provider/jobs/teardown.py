"""Teardown: remove everything a task has made, but the rows it has replicated.

The slot goes first: it is what keeps WAL on the source.
Parts that are missing already are no error, so a teardown that was killed is finished by running it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.load_tables import drop_table_sql, load_table_name
from trempy_provider.postgres.metadata import (
    METADATA_SCHEMA,
    applied_migrations,
    delete_task,
    drop_metadata,
    migrate,
)
from trempy_provider.postgres.metadata_places import metadata_session, read_schema_id
from trempy_provider.postgres.origins import drop_origins
from trempy_provider.postgres.publication import drop_publication
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.setup_lock import setup_lock
from trempy_provider.postgres.slot import drop_slot
from trempy_provider.postgres.table_states import read_table_states
from trempy_provider.postgres.tables import QualifiedName


@dataclass(frozen=True, slots=True)
class TeardownReport:
    """What was there and is gone."""

    slot_dropped: bool
    publication_dropped: bool
    task_deleted: bool
    metadata_dropped: bool  # no other task was left in the target

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "slot_dropped": self.slot_dropped,
            "publication_dropped": self.publication_dropped,
            "task_deleted": self.task_deleted,
            "metadata_dropped": self.metadata_dropped,
        }


def teardown(
    task: ReplicationTask, *, source: Endpoint, target: Endpoint, broker: Broker | None = None
) -> TeardownReport:
    """Remove slot, publication, queues, exchanges, load tables and the task's metadata.

    A capture of this task that still reads the slot is disconnected; raise SlotInUseError when somebody else
    reads it.
    Target tables, their schemas and types stay.
    A task that has left its metadata database by changed settings is removed from the target alone.
    """
    with (
        source.connect("teardown") as source_session,
        target.connect("teardown") as target_session,
        metadata_session(target, target_session, "teardown") as metadata,
        setup_lock(target_session, task.task_name),
    ):
        prefix = source.application_name("")
        slot_dropped = drop_slot(source_session, task.slot_name, application_prefix=prefix)
        publication_dropped = drop_publication(source_session, task.publication_name)
        if broker is not None:
            broker.delete_topology()
        drop_origins(target_session, task.task_name)
        task_deleted = _delete_all_metadata(target_session, metadata, task.task_name)
        metadata_dropped = drop_metadata(target_session)
    return TeardownReport(slot_dropped, publication_dropped, task_deleted, metadata_dropped)


def _delete_all_metadata(target: Session, metadata: Session, task_name: str) -> bool:
    """Delete the target's part first: killed in between, what is left is found by the target's schema."""
    if not _has_metadata(target):
        return False
    is_deleted = _delete_metadata(target, task_name)
    if metadata is not target and _has_metadata(metadata):
        is_deleted |= delete_task(metadata, task_name, target_id=read_schema_id(target))
        drop_metadata(metadata)
    return is_deleted


def _has_metadata(session: Session) -> bool:
    """Tell whether there is a metadata schema, which is of this version then."""
    is_there = bool(applied_migrations(session))
    if is_there:
        migrate(session)
    return is_there


def _delete_metadata(target: Session, task_name: str) -> bool:
    with target.transaction():
        for oid, state in read_table_states(target, task_name).items():
            target.execute(drop_table_sql(load_table_name(task_name, oid)))
            if state.load_table is not None:
                target.execute(drop_table_sql(QualifiedName(METADATA_SCHEMA, state.load_table)))
        return delete_task(target, task_name)

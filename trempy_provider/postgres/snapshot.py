"""The snapshot a full load reads.

For a task that captures changes it comes from a temporary logical slot: the slot's consistent point is
exactly the place in the WAL that the snapshot shows, so that capture and load meet without gap or duplicate.
See CREATE_REPLICATION_SLOT in "Streaming Replication Protocol" (55.4) and "Snapshot Synchronization
Functions" (9.27.5) in PostgreSQL's manual.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.replication_connection import ReplicationConnection, open_replication
from trempy_provider.postgres.session import Endpoint, static_sql
from trempy_provider.postgres.slot import PLUGIN, creation_blocked
from trempy_provider.postgres.translation import SourceStatementError
from trempy_provider.replication.lsn import Lsn

_TIMED_OUT = frozenset({"55P03", "57014"})  # lock_not_available, query_canceled


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An exported snapshot; changes committed before `consistent_point` are in it, later ones are not."""

    name: str
    consistent_point: Lsn


@contextmanager
def open_snapshot(source: Endpoint, task: ReplicationTask, *, job: str = "full_load") -> Iterator[Snapshot]:
    """Export a snapshot and keep it importable while the block runs.

    A reader that has run SET TRANSACTION SNAPSHOT keeps it for its own transaction.
    Raise SlotCreationBlockedError when old transactions keep the slot from being created in time.
    """
    opened = _slot_snapshot(source, task, job) if task.captures_changes else _plain_snapshot(source, job)
    with opened as snapshot:
        yield snapshot


@contextmanager
def _slot_snapshot(source: Endpoint, task: ReplicationTask, job: str) -> Iterator[Snapshot]:
    with open_replication(source, f"{job}_snapshot") as connection:
        timeout_seconds = task.cdc.slot_creation_timeout_seconds
        try:
            snapshot = _create_temporary_slot(connection, timeout_seconds)
        except SourceStatementError as error:
            if error.sqlstate not in _TIMED_OUT:
                raise
            with source.connect(job) as session:
                raise creation_blocked(session, timeout_seconds) from error
        yield snapshot


@contextmanager
def _plain_snapshot(source: Endpoint, job: str) -> Iterator[Snapshot]:
    """Export the snapshot of a transaction: this asks for no right to replicate."""
    with (
        source.connect(f"{job}_snapshot") as session,
        session.transaction(isolation="repeatable read", read_only=True),
    ):
        row = session.fetch_one(static_sql("export_snapshot"))
        assert row is not None
        yield Snapshot(row[0], Lsn.parse(row[1]))


def _create_temporary_slot(connection: ReplicationConnection, timeout_seconds: float) -> Snapshot:
    # A walsender does not heed statement_timeout; lock_timeout counts for each transaction waited for.
    connection.command(f"set lock_timeout = {round(timeout_seconds * 1000)}")
    name = f"trempy_load_{secrets.token_hex(4)}"
    row = connection.command(
        f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL {PLUGIN} (SNAPSHOT 'export')"
    )[0]
    snapshot_name, consistent_point = row["snapshot_name"], row["consistent_point"]
    assert snapshot_name is not None
    assert consistent_point is not None
    return Snapshot(snapshot_name, Lsn.parse(consistent_point))

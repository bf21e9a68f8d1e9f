"""Whether a slot still holds every change that its task has not captured: a gap is refused, never skipped."""

from __future__ import annotations

from trempy_provider.errors import SlotLostError, WrongSystemError
from trempy_provider.postgres.metadata import TaskRow
from trempy_provider.postgres.slot import PLUGIN, SlotStatus, SourceIdentity
from trempy_provider.replication.lsn import NO_LSN, Lsn


def verify_identity(row: TaskRow, identity: SourceIdentity) -> None:
    """Raise WrongSystemError unless the source is the cluster and database the task was set up with."""
    if identity.system_identifier != row.system_identifier:
        raise WrongSystemError(
            f"the source's system identifier is {identity.system_identifier}, but task {row.task_name} was "
            f"set up with {row.system_identifier}"
        )
    if identity.database != row.source_database:
        raise WrongSystemError(
            f"the source's database is {identity.database}, but task {row.task_name} was set up with "
            f"{row.source_database}"
        )


def verify_position(row: TaskRow, *, captured_lsn: Lsn, wal_lsn: Lsn) -> None:
    """Raise WrongSystemError when the source's WAL ends before what was captured from it."""
    if wal_lsn < captured_lsn:
        raise WrongSystemError(
            f"the source's WAL ends at {wal_lsn}, but task {row.task_name} has captured up to "
            f"{captured_lsn}: the source was restored from an older copy"
        )


def verify_slot(row: TaskRow, status: SlotStatus, *, captured_lsn: Lsn, timeline: int) -> None:
    """Raise SlotLostError when changes after `captured_lsn` may be missing from the slot.

    A slot ahead of what was captured was advanced or created anew by somebody else.
    """
    name = row.slot_name
    if not status.exists:
        raise SlotLostError(f"the source has no replication slot {name}: {_why_missing(row, timeline)}")
    if status.slot_type != "logical" or status.plugin != PLUGIN:
        raise SlotLostError(f"slot {name} is {status.slot_type} with plugin {status.plugin}, not {PLUGIN}")
    if status.database != row.source_database:
        raise SlotLostError(f"slot {name} is of database {status.database}, not {row.source_database}")
    if status.is_invalidated:
        reason = status.invalidation_reason or ("conflict" if status.is_conflicting else "WAL was removed")
        raise SlotLostError(f"slot {name} is invalidated (wal_status={status.wal_status}, {reason})")
    if (status.confirmed_flush_lsn or NO_LSN) > captured_lsn:
        raise SlotLostError(
            f"slot {name} is confirmed up to {status.confirmed_flush_lsn}, but this task has captured up to "
            f"{captured_lsn} only: the slot was advanced or created again by somebody else"
        )


def _why_missing(row: TaskRow, timeline: int) -> str:
    if timeline == row.timeline:
        return "it was dropped"
    return f"a standby was promoted (timeline {row.timeline} became {timeline}) that did not have it"

"""Where capture starts: the slot's position, after making sure that nothing is missing before it."""

from __future__ import annotations

from dataclasses import dataclass

from trempy_provider.errors import MetadataError
from trempy_provider.postgres.checkpoints import read_capture_progress
from trempy_provider.postgres.metadata import read_task
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.slot import read_identity, read_slot, verify_slot
from trempy_provider.replication.lsn import NO_LSN, Lsn


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """The slot's position, and the end of the last batch published before it."""

    previous_lsn: Lsn
    confirmed_lsn: Lsn
    reader_pid: int | None


def find_starting_point(
    task_name: str, slot_name: str, *, source: Endpoint, target: Session
) -> StartingPoint:
    """Return where the slot stands.

    The slot is read before the progress: what is recorded first can only be further.
    Raise SlotLostError or WrongSystemError when the slot is not the task's own or not complete.
    """
    row = read_task(target, task_name)
    if row is None or row.slot_name is None or row.consistent_point is None:
        raise MetadataError(f"task {task_name} has not been set up to follow changes")
    with source.connect("capture") as session:
        status, identity = read_slot(session, slot_name), read_identity(session)
    progress = read_capture_progress(target, task_name)
    known_lsn = max(progress.published_lsn, progress.seen_lsn) if progress.idle else progress.published_lsn
    verify_slot(row, status, identity, captured_lsn=known_lsn)
    confirmed_lsn = status.confirmed_flush_lsn or NO_LSN
    return StartingPoint(
        previous_lsn=min(confirmed_lsn, progress.published_lsn),
        confirmed_lsn=confirmed_lsn,
        reader_pid=status.active_pid,
    )

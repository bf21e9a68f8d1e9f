"""Where capture starts: the slot's position, after making sure that nothing is missing before it."""

from __future__ import annotations

from dataclasses import dataclass

from trempy_provider.errors import MetadataError
from trempy_provider.postgres.checkpoints import CaptureProgress, read_capture_progress
from trempy_provider.postgres.metadata import TaskRow, follow_timeline, read_task
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.slot import SlotStatus, read_identity, read_slot, read_wal_position
from trempy_provider.postgres.slot_checks import verify_identity, verify_position, verify_slot
from trempy_provider.postgres.timelines import read_timeline_ends, verify_timeline
from trempy_provider.replication.batches import PublishedCommit
from trempy_provider.replication.changes import microseconds_of
from trempy_provider.replication.lsn import NO_LSN, Lsn


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """The slot's position, and the end of the last batch published before it.

    `begins_at` is where the task began: a slot that its server has set back after a crash may be before it.
    `awaited` is the last transaction published, if it has to come again; None if the slot is behind it.
    """

    begins_at: Lsn

    previous_lsn: Lsn
    confirmed_lsn: Lsn
    awaited: PublishedCommit | None
    reader_pid: int | None


def find_starting_point(
    task_name: str, slot_name: str, *, source: Endpoint, metadata: Session
) -> StartingPoint:
    """Return where the slot stands.

    Raise SlotLostError or WrongSystemError when the slot is not the task's own or not complete.
    """
    row = read_task(metadata, task_name)
    if row is None or row.slot_name is None or row.consistent_point is None:
        raise MetadataError(f"task {task_name} has not been set up to follow changes")
    status, progress, timeline = verify_source(row, slot_name, source=source, metadata=metadata)
    if timeline != row.timeline:
        follow_timeline(metadata, task_name, timeline)
    confirmed_lsn = max(status.confirmed_flush_lsn or NO_LSN, row.consistent_point)
    published_lsn = progress.published_lsn
    return StartingPoint(
        begins_at=row.consistent_point,
        previous_lsn=min(confirmed_lsn, published_lsn),
        confirmed_lsn=confirmed_lsn,
        awaited=_published_commit(progress) if confirmed_lsn < published_lsn else None,
        reader_pid=status.active_pid,
    )


def _published_commit(progress: CaptureProgress) -> PublishedCommit:
    moment = progress.published_commit_at
    return PublishedCommit(progress.published_lsn, None if moment is None else microseconds_of(moment))


def verify_source(
    row: TaskRow, slot_name: str, *, source: Endpoint, metadata: Session
) -> tuple[SlotStatus, CaptureProgress, int]:
    """Return slot, progress and the source's timeline after making sure that no change is missing.

    The slot is read before the progress, and the WAL's end after it: what comes later can only be further.
    """
    with source.connect("capture") as session:
        status = read_slot(session, slot_name)
        progress = read_capture_progress(metadata, row.task_name)
        identity, wal_lsn = read_identity(session), read_wal_position(session)
    captured_lsn = max(progress.published_lsn, progress.seen_lsn) if progress.idle else progress.published_lsn
    verify_identity(row, identity)
    if identity.timeline != row.timeline:
        verify_timeline(
            row.task_name,
            known=row.timeline,
            present=identity.timeline,
            ends=read_timeline_ends(source, identity.timeline),
            captured_lsn=captured_lsn,
        )
    verify_position(row, captured_lsn=captured_lsn, wal_lsn=wal_lsn)
    verify_slot(row, status, captured_lsn=captured_lsn, timeline=identity.timeline)
    return status, progress, identity.timeline

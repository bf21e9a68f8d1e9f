"""How far a task is: the checkpoint of apply, in the target, and the progress of capture, in the metadata.

Where apply works in several lanes, each has a checkpoint of its own, which a session of that lane sees; the
task's tells what all of them have applied (`lanes.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trempy_provider.errors import MetadataError
from trempy_provider.postgres.metadata import schema_required
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.replication.lsn import Lsn


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything committed on the source before `end_lsn` is applied."""

    end_lsn: Lsn
    commit_lsn: Lsn | None
    skip_lsn: Lsn | None  # commit LSN of the transaction to leave out
    committed_at: datetime | None
    applied_at: datetime | None
    transaction_count: int
    change_count: int
    states_version: int
    capture_session: int  # the last start of capture whose batches are applied
    passed_over_count: int  # dead letters that may still be replayed


@dataclass(frozen=True, slots=True)
class CaptureProgress:
    """Everything committed before `seen_lsn` is in batches that end at or before `published_lsn`.

    While `idle`, nothing has been published since `published_lsn`, and the slot may be ahead of it.
    """

    published_lsn: Lsn
    idle: bool
    seen_lsn: Lsn
    seen_at: datetime
    batch_count: int
    change_count: int
    published_bytes: int
    published_commit_at: datetime | None


def start_progress(session: Session, task_name: str, start: Lsn, *, captures_changes: bool) -> None:
    """Set the task's checkpoint, and capture progress if it captures, to `start`, with all counts at zero."""
    start_checkpoint(session, task_name, start)
    if captures_changes:
        former = read_checkpoint(session, task_name).capture_session
        start_capture_progress(session, task_name, start, session_number=former)


def start_checkpoint(session: Session, task_name: str, start: Lsn) -> None:
    """Set the task's checkpoint to `start`, with all counts at zero.

    Changes held back, apply errors and dead letters of the time before are forgotten.
    Takes the checkpoint's row lock first, like everybody who changes the task's tables.
    """
    parameters = {"task_name": task_name, "start": str(start)}
    with schema_required():
        session.execute(static_sql("lock_checkpoint"), parameters)
        session.execute(static_sql("start_checkpoint"), parameters)
        session.execute(static_sql("forget_changes"), parameters)


def start_capture_progress(session: Session, task_name: str, start: Lsn, *, session_number: int) -> None:
    """Set the capture progress to `start`; later starts of capture have numbers above `session_number`.

    Without the last one that the target has seen, it would take the new batches for old ones, in a database
    that has had no capture of the task before.
    """
    parameters = {"task_name": task_name, "start": str(start), "session_number": session_number}
    with schema_required():
        session.execute(static_sql("start_capture_progress"), parameters)


def read_checkpoint(session: Session, task_name: str) -> Checkpoint:
    """Return a task's checkpoint; raise MetadataError when it has not been set up."""
    return _checkpoint(session, "read_checkpoint" if session.lane is None else "read_lane", task_name)


def lock_checkpoint(session: Session, task_name: str) -> Checkpoint:
    """Lock and return a task's checkpoint until the transaction ends.

    Whoever changes the task's target tables holds this lock, so that two can never do so at once.
    A lane locks its own only; all others lock those of all lanes.
    """
    return _checkpoint(session, "lock_checkpoint" if session.lane is None else "lock_lane", task_name)


def raise_states_version(session: Session, task_name: str) -> None:
    """Tell apply that table states change; locks the checkpoint first, like everybody who changes tables.

    A lane tells only itself: no other one writes to its tables.
    """
    parameters = {"task_name": task_name, "lane": session.lane}
    with schema_required():
        if session.lane is None:
            session.execute(static_sql("lock_checkpoint"), parameters)
            session.execute(static_sql("raise_states_version"), parameters)
        session.execute(static_sql("raise_lanes_version"), parameters)


def advance_checkpoint(
    session: Session,
    task_name: str,
    *,
    end_lsn: Lsn,
    commit_lsn: Lsn,
    committed_at: datetime,
    transaction_count: int,
    change_count: int,
) -> None:
    """Record what the open transaction applies; call it in that transaction."""
    session.execute(
        static_sql("advance_checkpoint" if session.lane is None else "advance_lane"),
        {
            "task_name": task_name,
            "lane": session.lane,
            "end_lsn": str(end_lsn),
            "commit_lsn": str(commit_lsn),
            "committed_at": committed_at,
            "transaction_count": transaction_count,
            "change_count": change_count,
        },
    )


def read_capture_progress(session: Session, task_name: str) -> CaptureProgress:
    """Return what capture has published; raise MetadataError when the task has not been set up."""
    return _capture_progress(_row(session, "read_capture_progress", task_name))


def begin_capture_session(session: Session, task_name: str) -> int:
    """Count a start of capture and return its number; call it while holding the slot's stream."""
    with schema_required():
        return int(session.fetch_value(static_sql("begin_capture_session"), {"task_name": task_name}))


def advance_capture_progress(
    session: Session,
    task_name: str,
    *,
    published_lsn: Lsn,
    idle: bool,
    seen_lsn: Lsn,
    published_commit_at: datetime | None = None,
    batch_count: int = 0,
    change_count: int = 0,
    published_bytes: int = 0,
) -> None:
    """Record what has been published; the counts are added.

    Call it before the slot is confirmed: the slot is never ahead of what this row tells.
    """
    session.execute(
        static_sql("advance_capture_progress"),
        {
            "task_name": task_name,
            "published_lsn": str(published_lsn),
            "idle": idle,
            "seen_lsn": str(seen_lsn),
            "published_commit_at": published_commit_at,
            "batch_count": batch_count,
            "change_count": change_count,
            "published_bytes": published_bytes,
        },
    )


def is_caught_up(target: Session, metadata: Session, task_name: str, *, lsn: Lsn) -> bool:
    """Tell whether everything committed on the source before `lsn` is applied."""
    return _compare(target, metadata, "is_caught_up", {"task_name": task_name, "lsn": str(lsn)})


def is_applied_until(target: Session, metadata: Session, task_name: str, committed_at: datetime) -> bool:
    """Tell whether everything committed on the source before a time is applied."""
    parameters = {"task_name": task_name, "committed_at": committed_at}
    return _compare(target, metadata, "is_applied_until", parameters)


def _compare(target: Session, metadata: Session, query: str, parameters: dict[str, Any]) -> bool:
    """Ask about the checkpoint, after the progress was read: what is applied can only be further by then."""
    with schema_required():
        row = metadata.fetch_one(static_sql("read_capture_progress"), {"task_name": parameters["task_name"]})
        if row is None:
            return False
        progress = _capture_progress(row)
        facts = {
            "published_lsn": str(progress.published_lsn),
            "idle": progress.idle,
            "seen_lsn": str(progress.seen_lsn),
            "seen_at": progress.seen_at,
        }
        return bool(target.fetch_value(static_sql(query), {**parameters, **facts}))


def _checkpoint(session: Session, query: str, task_name: str) -> Checkpoint:
    end_lsn, commit_lsn, skip_lsn, *facts = _row(session, query, task_name)
    return Checkpoint(Lsn.parse(end_lsn), _lsn(commit_lsn), _lsn(skip_lsn), *facts)


def _capture_progress(row: tuple[Any, ...]) -> CaptureProgress:
    return CaptureProgress(Lsn.parse(row[0]), row[1], Lsn.parse(row[2]), *row[3:])


def _lsn(text: str | None) -> Lsn | None:
    return None if text is None else Lsn.parse(text)


def _row(session: Session, query: str, task_name: str) -> tuple[Any, ...]:
    with schema_required():
        row = session.fetch_one(static_sql(query), {"task_name": task_name, "lane": session.lane})
    if row is None:
        raise MetadataError(f"task {task_name} has not been set up to follow changes")
    return row

"""Whether the target has caught up with the source."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from trempy_provider.postgres import checkpoints
from trempy_provider.postgres.metadata_places import metadata_session, verify_places
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.replication.lsn import Lsn

_FLUSH_SECONDS = 1.0
_POLL_SECONDS = 0.02


def current_position(source: Endpoint) -> Lsn:
    """Return an LSN before which everything committed on the source so far lies.

    Transactions that committed asynchronously are waited for until they are flushed.
    """
    with source.connect("position") as session:
        inserted, flushed = _positions(session)
        deadline = time.monotonic() + _FLUSH_SECONDS
        while flushed < inserted and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            _, flushed = _positions(session)
        return flushed


def current_time(source: Endpoint) -> datetime:
    """Return the source's clock."""
    with source.connect("position") as session:
        moment: datetime = session.fetch_value("select clock_timestamp()")
        return moment


def is_caught_up(
    target: Endpoint,
    task_name: str,
    *,
    lsn: Lsn | None = None,
    committed_at: datetime | None = None,
) -> bool:
    """Tell whether everything committed before `lsn`, or before a commit time, is applied."""
    with (
        target.connect("caught_up") as session,
        metadata_session(target, session, "caught_up") as metadata,
    ):
        verify_places(session, metadata, task_name)
        if lsn is not None and not checkpoints.is_caught_up(session, metadata, task_name, lsn=lsn):
            return False
        if committed_at is None:
            return True
        return checkpoints.is_applied_until(session, metadata, task_name, committed_at)


def is_lag_below(source: Endpoint, target: Endpoint, task_name: str, *, seconds: float) -> bool:
    """Tell whether everything is applied that is older than so many seconds, by the source's clock.

    A source without a change for longer than that has no lag: everything before its position is applied.
    """
    position, now = current_position(source), current_time(source)
    if is_caught_up(target, task_name, lsn=position):
        return True
    return is_caught_up(target, task_name, committed_at=now - timedelta(seconds=seconds))


def _positions(session: Session) -> tuple[Lsn, Lsn]:
    row = session.fetch_one(static_sql("wal_positions"))
    assert row is not None
    return Lsn.parse(row[0]), Lsn.parse(row[1])

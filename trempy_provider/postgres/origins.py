"""Replication origins: the mark on what a task writes, by which the other direction leaves it alone.

A transaction of a session that is set up with an origin carries it in its WAL records, and pgoutput can leave
such transactions out.
Only one session at a time can be set up with an origin, so apply has one; what is written beside it, one
transaction after the other (the last steps of loads, dead letters replayed), has another.
See "Replication Progress Tracking" in PostgreSQL's manual (chapter 50).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import JobInProgressError, TargetError
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.translation import TargetStatementError

FUNCTIONS = (
    "pg_replication_origin_create(text)",
    "pg_replication_origin_drop(text)",
    "pg_replication_origin_session_setup(text)",
    "pg_replication_origin_session_reset()",
)
_IN_USE = "55006"
_NO_ROOM = "53400"
_PAUSE_SECONDS = 0.1
_WAIT_SECONDS = 600.0  # a table's rows are put in place


def apply_origin(session: Session, task_name: str) -> str:
    """Return the origin of what a task applies; origins are the cluster's, so it names the database too."""
    return f"trempy_{session.fetch_value(static_sql('database_oid'))}_{task_name}"


def load_origin(session: Session, task_name: str) -> str:
    """Return the origin of what a task writes beside apply: rows that loads put in place, dead letters."""
    return f"{apply_origin(session, task_name)}_load"


def set_up_origin(session: Session, name: str, *, wait_seconds: float = 0.0) -> None:
    """Mark everything the session writes from now on; raise JobInProgressError while another session does."""
    session.execute(static_sql("ensure_origin"), {"name": name})
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            session.execute(static_sql("set_up_origin"), {"name": name})
        except TargetStatementError as error:
            if error.sqlstate == _IN_USE and time.monotonic() < deadline:
                time.sleep(_PAUSE_SECONDS)
                continue
            raise _translated(error, name) from error
        return


@contextmanager
def marked_if_local_only(session: Session, task: ReplicationTask) -> Iterator[None]:
    """Mark what the session writes in the block beside apply, if the task's other direction must not get it.

    Whoever else of the task is in such a block is waited for.
    """
    if not task.captures_local_only:
        yield
        return
    set_up_origin(session, load_origin(session, task.task_name), wait_seconds=_WAIT_SECONDS)
    try:
        yield
    finally:
        if not session.closed:
            session.execute(static_sql("reset_origin"))


def origin_owners(session: Session) -> dict[str, str]:
    """Return the origins that tasks have in this database, each with its task's name.

    A task may be called like another one's second origin: then the first one tells.
    """
    prefix = apply_origin(session, "")
    rows = session.fetch_all(static_sql("our_origins"), {"prefix": prefix})
    names = {name.removeprefix(prefix) for (name,) in rows}
    return {prefix + name: name if f"{name}_load" in names else name.removesuffix("_load") for name in names}


def drop_origins(session: Session, task_name: str) -> None:
    """Drop the task's origins, if it has any."""
    names = [apply_origin(session, task_name), load_origin(session, task_name)]
    for (name,) in session.fetch_all(static_sql("read_origins"), {"names": names}):
        session.execute(static_sql("drop_origin"), {"name": name})


def functions_not_allowed(session: Session) -> list[str]:
    """Return the functions that the role would need to mark what it writes, and may not call."""
    rows = session.fetch_all(static_sql("may_not_execute"), {"functions": list(FUNCTIONS)})
    return [function for (function,) in rows]


def _translated(error: TargetStatementError, name: str) -> TargetError:
    if error.sqlstate == _IN_USE:
        return JobInProgressError(f"replication origin {name} is used by another session: {error}")
    if error.sqlstate == _NO_ROOM:
        error.hint = (
            "origin none takes two replication origins: raise max_replication_slots on the target "
            "(max_active_replication_origins from PostgreSQL 18 on), and restart it."
        )
    return error

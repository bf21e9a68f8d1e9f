"""The replication slot of a task: created once, watched for gaps, dropped at the end.

Creating a logical slot waits until every transaction that was open in the cluster has ended (see
"Logical Decoding Concepts" in PostgreSQL's manual, 49.2); the wait has a timeout, and its error names who is
in the way.
A slot whose creation fails leaves nothing behind: PostgreSQL keeps it ephemeral until it is consistent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trempy_provider.errors import (
    SlotCreationBlockedError,
    SlotError,
    SlotInUseError,
)
from trempy_provider.postgres.replication_connection import open_replication
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.translation import SourceStatementError
from trempy_provider.replication.lsn import Lsn

PLUGIN = "pgoutput"
_TIMED_OUT = frozenset({"55P03", "57014"})  # lock_not_available, query_canceled
_DUPLICATE_OBJECT = "42710"
_POLL_SECONDS = 0.1
_LISTED_TRANSACTIONS = 5


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Which server, timeline and database a session is connected to."""

    system_identifier: str
    timeline: int
    database: str


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """A slot as the source shows it; only `exists` means something when it is False."""

    exists: bool
    slot_type: str | None = None
    plugin: str | None = None
    database: str | None = None
    active: bool = False
    active_pid: int | None = None
    active_application: str | None = None
    confirmed_flush_lsn: Lsn | None = None
    restart_lsn: Lsn | None = None
    wal_status: str | None = None
    invalidation_reason: str | None = None  # PostgreSQL 17 and newer
    is_conflicting: bool = False  # PostgreSQL 16 and newer
    retained_bytes: int | None = None
    is_synchronized: bool = False  # to standbys; PostgreSQL 17 and newer

    @property
    def is_invalidated(self) -> bool:
        """Tell whether the source has given up the WAL the slot needs."""
        return self.wal_status == "lost" or self.invalidation_reason is not None or self.is_conflicting


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that holds a transaction id: what slot creation waits for."""

    pid: int | None
    xid: str
    database: str | None
    application_name: str | None
    state: str | None
    age_seconds: int | None
    first_words: str | None
    prepared_as: str | None

    def __str__(self) -> str:
        if self.prepared_as is not None:
            return f"xid {self.xid}, prepared transaction {self.prepared_as!r}, {self._age}"
        words = f", {self.first_words!r}" if self.first_words else ""
        return f"pid {self.pid}, xid {self.xid}, {self._age}, {self._state}{words}"

    @property
    def _age(self) -> str:
        return "age not visible" if self.age_seconds is None else f"open for {self.age_seconds} s"

    @property
    def _state(self) -> str:
        return f"{self.state or 'state not visible'}, application {self.application_name or 'not named'}"


def read_identity(session: Session) -> SourceIdentity:
    """Identify the server and database of a session."""
    row = session.fetch_one(static_sql("source_identity"))
    assert row is not None
    return SourceIdentity(*row)


def read_wal_position(session: Session) -> Lsn:
    """Return where the WAL of the source is now."""
    return Lsn.parse(session.fetch_value(static_sql("wal_position")))


def read_slot(session: Session, name: str) -> SlotStatus:
    """Return the slot as the source shows it."""
    row = session.fetch_one(static_sql("read_slot"), {"name": name})
    if row is None:
        return SlotStatus(exists=False)
    slot_type, plugin, database, active, pid, application, confirmed, restart, *rest = row
    return SlotStatus(
        True, slot_type, plugin, database, active, pid, application, _lsn(confirmed), _lsn(restart), *rest
    )


def create_slot(session: Session, name: str, *, timeout_seconds: float, failover: bool = False) -> Lsn:
    """Create the slot and return its consistent point; with `failover`, standbys synchronize it.

    Raise SlotCreationBlockedError when transactions stay open longer than the timeout, SlotError when a slot
    of this name exists.
    """
    try:
        with _creation_timeout(session, timeout_seconds), session.transaction():
            session.fetch_all(
                static_sql("set_local_timeouts"),
                {"statement_timeout": str(round(timeout_seconds * 1000)), "lock_timeout": "0"},
            )
            query = static_sql("create_failover_slot" if failover else "create_slot")
            return Lsn.parse(session.fetch_value(query, {"name": name}))
    except SourceStatementError as error:
        if error.sqlstate != _DUPLICATE_OBJECT:
            raise
        raise SlotError(f"the source has a replication slot {name} already") from error


def synchronize_slot(source: Endpoint, name: str, *, is_synchronized: bool) -> None:
    """Let standbys synchronize the slot, or no more; raise SlotInUseError while it is read."""
    with open_replication(source, "setup") as connection:
        connection.command(f'ALTER_REPLICATION_SLOT "{name}" (FAILOVER {str(is_synchronized).lower()})')


def drop_slot(session: Session, name: str, *, application_prefix: str, wait_seconds: float = 15.0) -> bool:
    """Drop the slot; return whether there was one.

    A reader whose application name starts with `application_prefix` is asked to end and waited for; raise
    SlotInUseError when another one holds the slot.
    """
    deadline = time.monotonic() + wait_seconds
    parameters = {"name": name, "application": application_prefix}
    while True:
        try:
            return session.execute(static_sql("drop_slot"), {"name": name}) > 0
        except SlotInUseError:
            if time.monotonic() > deadline:
                raise
        session.fetch_all(static_sql("terminate_walsender"), parameters)
        time.sleep(_POLL_SECONDS)


def open_transactions(session: Session) -> list[OpenTransaction]:
    """List the transactions that slot creation would wait for, oldest first."""
    return [OpenTransaction(*row) for row in session.fetch_all(static_sql("open_transactions"))]


def creation_blocked(session: Session, timeout_seconds: float) -> SlotCreationBlockedError:
    """Return the error that names who kept a slot from being created."""
    found = open_transactions(session)
    listed = "; ".join(map(str, found[:_LISTED_TRANSACTIONS])) or "none is open any more: try again"
    more = f"; and {len(found) - _LISTED_TRANSACTIONS} more" if len(found) > _LISTED_TRANSACTIONS else ""
    return SlotCreationBlockedError(
        f"a replication slot could not be created within {timeout_seconds:g} s, because it waits for every "
        f"transaction open in the cluster: {listed}{more}"
    )


@contextmanager
def _creation_timeout(session: Session, timeout_seconds: float) -> Iterator[None]:
    try:
        yield
    except SourceStatementError as error:
        if error.sqlstate in _TIMED_OUT:
            raise creation_blocked(session, timeout_seconds) from error
        raise


def _lsn(text: Any) -> Lsn | None:
    return None if text is None else Lsn.parse(text)

"""Look whether a slot holds changes of a publication, without consuming any.

The server decodes the slot's WAL for us as for any reader, but is never told that something was received:
the slot stays where its consumer has left it.
A look holds the slot only while it lasts, begins behind what an earlier look has covered, and ends at the
first change, or where the WAL ended when the look began.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from trempy_provider.errors import ConfigurationError, SlotError, SlotInUseError, SlotLostError
from trempy_provider.postgres.publication import read_publication
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.slot import PLUGIN, SlotStatus, read_identity, read_slot, read_wal_position
from trempy_provider.postgres.stream import ChangeStream, Keepalive, open_stream
from trempy_provider.replication.changes import datetime_of
from trempy_provider.replication.lsn import NO_LSN, Lsn
from trempy_provider.replication.messages import Begin
from trempy_provider.replication.pgoutput import decode

JOB = "look"
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
IN_USE_HINT = "Nothing is wrong where its consumer is at work: the next look comes when it has ended."
RECREATE_HINT = "Drop the slot and create it again, after the publication; what it held is lost."


@dataclass(frozen=True, slots=True)
class SeenPosition:
    """How far the WAL of a server has been looked at."""

    system_identifier: str
    lsn: Lsn


@dataclass(frozen=True, slots=True)
class FoundChanges:
    """The first transaction with changes; more may follow, up to what the look has covered."""

    first_commit_lsn: Lsn
    first_commit_at: datetime


class SlotLook:
    """One look at a slot; call `step` until it returns True, any thread may."""

    def __init__(self, stream: ChangeStream, *, covered: SeenPosition) -> None:
        self.covered = covered
        self.found: FoundChanges | None = None
        self._stream = stream
        self._lock = threading.Lock()
        self._asked_at = time.monotonic()
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def fileno(self) -> int:
        """Return the socket's file descriptor, for event loops."""
        return self._stream.fileno()

    def step(self) -> bool:
        """Read what the socket holds, without waiting; return whether the look is over.

        Then `found` tells the first change, None when there was none.
        """
        with self._lock, _explaining():
            self._stream.consume_input()
            position = NO_LSN
            while taken := self._stream.take():
                for frame in taken:
                    if not isinstance(frame, Keepalive):
                        self.found = _found(frame)
                        return True
                    position = max(position, frame.position)
            self._stream.raise_if_silent()
            self._ask_for_position()
            return position >= self.covered.lsn

    def close(self) -> None:
        """Let the slot go, where it was."""
        with self._lock:
            self._stream.close()

    def _ask_for_position(self) -> None:
        if time.monotonic() - self._asked_at >= self._pause_seconds:
            self._asked_at = time.monotonic()
            self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
            self._stream.request_keepalive()


def open_slot_look(
    source: Endpoint, *, slot_name: str, publication_name: str, after: SeenPosition | None
) -> SlotLook | None:
    """Begin a look behind `after`, or where the slot stands; return None when no WAL was written since.

    A position of another server, or beyond this server's WAL, is not used.
    Raise SlotInUseError while a consumer reads the slot, SlotError when it or the publication cannot be used.
    """
    with source.connect(JOB) as session:
        identity, wal_lsn = read_identity(session), read_wal_position(session)
        status = read_slot(session, slot_name)
        publication = read_publication(session, publication_name)
    _verify_slot(slot_name, status, database=identity.database)
    if publication is None:
        raise ConfigurationError(
            f"database {identity.database!r} has no publication {publication_name!r}",
            hint="Create it before the slot; a slot cannot decode what was written before its publication.",
        )
    seen_lsn = _usable(after, system_identifier=identity.system_identifier, wal_lsn=wal_lsn)
    if wal_lsn <= max(seen_lsn, status.confirmed_flush_lsn or NO_LSN):
        return None
    with _explaining():
        stream = open_stream(
            source, job=JOB, slot_name=slot_name, publication_name=publication_name, begins_at=seen_lsn
        )
    return SlotLook(stream, covered=SeenPosition(identity.system_identifier, wal_lsn))


@contextmanager
def _explaining() -> Iterator[None]:
    """Give the hints of a look, not those of a capture, whose slot is its own."""
    try:
        yield
    except SlotInUseError as error:
        raise SlotInUseError(str(error), hint=IN_USE_HINT) from error
    except SlotLostError as error:
        raise SlotError(str(error), hint=RECREATE_HINT) from error


def _verify_slot(name: str, status: SlotStatus, *, database: str) -> None:
    if not status.exists:
        raise SlotError(
            f"the server has no replication slot {name!r}",
            hint=f"select pg_create_logical_replication_slot('<slot>', '{PLUGIN}');",
        )
    if status.slot_type != "logical" or status.plugin != PLUGIN:
        raise SlotError(
            f"slot {name!r} is {status.slot_type} with plugin {status.plugin}; "
            f"expected a logical slot with plugin {PLUGIN}",
            hint="Name another slot, or create one for this trigger.",
        )
    if status.database != database:
        raise SlotError(
            f"slot {name!r} is of database {status.database!r}, the connection is to {database!r}",
            hint="Correct the connection's database.",
        )
    if status.is_invalidated:
        reason = status.invalidation_reason or ("conflict" if status.is_conflicting else "WAL was removed")
        raise SlotError(f"slot {name!r} is invalidated ({reason})", hint=RECREATE_HINT)
    if status.active:
        reader = status.active_application or f"pid {status.active_pid}"
        raise SlotInUseError(f"slot {name!r} is being read by {reader!r}", hint=IN_USE_HINT)


def _usable(after: SeenPosition | None, *, system_identifier: str, wal_lsn: Lsn) -> Lsn:
    if after is None or after.system_identifier != system_identifier or after.lsn > wal_lsn:
        return NO_LSN
    return after.lsn


def _found(payload: bytes) -> FoundChanges:
    message = decode(payload)
    assert isinstance(message, Begin), "a slot's stream begins with a transaction"
    return FoundChanges(message.commit_lsn, datetime_of(message.committed_at))

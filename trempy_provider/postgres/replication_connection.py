"""Walsender connections: the commands and the copy-both stream of the replication protocol.

They use psycopg 3's thin layer over libpq and nothing else of it.
psycopg2's replication cursor answers keepalives on its own and may move the flush position past batches
that the broker has not confirmed, when a transaction that began before the confirmed position is being
read; here not a byte of feedback leaves without our saying so.
See "Streaming Replication Protocol" in PostgreSQL's manual (55.4).
"""

from __future__ import annotations

import select
import time
from types import TracebackType

from psycopg import OperationalError, pq

from trempy_provider.errors import (
    NoFreeSlotError,
    SlotError,
    SlotInUseError,
    SlotLostError,
    SourceError,
    SourcePermissionError,
    SourceUnavailableError,
    TrempyError,
    UndecodableError,
)
from trempy_provider.postgres.session import PINNED_SETTINGS, Endpoint
from trempy_provider.postgres.translation import SourceStatementError

_STREAMING = (pq.ExecStatus.COPY_BOTH, pq.ExecStatus.COPY_OUT)
_UNMAPPED = "could not map file"  # reorderbuffer.c; internal errors are in English everywhere
_NOT_FOR_STARTUP = frozenset({"client_encoding", "lock_timeout", "row_security"})


class ReplicationConnection:
    """A connection to a walsender of the source database; not shared between threads."""

    def __init__(self, pgconn: pq.abc.PGconn, *, where: str) -> None:
        self._pgconn = pgconn
        self._where = where
        self._has_ended = False

    @property
    def backend_pid(self) -> int:
        """The process id of the walsender."""
        return self._pgconn.backend_pid

    @property
    def server_version(self) -> int:
        """The server's version as a number: 150018 for 15.18."""
        return self._pgconn.server_version

    def fileno(self) -> int:
        """Return the socket's file descriptor, for select and event loops."""
        return self._pgconn.socket

    def command(self, text: str) -> list[dict[str, str | None]]:
        """Run a replication command or simple query and return its rows as text by column name."""
        result = self._pgconn.exec_(text.encode())
        if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            raise self._error(result.error_field(pq.DiagnosticField.SQLSTATE), result.get_error_message())
        return [_row(result, number) for number in range(result.ntuples)]

    def start_streaming(self, command: str) -> None:
        """Run START_REPLICATION; afterwards only receive and send apply."""
        result = self._pgconn.exec_(command.encode())
        if result.status not in _STREAMING:
            raise self._error(result.error_field(pq.DiagnosticField.SQLSTATE), result.get_error_message())
        self._pgconn.nonblocking = 1

    def receive(self, *, at_most_bytes: int) -> list[memoryview]:
        """Return copy-both frames that have arrived in full, as many as are about so many bytes.

        Raise SourceError when the server ended the stream and every frame was returned.
        """
        frames: list[memoryview] = []
        get, size_bytes = self._pgconn.get_copy_data, 0
        while size_bytes < at_most_bytes and not self._has_ended:
            size, frame = get(1)
            if size == 0:
                break
            if size < 0:
                self._has_ended = True
                break
            frames.append(frame)
            size_bytes += size
        if self._has_ended and not frames:
            raise self._end_of_stream()
        return frames

    def read_socket(self, *, timeout_seconds: float) -> bool:
        """Wait for bytes and read them; return whether any came.

        Raise SourceUnavailableError when the connection is lost.
        """
        readable, _, _ = select.select([self._pgconn.socket], [], [], timeout_seconds)
        if readable:
            self.consume_input()
        return bool(readable)

    def consume_input(self) -> None:
        """Read what the socket holds, without waiting."""
        try:
            self._pgconn.consume_input()
        except OperationalError as error:
            raise self._lost() from error

    def send(self, frame: bytes) -> None:
        """Send a copy-both frame."""
        try:
            self._pgconn.put_copy_data(frame)
            while self._pgconn.flush():
                select.select([], [self._pgconn.socket], [], 1.0)
        except OperationalError as error:
            raise self._lost() from error

    def cancel(self) -> None:
        """Ask the server to cancel the running command; may be called from another thread."""
        self._pgconn.get_cancel().cancel()

    def close(self) -> None:
        """Close the connection; temporary slots and exported snapshots go with it."""
        self._pgconn.finish()

    def __enter__(self) -> ReplicationConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end_of_stream(self) -> TrempyError:
        result = self._pgconn.get_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            return self._error(result.error_field(pq.DiagnosticField.SQLSTATE), result.get_error_message())
        return SourceUnavailableError(f"source {self._where}: the server ended the replication stream")

    def _lost(self) -> SourceUnavailableError:
        message = self._pgconn.get_error_message().strip()
        return SourceUnavailableError(f"source {self._where}: replication connection lost: {message}")

    def _error(self, sqlstate: bytes | None, text: str) -> TrempyError:
        return _translate((sqlstate or b"").decode(), f"source {self._where}: {text.strip()}")


def open_replication(endpoint: Endpoint, job: str) -> ReplicationConnection:
    """Open a walsender connection with the pinned settings; raise SourceError subclasses."""
    parameters = endpoint.parameters()
    dsn = parameters.dsn(
        replication="database",
        application_name=endpoint.application_name(job),
        client_encoding="UTF8",
        options=_startup_options(),
    )
    pgconn = _connect(dsn)
    if pgconn.status != pq.ConnStatus.OK:
        message = pgconn.get_error_message().strip()
        pgconn.finish()
        raise _connection_error(f"source {parameters.where}: {message}")
    return ReplicationConnection(pgconn, where=parameters.where)


def _connect(dsn: str) -> pq.abc.PGconn:
    pgconn = pq.PGconn.connect_start(dsn.encode())
    deadline = time.monotonic() + 30
    while pgconn.status != pq.ConnStatus.BAD and time.monotonic() < deadline:
        state = pgconn.connect_poll()
        if state == pq.PollingStatus.READING:
            select.select([pgconn.socket], [], [], 1.0)
        elif state == pq.PollingStatus.WRITING:
            select.select([], [pgconn.socket], [], 1.0)
        else:
            break
    return pgconn


def _startup_options() -> str:
    pinned = ((name, value) for name, value in PINNED_SETTINGS.items() if name not in _NOT_FOR_STARTUP)
    return " ".join(f"-c {name}=" + value.replace(" ", "\\ ") for name, value in pinned)


def _row(result: pq.abc.PGresult, number: int) -> dict[str, str | None]:
    row: dict[str, str | None] = {}
    for position in range(result.nfields):
        value = result.get_value(number, position)
        row[(result.fname(position) or b"").decode()] = None if value is None else value.decode()
    return row


def _connection_error(message: str) -> SourceError:
    """Sort a failed connection: libpq gives no SQLSTATE here, only the server's words."""
    refused = ("authentication failed", "permission denied", "must be superuser", "no pg_hba.conf entry")
    if any(words in message for words in refused):
        return SourcePermissionError(message)
    if "max_wal_senders" in message:
        return NoFreeSlotError(message)
    return SourceUnavailableError(message)


_ERRORS_BY_SQLSTATE: dict[str, type[SourceError]] = {
    "55006": SlotInUseError,
    "53400": NoFreeSlotError,
    "42704": SlotLostError,
    "42501": SourcePermissionError,
}


def _translate(sqlstate: str, message: str) -> TrempyError:
    if sqlstate in _ERRORS_BY_SQLSTATE:
        return _ERRORS_BY_SQLSTATE[sqlstate](message)
    if sqlstate == "55000":
        return _object_state_error(message)
    if sqlstate == "XX000" and _UNMAPPED in message:
        return UndecodableError(message)
    if not sqlstate or sqlstate.startswith(("08", "57P")):
        return SourceUnavailableError(message)
    return SourceStatementError(f"{message} (SQLSTATE {sqlstate})", sqlstate=sqlstate)


def _object_state_error(message: str) -> SlotError:
    """55000 covers an invalidated slot and a server whose wal_level is too low."""
    if "wal_level" in message:
        return SlotError(message, hint="Set wal_level = logical on the source and restart it.")
    return SlotLostError(message)

"""The stream of a replication slot: the only place that sends feedback to the source.

The server moves the slot to the flush position we report, never further.
`confirm` sets it to the end of a batch that the broker has confirmed; `confirm_idle` to a position the
server has told us it has read to, while nothing is in flight.
Replies to keepalives repeat the position confirmed last.
See "Streaming Replication Protocol" (55.4) and "Logical Streaming Replication Protocol" (55.5).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from struct import Struct

from trempy_provider.errors import ProtocolError, SourceUnavailableError
from trempy_provider.postgres.replication_connection import ReplicationConnection, open_replication
from trempy_provider.postgres.session import Endpoint
from trempy_provider.replication.lsn import NO_LSN, Lsn

_XLOG_DATA = ord("w")
_KEEPALIVE = ord("k")
_XLOG_DATA_HEADER = Struct("!cQQQ")
_KEEPALIVE_FRAME = Struct("!cQQB")
_STATUS_UPDATE = Struct("!cQQQQB")
_TAKE_BYTES = 1 << 20
_POSTGRES_EPOCH_UNIX_SECONDS = 946_684_800
_FEEDBACK_INTERVAL_SECONDS = 1.0  # below any wal_sender_timeout, for the server's questions may wait unread
# A network may lose a connection without telling either end; as long as PostgreSQL's wal_receiver_timeout.
SILENCE_SECONDS = 60.0
ORIGIN_FILTER_VERSION = 16_00_00


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The server has read its WAL up to `position` and sent all it found there.

    `is_awaited`: it waits for our position, as it does before it shuts down.
    """

    position: Lsn
    is_awaited: bool = False


class ChangeStream:
    """Payloads of a slot, one thread at a time: committed transactions in order, others in segments."""

    def __init__(self, connection: ReplicationConnection, *, confirmed_lsn: Lsn) -> None:
        self._connection = connection
        self._confirmed_lsn = confirmed_lsn
        self._last_feedback_at = self._heard_at = time.monotonic()
        self._asked_at: float | None = None

    @property
    def confirmed_lsn(self) -> Lsn:
        """The position the slot may discard WAL before."""
        return self._confirmed_lsn

    @property
    def backend_pid(self) -> int:
        """The process id of the walsender."""
        return self._connection.backend_pid

    def fileno(self) -> int:
        """Return the socket's file descriptor, for event loops."""
        return self._connection.fileno()

    def take(self) -> list[bytes | Keepalive]:
        """Return payloads and keepalives already received, in order, about a mebibyte of them at most.

        Raise SourceError when the stream has ended and everything was taken.
        """
        frames = self._connection.receive(at_most_bytes=_TAKE_BYTES)
        if frames:
            self._heard_at, self._asked_at = time.monotonic(), None
        header = _XLOG_DATA_HEADER.size
        return [
            bytes(frame[header:]) if frame[0] == _XLOG_DATA else self._keepalive(frame) for frame in frames
        ]

    def read_socket(self, *, timeout_seconds: float) -> bool:
        """Wait for the server and read what it sent; keep the connection alive meanwhile.

        Raise SourceUnavailableError when it has not even answered a question for long.
        """
        self.keep_alive()
        if self._connection.read_socket(timeout_seconds=timeout_seconds):
            return True
        self.raise_if_silent()
        return False

    def keep_alive(self) -> None:
        """Tell the server in time that we are there, without reading; call it every few seconds."""
        if time.monotonic() - self._last_feedback_at >= _FEEDBACK_INTERVAL_SECONDS:
            self._send_feedback()

    def consume_input(self) -> None:
        """Read what the socket holds without waiting (after an event loop said so)."""
        self.keep_alive()
        self._connection.consume_input()

    def raise_if_silent(self) -> None:
        """Ask a server that has been silent for long; raise SourceUnavailableError when it does not answer.

        Call it when everything that has arrived was taken.
        """
        now = time.monotonic()
        if self._asked_at is None:
            if now - self._heard_at >= SILENCE_SECONDS / 2:
                self.request_keepalive()
                self._asked_at = now
        elif now - self._asked_at >= SILENCE_SECONDS / 2:
            raise SourceUnavailableError(
                f"source: the server has sent nothing for {now - self._heard_at:.0f} s"
            )

    def confirm(self, end_lsn: Lsn) -> None:
        """Let the slot forget everything before `end_lsn`, the end of a batch the broker has confirmed."""
        self._confirmed_lsn = max(self._confirmed_lsn, end_lsn)
        self._send_feedback()

    def confirm_idle(self, position: Lsn) -> None:
        """Let the slot forget WAL without changes of ours; only while nothing is in flight."""
        self.confirm(position)

    def request_keepalive(self) -> None:
        """Ask the server for a keepalive, which tells how far it has read."""
        self._send_feedback(reply_requested=True)

    def raise_if_ended(self, *, within_seconds: float) -> None:
        """Read on, without using what comes, and raise what the server has ended the stream with."""
        deadline, is_more = time.monotonic() + within_seconds, True  # it may have arrived already
        while is_more:
            while time.monotonic() < deadline and self.take():
                pass
            is_more = self.read_socket(timeout_seconds=max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """End the stream; the slot stays where it was confirmed."""
        self._connection.close()

    def _keepalive(self, frame: memoryview) -> Keepalive:
        if frame[0] != _KEEPALIVE:
            raise ProtocolError(f"unknown replication frame {bytes(frame[:1])!r}")
        _, position, _, reply_requested = _KEEPALIVE_FRAME.unpack(frame)
        if reply_requested:
            self._send_feedback()
        return Keepalive(Lsn(position), is_awaited=bool(reply_requested))

    def _send_feedback(self, *, reply_requested: bool = False) -> None:
        lsn = self._confirmed_lsn
        now = int((time.time() - _POSTGRES_EPOCH_UNIX_SECONDS) * 1_000_000)
        self._connection.send(_STATUS_UPDATE.pack(b"r", lsn, lsn, lsn, now, reply_requested))
        self._last_feedback_at = time.monotonic()


def open_stream(
    endpoint: Endpoint,
    *,
    job: str,
    slot_name: str,
    publication_name: str,
    begins_at: Lsn = NO_LSN,
    confirmed_lsn: Lsn = NO_LSN,
    in_progress: bool = False,
    local_only: bool = False,
) -> ChangeStream:
    """Start streaming the slot from where it was confirmed, with nothing that committed before `begins_at`.

    With `in_progress`, large transactions come in segments while they are in progress.
    With `local_only`, changes that the source has itself received by replication do not come, as far as the
    server can tell (PostgreSQL 16); an older one sends them whole, with their origin.
    Raise SlotInUseError while another process reads it, SlotLostError when it cannot be used any more.
    """
    connection = open_replication(endpoint, job)
    try:
        options = stream_options(
            publication_name,
            server_version=connection.server_version,
            in_progress=in_progress,
            local_only=local_only,
        )
        connection.start_streaming(_start_command(slot_name, begins_at, options))
    except BaseException:
        connection.close()
        raise
    return ChangeStream(connection, confirmed_lsn=confirmed_lsn)


def stream_options(
    publication_name: str, *, server_version: int, in_progress: bool = False, local_only: bool = False
) -> dict[str, str]:
    """Return the options of pgoutput; see "Logical Replication Parameters" (55.5.1)."""
    filters_origins = local_only and server_version >= ORIGIN_FILTER_VERSION
    # While a transaction is in progress, an older server does not know where it comes from.
    streams = in_progress and local_only <= filters_origins
    return {
        "proto_version": "2" if streams else "1",
        "publication_names": '"' + publication_name.replace('"', '""') + '"',
        **({"streaming": "on"} if streams else {}),
        **({"origin": "none"} if filters_origins else {}),
    }


def _start_command(slot_name: str, begins_at: Lsn, options: dict[str, str]) -> str:
    quoted = ", ".join(f"{name} '" + value.replace("'", "''") + "'" for name, value in options.items())
    return f'START_REPLICATION SLOT "{slot_name}" LOGICAL {begins_at} ({quoted})'

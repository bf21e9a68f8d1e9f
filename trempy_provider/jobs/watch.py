"""Watch a task's idle slot without capturing: notice the next change, and let the slot advance meanwhile.

Capture has ended, and everything it read is confirmed by the broker.
Whoever watches holds the slot's stream, so that the server decodes each piece of WAL once, and confirms
nothing but positions up to which the server found no change of the task's tables.
A change that arrives is not confirmed either: the next capture receives it again.
"""

from __future__ import annotations

import logging
import threading
import time

from trempy_provider.errors import TrempyError
from trempy_provider.jobs.starting_point import find_starting_point
from trempy_provider.postgres.checkpoints import advance_capture_progress, read_capture_progress
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.stream import ChangeStream, Keepalive, open_stream
from trempy_provider.replication.lsn import NO_LSN, Lsn

logger = logging.getLogger(__name__)
JOB = "watch"
ADVANCE_INTERVAL_SECONDS = 10.0
SHORTEST_INTERVAL_SECONDS = 0.5


class SlotWatch:
    """The stream of an idle slot; any thread may call."""

    def __init__(self, stream: ChangeStream, *, target: Endpoint, interval_seconds: float) -> None:
        self._stream = stream
        self._target = target
        self._interval_seconds = interval_seconds
        self._lock = threading.Lock()
        self._asked_at = 0.0
        self._recorded_at = 0.0

    def fileno(self) -> int:
        """Return the socket's file descriptor, for event loops."""
        return self._stream.fileno()

    def look(self) -> bool:
        """Read what the socket holds, without waiting; return whether a change has arrived.

        Call it when the socket is readable, and every few seconds otherwise.
        """
        with self._lock:
            self._stream.consume_input()
            position, is_awaited = NO_LSN, False
            while taken := self._stream.take():
                keepalives = [frame for frame in taken if isinstance(frame, Keepalive)]
                if len(keepalives) < len(taken):
                    return True
                position = max(position, *(keepalive.position for keepalive in keepalives))
                is_awaited = is_awaited or any(keepalive.is_awaited for keepalive in keepalives)
            self._stream.raise_if_silent()
            self._advance(position, at_once=is_awaited)
            self._ask_for_position()
            return False

    def close(self) -> None:
        """Let the slot go."""
        with self._lock:
            self._stream.close()

    def _ask_for_position(self) -> None:
        if time.monotonic() - self._asked_at >= self._interval_seconds:
            self._asked_at = time.monotonic()
            self._stream.request_keepalive()

    def _advance(self, position: Lsn, *, at_once: bool) -> None:
        """Record, then confirm; metadata that cannot be reached now only keeps the slot where it is.

        A server that shuts down goes when all its WAL is confirmed, so it is not kept waiting.
        """
        now = time.monotonic()
        interval_seconds = SHORTEST_INTERVAL_SECONDS if at_once else self._interval_seconds
        if position == NO_LSN or now - self._recorded_at < interval_seconds:
            return
        self._recorded_at = now
        try:
            self._record(position)
        except TrempyError as error:
            logger.warning("The idle slot is not advanced to %s now: %s", position, error)
            return
        self._stream.confirm_idle(position)

    def _record(self, position: Lsn) -> None:
        task_name = self._target.task_name
        with self._target.metadata.connect(JOB) as session:
            published_lsn = read_capture_progress(session, task_name).published_lsn
            advance_capture_progress(
                session, task_name, published_lsn=published_lsn, idle=True, seen_lsn=position
            )


def open_slot_watch(
    source: Endpoint,
    target: Endpoint,
    *,
    slot_name: str,
    publication_name: str,
    local_only: bool = False,
    interval_seconds: float = ADVANCE_INTERVAL_SECONDS,
) -> SlotWatch:
    """Start watching; raise SlotInUseError while another process reads the slot.

    A large transaction in progress is no change yet.

    Raise SlotLostError or WrongSystemError when changes are missing: to watch on would hide it.
    """
    with target.metadata.connect(JOB) as session:
        point = find_starting_point(target.task_name, slot_name, source=source, metadata=session)
        stream = open_stream(
            source,
            job=JOB,
            slot_name=slot_name,
            publication_name=publication_name,
            begins_at=point.begins_at,
            local_only=local_only,
        )
        try:  # only now is nobody else moving the slot
            find_starting_point(target.task_name, slot_name, source=source, metadata=session)
        except BaseException:
            stream.close()
            raise
    return SlotWatch(stream, target=target, interval_seconds=interval_seconds)

"""Whether a caller who waits for apply waits in vain: is there anything left to capture.

Apply has caught up with an LSN once capture has seen the WAL up to it.
While no capture runs, the slot can be asked instead: where its WAL holds no commit of the task before the
LSN, nothing is missing, and that is recorded as capture itself would record it.
"""

from __future__ import annotations

import logging
import threading

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import RetryPolicy, SlotInUseError, TrempyError
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.starting_point import find_starting_point
from trempy_provider.postgres.checkpoints import read_capture_progress
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.stream import stream_options
from trempy_provider.replication.lsn import Lsn

logger = logging.getLogger(__name__)
JOB = "uncaptured"
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


def note_nothing_uncaptured(
    task: ReplicationTask, *, source: Endpoint, target: Endpoint, lsn: Lsn
) -> bool | None:
    """Tell whether everything committed before `lsn` is captured; None while a capture runs and may tell.

    Changes nothing but how far capture has seen the WAL.
    """
    with target.metadata.connect(JOB) as metadata:
        progress = read_capture_progress(metadata, task.task_name)
        if max(progress.seen_lsn, progress.published_lsn) >= lsn:
            return True
        find_starting_point(
            task.task_name, task.slot_name, source=source, metadata=metadata
        )  # raises where changes are missing
        with source.connect(JOB) as source_session:
            holds_changes = _holds_changes(source_session, task, lsn)
        if holds_changes is False:
            _note_seen(metadata, task, seen_lsn=lsn, published_lsn=progress.published_lsn)
    return None if holds_changes is None else not holds_changes


class UncapturedWatch:
    """Look again and again, in a thread, until everything before an LSN is captured; say what is missing.

    Where changes are missing for good, `stop` is set, and the block that was watched raises why.
    """

    def __init__(
        self, task: ReplicationTask, *, source: Endpoint, target: Endpoint, lsn: Lsn, stop: StopSignal
    ) -> None:
        self._task = task
        self._source = source
        self._target = target
        self._lsn = lsn
        self._stop = stop
        self._error: TrempyError | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=JOB, daemon=True)

    def __enter__(self) -> UncapturedWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._closed.set()
        if kind is None and self._error is not None and self._stop.is_set():
            raise self._error

    def _watch(self) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._closed.is_set() and not self._stop.is_set():
            answer = self._look()
            if answer:
                return
            if answer is False:
                logger.warning(
                    "task %s: changes wait to be captured, and no capture is running; start `trempy capture`",
                    self._task.task_name,
                )
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            self._closed.wait(pause_seconds)

    def _look(self) -> bool | None:
        former, self._error = self._error, None
        try:
            return note_nothing_uncaptured(
                self._task, source=self._source, target=self._target, lsn=self._lsn
            )
        except TrempyError as error:
            self._note(error, is_repeated=former is not None)
            return None

    def _note(self, error: TrempyError, *, is_repeated: bool) -> None:
        """Believe in a loss at the second look: a capture may have moved the slot between two reads."""
        logger.debug("whether changes wait to be captured is not known now: %s", error)
        if error.policy is RetryPolicy.AFTER_FIX:
            self._error = error
            if is_repeated:
                self._stop.set("changes are missing")


def _holds_changes(source: Session, task: ReplicationTask, lsn: Lsn) -> bool | None:
    """Ask the slot, which is not moved; None while somebody reads it."""
    options = stream_options(
        task.publication_name,
        server_version=source.server_version,
        local_only=task.captures_local_only,
    )
    parameters = {
        "slot_name": task.slot_name,
        "lsn": str(lsn),
        "options": [word for option in options.items() for word in option],
    }
    try:
        return bool(source.fetch_value(static_sql("has_uncaptured_changes"), parameters))
    except SlotInUseError:
        return None


def _note_seen(metadata: Session, task: ReplicationTask, *, seen_lsn: Lsn, published_lsn: Lsn) -> None:
    parameters = {
        "task_name": task.task_name,
        "seen_lsn": str(seen_lsn),
        "published_lsn": str(published_lsn),
    }
    metadata.execute(static_sql("note_seen"), parameters)

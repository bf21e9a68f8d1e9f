"""Load, beside the two halves of a run, tables that have come to wait for it.

A table waits when it was taken up while the run goes on, or when its source has changed so that the rows on
the target are not known any more.
"""

from __future__ import annotations

import logging
import threading
import time

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import TrempyError
from trempy_provider.jobs.full_load import full_load
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.table_states import read_waiting_tables

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
_PAUSE_SECONDS = 60.0  # after a load that failed


class WaitingLoads:
    """Loads in a thread, one after the other, so that the halves can be watched meanwhile."""

    def __init__(
        self, task: ReplicationTask, *, source: Endpoint, target: Endpoint, stop: StopSignal
    ) -> None:
        self._task = task
        self._source = source
        self._target = target
        self._stop = stop
        self._thread: threading.Thread | None = None
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def start_if_due(self) -> None:
        """Start looking for tables that wait, and loading them, now and then."""
        is_running = self._thread is not None and self._thread.is_alive()
        if not self._task.loads_fully or is_running or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._thread = threading.Thread(target=self._try_to_load, name="trempy-waiting-loads", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the load that runs, then load what still waits; raise what a load raises."""
        if self._thread is not None:
            self._thread.join()
        if self._task.loads_fully and not self._stop.is_set():
            self._load()

    def _try_to_load(self) -> None:
        """Load the tables that wait; one that fails keeps the reason in its state and is tried again."""
        try:
            self._load()
        except TrempyError as error:
            self._look_at = time.monotonic() + _PAUSE_SECONDS
            logger.warning("task %s: %s", self._task.task_name, error.explanation)

    def _load(self) -> None:
        with self._target.connect("run") as session:
            names = read_waiting_tables(session, self._task.task_name)
        if names:
            full_load(self._task, source=self._source, target=self._target, tables=names, stop=self._stop)

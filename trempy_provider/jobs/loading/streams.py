"""The concurrent streams of a full load: each a thread with one session on the source and one on the target.

A lost connection costs the part that was being copied: the stream connects again, imports the snapshot from
its keeper and copies the part anew.
A table starts again from another snapshot when this one is lost, when the table was rewritten on the source,
or when the outcome of a commit is not known.
An error that time does not mend fails its table and no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from trempy_provider.errors import (
    CopyError,
    RetryPolicy,
    SourceUnavailableError,
    StoppedError,
    TargetUnavailableError,
    TrempyError,
)
from trempy_provider.jobs.loading.context import LoadContext
from trempy_provider.jobs.loading.placement import FOREIGN_KEY_VIOLATION, is_placed
from trempy_provider.jobs.loading.queue import LoadQueue, Work
from trempy_provider.jobs.loading.table_load import TableLoad
from trempy_provider.postgres.copy import CopyCommitError
from trempy_provider.postgres.load_plan import Part
from trempy_provider.postgres.load_snapshot import LoadSnapshot, SnapshotLostError
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.translation import TargetStatementError

PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # before the next attempts after a passing failure
_TICK_SECONDS = 0.5
_CANCEL_SECONDS = 0.1
_UNAVAILABLE = (SourceUnavailableError, TargetUnavailableError)


class LoadStreams:
    """All streams of one round: they read one snapshot."""

    def __init__(self, context: LoadContext, snapshot: LoadSnapshot, work: Iterable[Work]) -> None:
        self.context = context
        self.snapshot = snapshot
        self.queue = LoadQueue(work)
        self.failed = threading.Event()
        self.error: BaseException | None = None
        self._ended = threading.Event()
        self._alive_count = 0
        self._lock = threading.Lock()

    @property
    def must_end(self) -> bool:
        """Tell whether the streams shall end before the work is done."""
        return self.context.stop.is_set() or self.failed.is_set()

    def run(self, stream_count: int, *, on_tick: Callable[[], None]) -> None:
        """Run the streams to their end; `on_tick` is called about twice a second.

        Raise StoppedError when the job was asked to stop, or the error that no stream can work around.
        """
        streams = [_Stream(self, number) for number in range(stream_count)]
        self._alive_count = len(streams)
        for stream in streams:
            stream.start()
        try:
            while not self._ended.wait(_TICK_SECONDS) and not self.must_end:
                on_tick()
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self._end(streams)
        self.context.stop.raise_if_set()
        if self.error is not None:
            raise self.error

    def fail(self, error: BaseException) -> None:
        """End all streams for the reason of one."""
        with self._lock:
            self.error = self.error or error
        self.failed.set()
        self.queue.close()

    def stream_ended(self) -> None:
        """Take note that a stream has no more work."""
        with self._lock:
            self._alive_count -= 1
            if not self._alive_count:
                self._ended.set()

    def _end(self, streams: list[_Stream]) -> None:
        """Wait for the streams, cancelling their statements again and again when they must end early."""
        if self.must_end:
            self.queue.close()
        while not self._ended.wait(_CANCEL_SECONDS):
            for stream in streams:
                stream.cancel()
        for stream in streams:
            stream.join()


class _Stream(threading.Thread):
    """One source session, one target session, and the work in between."""

    def __init__(self, streams: LoadStreams, number: int) -> None:
        super().__init__(name=f"trempy-load-{number}", daemon=True)
        self._streams = streams
        self._context = streams.context
        self._source: Session | None = None
        self._target: Session | None = None

    def run(self) -> None:
        try:
            while not self._streams.must_end and (work := self._streams.queue.take()) is not None:
                placed = False
                try:
                    placed = self._do(work)
                finally:
                    self._streams.queue.done(placed=placed)
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by LoadStreams.run
            self._streams.fail(error)
        finally:
            self._disconnect()
            self._streams.stream_ended()

    def cancel(self) -> None:
        """Cancel what the sessions are doing; called from another thread."""
        for session in (self._source, self._target):
            if session is not None:
                with suppress(TrempyError):
                    session.cancel()

    def _do(self, work: Work) -> bool:
        """Do one piece of work; return whether the table is ready by it."""
        if work.part is not None and not self._copy(work.load, work.part):
            return False
        return self._finish(work.load)

    def _copy(self, load: TableLoad, part: Part) -> bool:
        """Copy a part, with patience; return whether the table's rows are complete by it."""
        for pause_seconds in (*PAUSES_SECONDS, None):
            try:
                source, target = self._connect()
                return load.copy_part(part, snapshot=self._streams.snapshot, source=source, target=target)
            except TrempyError as error:
                self._raise_if_ending(error)
                self._disconnect()
                if isinstance(error, SnapshotLostError | CopyCommitError):
                    load.give_up_snapshot(error)
                    return False
                if load.guard(part, error):
                    continue
                if not self._is_worth_another_attempt(load, error, last=pause_seconds is None):
                    return False
            self._context.stop.wait(pause_seconds or 0)
        return False

    def _finish(self, load: TableLoad) -> bool:
        """Finish a table whose rows are complete; return whether it is ready."""
        try:
            source, target = self._connect()
            load.finish(source=source, target=target)
        except TrempyError as error:
            self._raise_if_ending(error)
            self._disconnect()
            return self._settle(load, error)
        return True

    def _settle(self, load: TableLoad, error: TrempyError) -> bool:
        """Find out what a failed finish means; return whether the table is ready after all."""
        if isinstance(error, TargetStatementError) and error.sqlstate == FOREIGN_KEY_VIOLATION:
            self._streams.queue.postpone(load, error)
        elif isinstance(error, SnapshotLostError):
            load.give_up_snapshot(error)
        elif not isinstance(error, _UNAVAILABLE):
            load.fail(error)
        elif is_placed(self._context, load.table.oid, target=self._connect()[1]):
            load.be_ready()
            return True
        else:
            load.give_up_snapshot(error)
        return False

    def _is_worth_another_attempt(self, load: TableLoad, error: TrempyError, *, last: bool) -> bool:
        """Fail the table unless time may mend the error; raise when a server stays away."""
        if isinstance(error, _UNAVAILABLE) and last:
            raise error
        if last or error.policy is not RetryPolicy.BY_ITSELF:
            load.fail(_named(load, error))
            return False
        return True

    def _connect(self) -> tuple[Session, Session]:
        if self._source is None or self._source.closed:
            self._source = self._context.open_source()
        if self._target is None or self._target.closed:
            self._target = self._context.target.connect("full_load")
        return self._source, self._target

    def _disconnect(self) -> None:
        for session in (self._source, self._target):
            if session is not None:
                session.close()
        self._source = self._target = None

    def _raise_if_ending(self, error: TrempyError) -> None:
        if self._streams.must_end:
            raise StoppedError("the load is ending") from error


def _named(load: TableLoad, error: TrempyError) -> TrempyError:
    """Return the error with the table's name in its message."""
    if isinstance(error, CopyError):
        return CopyError(f"table {load.table.name}: {error}", hint=error.hint)
    return error

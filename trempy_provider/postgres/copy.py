"""Move rows between two servers: COPY out, a pipe, COPY in.

Two threads are at work: one runs COPY TO STDOUT and writes into an operating system's pipe, the other reads
the pipe for COPY FROM STDIN.
The pipe is bounded, so memory is too, and no row is touched by Python.

Nothing is half copied: the target's statement is given up when the source's fails, a count that differs
raises before the commit, and both statements can be cancelled from a third thread.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from typing import BinaryIO

from psycopg2 import sql

from trempy_provider.errors import CopyError, TrempyError
from trempy_provider.postgres.session import Session

_SPOOLED_BYTES = 1 << 24
PIPE_BYTES = 1 << 20  # what an unprivileged process may ask for (pipe-max-size)
_SET_PIPE_SIZE = 1031  # fcntl.F_SETPIPE_SZ, which Python knows on Linux only


class CopyCommitError(CopyError):
    """The commit of copied rows failed: whether they are there is not known."""


@dataclass(frozen=True, slots=True)
class CopyCounts:
    """What one COPY moved."""

    rows: int
    bytes: int
    failed_rows: int = 0  # left out


class _ByteCounter:
    """Read from the pipe and count; at the end, tell an empty pipe from a broken source."""

    def __init__(self, pipe: FileIO, source_failed: threading.Event, on_bytes: Callable[[int], None]) -> None:
        self._pipe = pipe
        self._source_failed = source_failed
        self._on_bytes = on_bytes
        self.bytes = 0
        self.saw_source_fail = False

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._pipe.read(size) or b""
        if not chunk and self._source_failed.is_set():
            self.saw_source_fail = True
            raise CopyError("the source's COPY failed")
        self.bytes += len(chunk)
        self._on_bytes(len(chunk))
        return chunk

    def readline(self, size: int = -1, /) -> bytes:
        raise NotImplementedError("COPY reads chunks")


class _SourceThread(threading.Thread):
    """Run COPY TO STDOUT into the pipe; `error` and `rows` are there after join()."""

    def __init__(self, session: Session, query: sql.Composable, pipe: BinaryIO) -> None:
        super().__init__(name="trempy-copy-out", daemon=True)
        self._session = session
        self._query = query
        self._pipe = pipe
        self.failed = threading.Event()
        self.error: Exception | None = None
        self.rows = 0

    def run(self) -> None:
        try:
            self.rows = self._session.copy_to(self._query, self._pipe)
            self._pipe.flush()
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits for this one
            self.error = error
            self.failed.set()  # before the pipe's end is seen
        finally:
            with suppress(OSError):
                self._pipe.close()


def copy_rows(
    source: Session,
    target: Session,
    *,
    out_query: sql.Composable,
    in_query: sql.Composable,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> CopyCounts:
    """Copy the rows of `out_query` through `in_query` in one transaction of the target, and count them.

    `on_bytes` is called with the size of each chunk.
    Raise the source's error if the source failed, else the target's; CopyCommitError when only the commit's
    outcome is unknown.
    After an error the source session is not usable any more: close it.
    """
    target.execute("begin")
    try:
        counts = _copy_through_pipe(source, target, out_query, in_query, on_bytes)
    except BaseException:
        _roll_back(target)
        raise
    try:
        target.execute("commit")
    except TrempyError as error:
        raise CopyCommitError(f"commit after COPY: {error}", hint=error.hint) from error
    return counts


def copy_rows_within(
    source: Session, target: Session, *, query: sql.Composable, into: sql.Composable, columns: Sequence[str]
) -> None:
    """Copy a few rows in the transactions that both sessions have open, through a file in between.

    After an error of either side both sessions are as after the error of any statement.
    """
    with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as rows:
        source.copy_to(copy_out_sql(query, binary=False), rows)
        rows.seek(0)
        target.copy_from(copy_in_sql(into, columns, binary=False), rows)


def copy_out_sql(query: sql.Composable, *, binary: bool) -> sql.Composed:
    """Return COPY (query) TO STDOUT."""
    return sql.SQL("copy ({query}) to stdout (format {format})").format(
        query=query, format=_format_sql(binary=binary)
    )


def copy_in_sql(table: sql.Composable, columns: Sequence[str], *, binary: bool) -> sql.Composed:
    """Return COPY table (columns) FROM STDIN."""
    return sql.SQL("copy {table}{columns} from stdin (format {format})").format(
        table=table, columns=column_list_sql(columns), format=_format_sql(binary=binary)
    )


def column_list_sql(columns: Sequence[str]) -> sql.Composable:
    """Return the columns in parentheses; nothing for a table without columns."""
    if not columns:
        return sql.SQL("")
    return sql.SQL(" ({})").format(sql.SQL(", ").join(map(sql.Identifier, columns)))


def _format_sql(*, binary: bool) -> sql.SQL:
    return sql.SQL("binary" if binary else "text")


def _copy_through_pipe(
    source: Session,
    target: Session,
    out_query: sql.Composable,
    in_query: sql.Composable,
    on_bytes: Callable[[int], None],
) -> CopyCounts:
    reading_end, writing_end = _open_pipe()
    sender = _SourceThread(source, out_query, writing_end)
    reader = _ByteCounter(reading_end, sender.failed, on_bytes)
    sender.start()
    target_error: Exception | None = None
    rows = 0
    try:
        rows = target.copy_from(in_query, reader)
    except Exception as error:  # noqa: BLE001 - the source's error, known after join(), comes first
        target_error = error
    finally:
        reading_end.close()  # a sender that still writes gets EPIPE
        _finish(sender, source, cancel=target_error is not None)
    _raise_cause(sender.error, target_error, source_first=reader.saw_source_fail)
    if rows != sender.rows:
        raise CopyError(f"COPY sent {sender.rows} rows, the target took {rows}")
    return CopyCounts(rows=rows, bytes=reader.bytes)


def _open_pipe() -> tuple[FileIO, BinaryIO]:
    reading_end, writing_end = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(writing_end, _SET_PIPE_SIZE, PIPE_BYTES)
    return FileIO(reading_end, "r"), os.fdopen(writing_end, "wb", buffering=1 << 17)


def _finish(sender: _SourceThread, source: Session, *, cancel: bool) -> None:
    """Wait for the sender; when its rows are not wanted any more, cancel its COPY."""
    while cancel and sender.is_alive():
        with suppress(TrempyError):
            source.cancel()
        sender.join(timeout=0.2)
    sender.join()


def _raise_cause(
    source_error: Exception | None, target_error: Exception | None, *, source_first: bool
) -> None:
    """Raise the error of the side that failed first: the other's only follows from it."""
    first, second = (source_error, target_error) if source_first else (target_error, source_error)
    if first is not None:
        raise first
    if second is not None:
        raise second


def _roll_back(target: Session) -> None:
    with suppress(TrempyError):
        target.execute("rollback")

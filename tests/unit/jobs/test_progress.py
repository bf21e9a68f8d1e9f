import fcntl
import io
import logging
import os
import pty
import struct
import termios
import time
from dataclasses import replace

import pytest

from trempy_provider.jobs.progress import (
    LogProgress,
    Phase,
    TableProgress,
    TerminalProgress,
    duration_text,
    size_text,
)
from trempy_provider.postgres.tables import QualifiedName

NAME = QualifiedName("public", "orders")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def copying(**changes):
    given = {"rows": 250, "bytes": 5000, "estimated_rows": 1000, "elapsed_seconds": 10.0, **changes}
    return TableProgress(NAME, Phase.COPYING, **given)


def test_percent_and_eta_follow_the_rows():
    assert copying().percent == 25
    assert copying().eta_seconds == 30


def test_bytes_stand_in_for_rows_that_are_not_estimated():
    assert copying(estimated_rows=None, estimated_bytes=10_000).percent == 50
    assert copying(estimated_rows=None, estimated_bytes=0).eta_seconds is None


def test_a_wrong_estimate_never_promises_the_end():
    assert copying(rows=5000).percent == 99


@pytest.mark.parametrize(
    ("phase", "percent"), [(Phase.WAITING, 0), (Phase.INDEXING, 100), (Phase.READY, 100)]
)
def test_percent_is_about_copying(phase, percent):
    assert TableProgress(NAME, phase).percent == percent


def test_log_tells_start_and_end_at_once_and_the_rest_at_intervals(caplog):
    caplog.set_level(logging.INFO)
    listener = LogProgress(interval_seconds=3600)

    listener.update([copying()])
    listener.update([copying(rows=300)])
    listener.update([TableProgress(NAME, Phase.INDEXING, rows=1000)])
    listener.update([TableProgress(NAME, Phase.READY, rows=1000)])
    listener.update([TableProgress(NAME, Phase.READY, rows=1000)])

    assert caplog.messages == [
        "public.orders: copying, 250 rows, 5.0 kB, 25 %, 0:30 left",
        "public.orders: ready, 1,000 rows, 0 B",
    ]


def test_log_tells_at_intervals_what_is_being_copied(caplog):
    caplog.set_level(logging.INFO)
    listener = LogProgress(interval_seconds=0.001)
    listener.update([copying()])
    time.sleep(0.002)

    listener.update([copying(rows=500)])

    assert len(caplog.messages) == 2
    assert "50 %" in caplog.messages[1]


def test_failures_are_logged_as_errors_with_their_cause(caplog):
    LogProgress().update([TableProgress(NAME, Phase.ERROR, error="no such column")])

    assert [(record.levelname, "no such column" in record.message) for record in caplog.records] == [
        ("ERROR", True)
    ]


def test_terminal_draws_bars_and_lets_finished_tables_scroll_away():
    terminal = Terminal()
    listener = TerminalProgress(terminal)

    listener.update([copying(), TableProgress(QualifiedName("public", "b"))])
    listener.update(
        [TableProgress(NAME, Phase.READY, rows=1000), TableProgress(QualifiedName("public", "b"))]
    )

    first, second = terminal.getvalue().split("\x1b[1A\x1b[2K" * 2)
    assert first.splitlines() == [
        "[######..................]  25 % copying public.orders: 250 rows, 5.0 kB 0:30 left",
        "0 of 2 tables, 250 rows, 5.0 kB",
    ]
    assert second.splitlines()[0] == "public.orders: ready, 1,000 rows, 0 B"


def test_no_line_is_longer_and_no_drawing_higher_than_the_terminal():
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 4, 40, 0, 0))  # rows, columns
    with os.fdopen(controller, "rb", buffering=0) as screen, os.fdopen(terminal, "w") as stream:
        tables = [replace(copying(), table=QualifiedName("public", "t" * 40 + str(i))) for i in range(9)]

        TerminalProgress(stream).update(tables)

        lines = screen.read(4096).decode().splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) == 39
    assert lines[-1].startswith("0 of 9 tables")


def test_without_a_terminal_only_finished_tables_are_written():
    stream = io.StringIO()
    listener = TerminalProgress(stream)

    listener.update([copying()])
    listener.update([TableProgress(NAME, Phase.READY)])
    listener.update([TableProgress(NAME, Phase.READY)])

    assert stream.getvalue() == "public.orders: ready, 0 rows, 0 B\n"


def test_sizes_and_durations_read_well():
    assert [size_text(size) for size in (0, 999, 1500, 2_500_000, 3 * 10**15)] == [
        "0 B", "999 B", "1.5 kB", "2.5 MB", "3000.0 TB",
    ]  # fmt: skip
    assert [duration_text(seconds) for seconds in (0, 61, 3723)] == ["0:00", "1:01", "1:02:03"]

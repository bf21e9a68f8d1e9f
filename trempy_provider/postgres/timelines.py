"""Which WAL history the source is on: it begins a new timeline whenever a standby is promoted.

See "Timelines" (26.3.6) and TIMELINE_HISTORY (55.4) in PostgreSQL's manual.
"""

from __future__ import annotations

from trempy_provider.errors import WrongSystemError
from trempy_provider.postgres.replication_connection import open_replication
from trempy_provider.postgres.session import Endpoint
from trempy_provider.replication.lsn import Lsn


def read_timeline_ends(source: Endpoint, timeline: int) -> dict[int, Lsn]:
    """Return where each timeline ended that led to `timeline`."""
    with open_replication(source, "timeline") as connection:
        (row,) = connection.command(f"TIMELINE_HISTORY {timeline}")
    return parse_timeline_history(row["content"] or "")


def parse_timeline_history(content: str) -> dict[int, Lsn]:
    """Read the lines of a history file: timeline, where it ended, why."""
    lines = [line.split("\t") for line in content.splitlines()]
    return {int(words[0]): Lsn.parse(words[1]) for words in lines if words[0].strip().isdigit()}


def verify_timeline(
    task_name: str, *, known: int, present: int, ends: dict[int, Lsn], captured_lsn: Lsn
) -> None:
    """Raise WrongSystemError unless the present timeline holds all that was captured from the known one."""
    if known not in ends:
        raise WrongSystemError(
            f"the source is on timeline {present}, but task {task_name} has captured from timeline {known}, "
            "which did not lead to it: the source was restored from a backup"
        )
    if captured_lsn > ends[known]:
        raise WrongSystemError(
            f"the source was promoted: its timeline {present} left timeline {known} at {ends[known]}, but "
            f"task {task_name} has captured up to {captured_lsn}, which the new primary did not have"
        )

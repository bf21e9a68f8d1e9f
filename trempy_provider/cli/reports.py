"""Reports as short tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from trempy_provider.jobs.progress import size_text
from trempy_provider.jobs.task_status import Lag, SkippedFacts, SlotFacts, TableStatus, TaskStatus
from trempy_provider.replication.lsn import Lsn

_TABLE_HEADINGS = (
    "table", "state", "rows", "loaded", "inserts", "updates", "deletes", "truncates", "errors", "snapshot",
)  # fmt: skip
_NOTHING = "–"


def facts_text(facts: Mapping[str, Any]) -> str:
    """Write a report: a line per fact, lists of rows as tables below."""
    rows = [(_words(name), _fact_text(value)) for name, value in facts.items() if _is_short(value)]
    parts = ["\n".join(_aligned(rows))]
    for name, value in facts.items():
        if isinstance(value, Mapping):
            parts.append(f"{_words(name)}:\n{_indented(facts_text(value))}")
        elif not _is_short(value):
            headings = tuple(map(_words, value[0]))
            cells = [tuple(map(_fact_text, row.values())) for row in value]
            parts.append("\n".join(_aligned([headings, *cells])))
    return "\n".join(part for part in parts if part)


def findings_text(report: Mapping[str, Any]) -> str:
    """Write the findings of a check."""
    lines = [
        f"{finding['severity']}: {finding['where']}: {finding['what']}\n  → {finding['remedy']}"
        for finding in report["findings"]
    ]
    return "\n".join(lines) or "nothing is in the way"


def status_text(status: TaskStatus) -> str:
    """Write a task's status: the task, then its tables, then what went wrong."""
    parts = [
        "\n".join(_aligned(list(_status_rows(status)))),
        "\n".join(_aligned([_TABLE_HEADINGS, *map(_table_row, status.tables)])) if status.tables else "",
        "\n".join(_trouble(status)),
    ]
    return "\n\n".join(part for part in parts if part)


def _status_rows(status: TaskStatus) -> Iterator[tuple[str, str]]:
    running = f" ({', '.join(status.running_jobs)})" if status.running_jobs else ""
    yield "task", status.task_name
    yield "state", f"{status.state}{running}"
    if status.stop_reason is not None:
        yield "reason", " ".join(status.stop_reason.split())
    yield "type", f"{status.replication_type}, mode {status.mode}"
    if status.set_up_at is not None:
        yield "set up", _time_text(status.set_up_at)
    if status.checkpoint is not None:
        committed = _time_text(status.checkpoint.committed_at)
        yield "checkpoint", f"{status.checkpoint.end_lsn}, committed {committed}"
        transactions, changes = status.checkpoint.transaction_count, status.checkpoint.change_count
        yield "applied", f"{transactions:,} transactions, {changes:,} changes"
    if status.lag is not None:
        yield "lag", _lag_text(status.lag)
    if status.slot is not None:
        yield "slot", _slot_text(status.slot)
    if status.queue is not None:
        yield "queue", f"{status.queue.ready:,} ready, {status.queue.dead_letters:,} dead letters"


def _lag_text(lag: Lag) -> str:
    seconds = "time not known" if lag.seconds is None else f"{lag.seconds:.1f} s"
    capture = _NOTHING if lag.capture_bytes is None else size_text(lag.capture_bytes)
    return f"{seconds}; {capture} of WAL to capture, {size_text(lag.apply_bytes)} to apply"


def _slot_text(slot: SlotFacts) -> str:
    if not slot.exists:
        return f"{slot.name} does not exist"
    words = [slot.name, "active" if slot.active else "not active", f"wal_status {slot.wal_status}"]
    if slot.retained_bytes is not None:
        words.append(f"retains {size_text(slot.retained_bytes)}")
    return ", ".join([*words, "invalidated"] if slot.invalidated else words)


def _table_row(table: TableStatus) -> tuple[str, ...]:
    counts = (table.insert_count, table.update_count, table.delete_count, table.truncate_count)
    return (
        str(table.source),
        str(table.state),
        f"{table.loaded_rows:,}",
        _NOTHING if table.percent is None else f"{table.percent:.0f} %",
        *(f"{count:,}" for count in (*counts, table.error_count)),
        _fact_text(table.snapshot_lsn),
    )


def _trouble(status: TaskStatus) -> Iterator[str]:
    for part, reason in status.unreachable.items():
        yield f"{part} not reached: {reason}"
    for table in status.tables:
        if table.load_error:
            yield f"{table.source}: {table.load_error}"
        if table.apply_error:
            yield f"{table.source}, last row error: {table.apply_error}"
    for letter in status.dead_letters:
        yield (
            f"dead letter {letter.message_id}, {_words(str(letter.state))}, "
            f"transaction {letter.transaction_id} up to {_fact_text(letter.last_lsn)}: {letter.reason}"
        )
    if status.skip_lsn is not None:
        yield f"the transaction with commit LSN {status.skip_lsn} will be skipped"
    for skipped in status.skipped:
        yield _skipped_text(skipped)


def _skipped_text(skipped: SkippedFacts) -> str:
    at = _time_text(skipped.skipped_at)
    if skipped.transaction_id is None:
        return f"no transaction with commit LSN {skipped.commit_lsn} has come to be skipped, {at}"
    return (
        f"transaction {skipped.transaction_id} with commit LSN {skipped.commit_lsn} was skipped, "
        f"{skipped.change_count:,} changes, {at}"
    )


def _is_short(value: object) -> bool:
    if isinstance(value, Mapping):
        return False
    return not (isinstance(value, Sequence) and value and isinstance(value[0], Mapping))


def _fact_text(value: object) -> str:
    if value is None or value == []:
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and not isinstance(value, Lsn):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _time_text(at: datetime | None) -> str:
    return _NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S%z}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

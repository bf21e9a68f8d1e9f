"""Monitor: compare what `status` tells with the thresholds of the settings, and say what needs attention.

A slot whose reader is stopped keeps the source's WAL until the disk is full.
Where the settings say so, and only there, the slot is dropped before: the source lives on, and the task needs
a reload, since changes that nobody has read are gone from the WAL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import MonitorError
from trempy_provider.jobs.status import status
from trempy_provider.jobs.stop_record import record_stop_of
from trempy_provider.jobs.task_status import SlotFacts, TaskState, TaskStatus
from trempy_provider.postgres.session import Endpoint, static_sql
from trempy_provider.postgres.slot import drop_slot, read_slot

JOB = "monitor"


@dataclass(frozen=True, slots=True)
class MonitorReport:
    """What was measured, and what needs attention; what could not be asked is None."""

    task_name: str
    state: TaskState
    lag_seconds: float | None
    lag_bytes: int | None
    retained_wal_bytes: int | None
    error_count: int | None  # within the period
    dead_letter_count: int | None
    queued_message_count: int | None
    slot_dropped: bool = False
    alerts: tuple[str, ...] = ()

    @property
    def error(self) -> MonitorError | None:
        """Return the error that lists the alerts, None when there is none."""
        if not self.alerts:
            return None
        listed = "".join(f"\n  {alert}" for alert in self.alerts)
        return MonitorError(f"task {self.task_name} needs attention{listed}")

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "task_name": self.task_name,
            "state": str(self.state),
            "lag_seconds": self.lag_seconds,
            "lag_bytes": self.lag_bytes,
            "retained_wal_bytes": self.retained_wal_bytes,
            "error_count": self.error_count,
            "dead_letter_count": self.dead_letter_count,
            "queued_message_count": self.queued_message_count,
            "slot_dropped": self.slot_dropped,
            "alerts": list(self.alerts),
        }


def monitor(
    task: ReplicationTask, *, source: Endpoint, target: Endpoint, broker: Broker | None = None
) -> MonitorReport:
    """Measure the task, and list every threshold that is passed; drop the slot where the settings say so."""
    found = status(task, source=source, target=target, broker=broker)
    report = _measured(task, found, target)
    dropped_bytes = _drop_filling_slot(task, found, source=source, target=target)
    alerts = tuple(_alerts(task, found, report, dropped_bytes=dropped_bytes))
    return replace(report, slot_dropped=dropped_bytes is not None, alerts=alerts)


def _measured(task: ReplicationTask, found: TaskStatus, target: Endpoint) -> MonitorReport:
    queue = found.queue
    return MonitorReport(
        task_name=task.task_name,
        state=found.state,
        lag_seconds=None if found.lag is None else found.lag.seconds,
        lag_bytes=None if found.lag is None else found.lag.total_bytes,
        retained_wal_bytes=None if found.slot is None else found.slot.retained_bytes,
        error_count=_count_errors(task, target) if found.tables else None,
        dead_letter_count=None if queue is None else max(queue.dead_letters, len(found.dead_letters)),
        queued_message_count=None if queue is None else queue.ready,
    )


def _count_errors(task: ReplicationTask, target: Endpoint) -> int:
    period_seconds = task.task.monitor_settings.errors_period_seconds
    with target.connect(JOB) as session:
        parameters = {"task_name": task.task_name, "period_seconds": period_seconds}
        return int(session.fetch_value(static_sql("count_errors_within"), parameters))


def _drop_filling_slot(
    task: ReplicationTask, found: TaskStatus, *, source: Endpoint, target: Endpoint
) -> int | None:
    """Drop the slot if it retains as much as the settings allow; return how many bytes it retained.

    A task that is not set up has no slot: one of that name belongs to another installation.
    Why the task has stopped is recorded then, where the target can be reached.
    """
    limit, slot = task.task.monitor_settings.drop_slot_at_retained_wal_bytes, found.slot
    if limit is None or slot is None or not _is_filling(slot.retained_bytes, limit):
        return None
    if found.state is TaskState.NOT_SET_UP:
        return None
    with source.connect(JOB) as session:
        retained_bytes = read_slot(session, slot.name).retained_bytes
        if not _is_filling(retained_bytes, limit):
            return None
        drop_slot(session, slot.name, application_prefix=source.application_name(""))
    record_stop_of(target, job=JOB, reason=_drop_reason(slot.name, retained_bytes, limit))
    return retained_bytes


def _is_filling(retained_bytes: int | None, limit: int) -> bool:
    return retained_bytes is not None and retained_bytes >= limit


def _alerts(
    task: ReplicationTask, found: TaskStatus, report: MonitorReport, *, dropped_bytes: int | None
) -> Iterator[str]:
    options = task.task.monitor_settings
    for part, reason in found.unreachable.items():
        yield f"{part} cannot be asked: {reason}"
    if dropped_bytes is not None:
        limit = options.drop_slot_at_retained_wal_bytes
        yield _drop_reason(task.slot_name, dropped_bytes, limit or 0)
    elif found.state is TaskState.STOPPED:
        yield f"stopped: {found.stop_reason}"
    if found.state is not TaskState.NOT_SET_UP and dropped_bytes is None:
        yield from _slot_alerts(found.slot)
    yield from _above("lag", report.lag_seconds, "s", "max_lag_seconds", options.max_lag_seconds)
    yield from _above(
        "WAL retained on the source",
        report.retained_wal_bytes,
        "bytes",
        "max_retained_wal_bytes",
        options.max_retained_wal_bytes,
    )
    period = f"rows failed within {options.errors_period_seconds} s"
    yield from _above("errors", report.error_count, period, "max_errors", options.max_errors)
    yield from _above(
        "dead letters", report.dead_letter_count, "messages", "max_dead_letters", options.max_dead_letters
    )


def _slot_alerts(slot: SlotFacts | None) -> Iterator[str]:
    if slot is None:
        return
    if not slot.exists:
        yield f"the slot {slot.name} is gone: changes since then are lost to this task until `trempy reload`"
    elif slot.invalidated:
        yield f"the slot {slot.name} is invalidated: `trempy reload` starts anew"
    elif slot.wal_status == "unreserved":
        yield f"the slot {slot.name} is about to lose the WAL it needs (wal_status=unreserved)"


def _above(
    what: str, measured: float | None, unit: str, option: str, threshold: float | None
) -> Iterator[str]:
    if measured is not None and threshold is not None and measured > threshold:
        yield f"{what}: {measured:,.0f} {unit}; {option} allows {threshold:,.0f}"


def _drop_reason(slot_name: str, retained_bytes: int | None, limit: int) -> str:
    retained_bytes = retained_bytes or 0
    return (
        f"the slot {slot_name} was dropped, because it retained {retained_bytes:,} bytes of the source's WAL "
        f"and drop_slot_at_retained_wal_bytes is {limit:,}; mend what kept capture from reading, "
        "then run `trempy reload` (with --keep-equal only tables that differ are loaded)"
    )

"""What capture and apply share: streaming while there is work, deferring in silence, ending with the lease.

A lease is one bounded run.
Each segment of it streams until nothing has come for `idle_seconds`, then the task defers and its trigger
waits; what the segments did adds up in the event that resumes the task.
An error that mends by itself is waited out for a while here, since a new attempt costs Airflow seconds.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException

from trempy_provider.config.task import ReplicationTask
from trempy_provider.hooks.endpoints import TaskEndpoints, endpoints_of
from trempy_provider.jobs.lease import EndReason, Lease, StopSignal
from trempy_provider.operators.base import TrempyOperator
from trempy_provider.operators.flags import is_true
from trempy_provider.triggers.base import LeaseTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

# A lease that is over when its task is tried again still does something, or an outage longer than a lease
# would be followed by leases that end before they begin.
SHORTEST_SEGMENT_SECONDS = 10.0
# Asked to pause, a lease waits as it does in silence: Airflow does not resume it while its DAG is paused, and
# both halves of it go on when the DAG runs again.
WAITING = {EndReason.IDLE: "nothing to do", EndReason.PAUSED: "asked to pause"}
_SUMMED = ("_count", "_bytes", "_rows")


@dataclass(frozen=True, slots=True)
class LeaseProgress:
    """What a lease has done so far, over all its segments."""

    ends_at: str
    segment_count: int = 0
    totals: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def starting(cls, started_at: str, *, run_duration_seconds: float) -> LeaseProgress:
        """Return the progress of a lease that began at `started_at`, or begins now if that is empty."""
        now = datetime.now(timezone.utc)
        start = datetime.fromisoformat(started_at) if started_at else now
        end = start + timedelta(seconds=run_duration_seconds)
        return cls(max(end, now + timedelta(seconds=SHORTEST_SEGMENT_SECONDS)).isoformat())

    @property
    def remaining_seconds(self) -> float:
        """Return the seconds until the lease ends."""
        return (datetime.fromisoformat(self.ends_at) - datetime.now(timezone.utc)).total_seconds()

    def plus(self, report: Mapping[str, Any]) -> LeaseProgress:
        """Add a segment's report: counts add up, of all else the last value counts."""
        totals = dict(self.totals)
        for name, value in report.items():
            if name.endswith(_SUMMED) and isinstance(value, int):
                totals[name] = totals.get(name, 0) + value
            elif value is not None and not (name.startswith("first_") and totals.get(name)):
                totals[name] = value
        return LeaseProgress(self.ends_at, self.segment_count + 1, totals)

    def summary(self) -> dict[str, Any]:
        """Return the lease's XCom."""
        return {**self.totals, "segment_count": self.segment_count}


class TrempyLeaseOperator(TrempyOperator):
    """Run capture or apply for the length of a lease.

    :param lease_started_at: when the lease began, in ISO format; a lease that is tried again keeps its end.
        Empty: when the task starts. The DAG factory gives the start of the DAG run.
    :param deferrable: defer in silence; otherwise the worker streams until the lease ends
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "lease_started_at")

    def __init__(self, *, lease_started_at: str = "", deferrable: bool | str = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lease_started_at = lease_started_at
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Begin a lease."""
        task = self.replication_task()
        progress = LeaseProgress.starting(
            self.lease_started_at, run_duration_seconds=task.cdc.run_duration_seconds
        )
        return self._go_on(context, task, progress)

    def resume(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on with a lease when its trigger says that there is work, or that its time is over."""
        progress = LeaseProgress(**event["progress"])
        task = self.replication_task()
        if event["reason"] == "deadline":
            return self._finish(context, task, progress)
        return self._go_on(context, task, progress)

    def run_lease(
        self, task: ReplicationTask, endpoints: TaskEndpoints, lease: Lease, stop: StopSignal
    ) -> tuple[EndReason, dict[str, Any]]:
        """Run the job for one segment; return why it ended, and its report."""
        raise NotImplementedError

    def finish_lease(self, context: Context, task: ReplicationTask) -> None:
        """Do what is left to do when the lease is over."""

    @abstractmethod
    def trigger(self, task: ReplicationTask, **lease: Any) -> LeaseTrigger:
        """Return the trigger that waits for the job's next work."""

    def _go_on(self, context: Context, task: ReplicationTask, progress: LeaseProgress) -> Any:
        endpoints = endpoints_of(task)
        with self.guarded(endpoints) as stop:
            reason, report = self.run_lease(task, endpoints, self._lease(task, progress), stop)
        progress = progress.plus(report)
        if reason is EndReason.STOPPED:
            raise AirflowException(f"stopped: {stop.reason}")
        may_wait = is_true(self.deferrable) and progress.remaining_seconds > task.cdc.trigger_minimum_seconds
        if may_wait and reason in WAITING:
            self._defer(task, progress, why=WAITING[reason])
        return self._finish(context, task, progress)

    def _lease(self, task: ReplicationTask, progress: LeaseProgress) -> Lease:
        idle_seconds = float(task.cdc.idle_seconds) if is_true(self.deferrable) else None
        return Lease.lasting(max(progress.remaining_seconds, 0.0), idle_seconds=idle_seconds)

    def _defer(self, task: ReplicationTask, progress: LeaseProgress, *, why: str) -> None:
        self.log.info("%s: waiting in the triggerer.", why)
        trigger = self.trigger(
            task,
            task_name=task.task_name,
            ends_at=progress.ends_at,
            progress=asdict(progress),
            minimum_seconds=float(task.cdc.trigger_minimum_seconds),
            interval_seconds=task.task.interval_seconds,
        )
        self.defer(trigger=trigger, method_name="resume")

    def _finish(self, context: Context, task: ReplicationTask, progress: LeaseProgress) -> dict[str, Any]:
        self.finish_lease(context, task)
        summary = progress.summary()
        self.log.info("The lease is over: %s", summary)
        return summary

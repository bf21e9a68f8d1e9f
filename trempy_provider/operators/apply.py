"""The operator of `jobs/apply.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.hooks.endpoints import TaskEndpoints
from trempy_provider.jobs.apply import ApplyReport, apply
from trempy_provider.jobs.lease import EndReason, Lease, StopSignal
from trempy_provider.operators.announcing import AnnouncingOperator
from trempy_provider.operators.lease import TrempyLeaseOperator
from trempy_provider.operators.lineage import LineageOperator
from trempy_provider.operators.metrics import measuring
from trempy_provider.triggers.apply import ApplyTrigger
from trempy_provider.triggers.base import LeaseTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class TrempyApplyOperator(AnnouncingOperator, LineageOperator, TrempyLeaseOperator):
    """Read batches from the task's queue and apply them to the target, for the length of a lease.

    At the end of the lease each table that has changed gets an asset event, all with the same end LSN.
    """

    job = "apply"

    def run_lease(
        self, task: ReplicationTask, endpoints: TaskEndpoints, lease: Lease, stop: StopSignal
    ) -> tuple[EndReason, dict[str, Any]]:
        """Apply until the lease says enough."""
        report = ApplyReport()
        with measuring(task.task_name, self.job, report):
            apply(
                task,
                target=endpoints.target,
                broker=endpoints.broker,
                lease=lease,
                stop=stop,
                report=report,
            )
        return EndReason(report.end_reason), report.as_dict()

    def finish_lease(self, context: Context, task: ReplicationTask) -> None:
        """Announce the tables that have changed."""
        self.announce(context, task)

    def trigger(self, task: ReplicationTask, **lease: Any) -> LeaseTrigger:
        """Wait for the next message."""
        return ApplyTrigger(broker_conn_id=task.broker_conn_id, **lease)

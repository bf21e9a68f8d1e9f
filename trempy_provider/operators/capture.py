"""The operator of `jobs/capture.py`."""

from __future__ import annotations

from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.hooks.endpoints import TaskEndpoints
from trempy_provider.jobs.capture import CaptureReport, capture
from trempy_provider.jobs.lease import EndReason, Lease, StopSignal
from trempy_provider.operators.lease import TrempyLeaseOperator
from trempy_provider.operators.metrics import measuring
from trempy_provider.triggers.base import LeaseTrigger


class TrempyCaptureOperator(TrempyLeaseOperator):
    """Read committed changes from the task's slot and publish them, for the length of a lease."""

    job = "capture"

    def run_lease(
        self, task: ReplicationTask, endpoints: TaskEndpoints, lease: Lease, stop: StopSignal
    ) -> tuple[EndReason, dict[str, Any]]:
        """Capture until the lease says enough."""
        report = CaptureReport()
        with measuring(task.task_name, self.job, report):
            capture(
                task,
                source=endpoints.source,
                target=endpoints.target,
                broker=endpoints.broker,
                lease=lease,
                stop=stop,
                report=report,
            )
        return EndReason(report.end_reason), report.as_dict()

    def trigger(self, task: ReplicationTask, **lease: Any) -> LeaseTrigger:
        """Wait for the next change of the task's tables."""
        # The trigger needs Airflow's PostgreSQL hook: too slow to import for every parsing of a DAG file.
        from trempy_provider.triggers.capture import CaptureTrigger  # noqa: PLC0415

        return CaptureTrigger(
            slot_name=task.slot_name,
            publication_name=task.publication_name,
            source_conn_id=task.source_conn_id,
            target_conn_id=task.target_conn_id,
            metadata_conn_id=task.metadata_conn_id,
            origin=str(task.cdc.origin),
            **lease,
        )

"""The operator of `jobs/teardown.py`."""

from __future__ import annotations

from typing import Any

from trempy_provider.jobs.teardown import teardown
from trempy_provider.operators.base import JobRun, TrempyOperator


class TrempyTeardownOperator(TrempyOperator):
    """Remove the slot, the publication, the queues and the task's metadata; target tables stay."""

    job = "teardown"

    def run_job(self, run: JobRun) -> Any:
        """Run teardown."""
        report = teardown(run.task, **run.endpoints.for_job(run.task))
        return report.as_dict()

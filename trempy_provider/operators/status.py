"""The operator of `jobs/status.py`."""

from __future__ import annotations

from typing import Any

from trempy_provider.jobs.status import status
from trempy_provider.operators.base import JobRun, TrempyOperator


class TrempyStatusOperator(TrempyOperator):
    """Tell how far the task is: state, LSNs, lag, queue depths and errors; the XCom is the status."""

    job = "status"

    def run_job(self, run: JobRun) -> Any:
        """Read the status."""
        return status(run.task, **run.endpoints.for_job(run.task)).as_dict()

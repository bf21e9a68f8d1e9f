"""The operator of `jobs/check.py`."""

from __future__ import annotations

from typing import Any

from trempy_provider.jobs.check import check
from trempy_provider.operators.base import JobRun, TrempyOperator


class TrempyCheckOperator(TrempyOperator):
    """Look at both servers and the broker for what would keep the task from running."""

    job = "check"

    def run_job(self, run: JobRun) -> Any:
        """Run the checks; raise PreflightError when one of them is an error."""
        report = check(run.task, **run.endpoints.for_job(run.task))
        report.raise_errors(run.task.task_name)
        return report.as_dict()

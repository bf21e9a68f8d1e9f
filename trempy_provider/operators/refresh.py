"""The operator of `jobs/refresh.py`."""

from __future__ import annotations

from typing import Any

from trempy_provider.jobs.refresh import refresh
from trempy_provider.operators.base import JobRun, TrempyOperator


class TrempyRefreshOperator(TrempyOperator):
    """Pick up tables newly named or newly matching, with their rows, while the others go on."""

    job = "refresh"

    def run_job(self, run: JobRun) -> Any:
        """Run refresh."""
        report = refresh(run.task, **run.endpoints.for_job(run.task))
        return report.as_dict()

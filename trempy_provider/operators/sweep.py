"""The operator of `jobs/sweep.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trempy_provider.jobs.sweep import sweep
from trempy_provider.operators.base import JobRun, TrempyOperator


class TrempySweepOperator(TrempyOperator):
    """List slots, publications and queues of tasks that the target does not know; remove those named.

    :param remove: the names of the tasks whose objects are removed; none by default
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "remove")
    job = "sweep"
    stops_task = False

    def __init__(self, *, remove: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.remove = remove

    def run_job(self, run: JobRun) -> Any:
        """Run sweep."""
        report = sweep(run.task, **run.endpoints.for_job(run.task), remove=list(self.remove))
        return report.as_dict()

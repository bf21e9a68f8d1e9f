"""The operator of `jobs/setup.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trempy_provider.jobs.setup import setup
from trempy_provider.operators.base import JobRun, TrempyOperator
from trempy_provider.operators.flags import is_true


class TrempySetupOperator(TrempyOperator):
    """Create the publication, the slot, target tables, metadata and queues, as far as they are missing.

    :param restart: start the task from zero: what a former setup made is removed first
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "restart")
    job = "setup"

    def __init__(self, *, restart: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.restart = restart

    def run_job(self, run: JobRun) -> Any:
        """Run setup."""
        report = setup(run.task, **run.endpoints.for_job(run.task), restart=is_true(self.restart))
        return report.as_dict()

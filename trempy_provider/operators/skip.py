"""The operator of `jobs/skip.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trempy_provider.jobs.skip import skip
from trempy_provider.operators.base import JobRun, TrempyOperator


class TrempySkipOperator(TrempyOperator):
    """Let apply leave out one transaction of the source, once.

    :param lsn: its commit LSN, as the error that stopped the task names it; empty or None: none after all
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "lsn")
    job = "skip"
    stops_task = False

    def __init__(self, *, lsn: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lsn = lsn

    def run_job(self, run: JobRun) -> Any:
        """Ask for the transaction to be skipped."""
        return skip(run.task, target=run.endpoints.target, lsn=self.lsn or None).as_dict()

"""The operator of `jobs/reload.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trempy_provider.jobs.reload import reload
from trempy_provider.operators.base import JobRun, TrempyOperator


class TrempyReloadOperator(TrempyOperator):
    """Load tables again from zero, the rest untouched.

    :param tables: the tables, as `schema.table`; all of the task by default
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "tables")
    job = "reload"

    def __init__(self, *, tables: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tables = tables

    def run_job(self, run: JobRun) -> Any:
        """Run the reload."""
        report = reload(
            run.task,
            **run.endpoints.for_job(run.task),
            tables=list(self.tables) if self.tables else None,
            stop=run.stop,
        )
        return report.as_dict()

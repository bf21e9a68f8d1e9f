"""The operator of `jobs/reload.py`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from trempy_provider.jobs.reload import reload
from trempy_provider.operators.announcing import AnnouncingOperator
from trempy_provider.operators.base import JobRun, TrempyOperator
from trempy_provider.operators.lineage import LineageOperator


class TrempyReloadOperator(AnnouncingOperator, LineageOperator):
    """Load tables again from zero, the rest untouched; each gets an asset event.

    :param tables: the tables, as `schema.table`; all of the task by default
    :param keep_equal: load only tables whose rows differ on the two sides, after a gap
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "tables")
    job = "reload"

    def __init__(
        self, *, tables: Sequence[str] | None = None, keep_equal: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.keep_equal = keep_equal

    def lineage_tables(self) -> Collection[str] | None:
        """Return the tables that were asked for."""
        return list(self.tables) if self.tables else None

    def run_job(self, run: JobRun) -> Any:
        """Run the reload."""
        tables = list(self.tables) if self.tables else None
        report = reload(
            run.task,
            **run.endpoints.for_job(run.task),
            tables=tables,
            keep_equal=self.keep_equal,
            stop=run.stop,
        )
        self.announce(run.context, run.task, loads_only=True, tables=tables)
        return report.as_dict()

"""The operator of `jobs/full_load.py`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from trempy_provider.jobs.full_load import full_load
from trempy_provider.jobs.progress import LogProgress
from trempy_provider.operators.announcing import AnnouncingOperator
from trempy_provider.operators.base import JobRun, TrempyOperator
from trempy_provider.operators.flags import is_true
from trempy_provider.operators.lineage import LineageOperator
from trempy_provider.operators.metrics import count
from trempy_provider.postgres.table_states import LoadState, read_table_states


class TrempyFullLoadOperator(AnnouncingOperator, LineageOperator):
    """Load tables from one snapshot of the source.

    Each table loaded gets an asset event.

    Tables that are loaded already are left alone: a task that is tried again goes on where it stopped.
    With `reload` they are loaded again, but not those loaded since the DAG run began.
    Map it over tables with `.partial(…).expand(tables=[["public.a"], ["public.b"]])`; each then has a
    snapshot of its own.

    :param tables: the tables, as `schema.table`; all of the task by default
    :param reload: load again what is loaded already
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "tables", "reload")
    job = "full_load"

    def __init__(
        self, *, tables: Sequence[str] | None = None, reload: bool | str = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.reload = reload

    def lineage_tables(self) -> Collection[str] | None:
        """Return the tables that were asked for."""
        return list(self.tables) if self.tables else None

    def run_job(self, run: JobRun) -> Any:
        """Run the load, its progress in the task's log."""
        tables = list(self.tables) if self.tables else None
        reload = is_true(self.reload)
        report = full_load(
            run.task,
            source=run.endpoints.source,
            target=run.endpoints.target,
            tables=_not_loaded_in_this_run(run, tables) if reload else tables,
            reload=reload,
            stop=run.stop,
            progress=LogProgress(),
        )
        count(run.task.task_name, "full_load.row_count", report.rows)
        self.announce(run.context, run.task, loads_only=True, tables=tables)
        return report.as_dict()


def _not_loaded_in_this_run(run: JobRun, tables: list[str] | None) -> list[str]:
    """Return the tables that no former attempt of this DAG run has loaded."""
    with run.endpoints.target.connect("full_load") as session:
        states = read_table_states(session, run.task.task_name).values()
    started_at = run.context["dag_run"].start_date
    loaded = {
        str(state.source)
        for state in states
        if state.state is LoadState.READY
        and started_at is not None
        and state.load_started_at is not None
        and state.load_started_at >= started_at
    }
    names = [str(state.source) for state in states] if tables is None else tables
    return [name for name in names if name not in loaded]

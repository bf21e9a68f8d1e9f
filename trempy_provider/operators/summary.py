"""Tell what a full load has brought, table by table, from the task's metadata."""

from __future__ import annotations

from typing import Any

from trempy_provider.operators.base import JobRun, TrempyOperator
from trempy_provider.postgres.table_states import TableState, read_table_states


class TrempySummaryOperator(TrempyOperator):
    """Return each table's state, rows, bytes, seconds and snapshot; the log has the same as lines."""

    job = "summary"

    def run_job(self, run: JobRun) -> list[dict[str, Any]]:
        """Read the states of the task's tables."""
        with run.endpoints.target.connect(self.job) as session:
            states = sorted(read_table_states(session, run.task.task_name).values(), key=lambda s: s.source)
        for state in states:
            self.log.info("%s: %s, %s rows", state.source, state.state, f"{state.loaded_rows:,}")
        return [_facts(state) for state in states]


def _facts(state: TableState) -> dict[str, Any]:
    seconds = None
    if state.load_started_at is not None and state.load_finished_at is not None:
        seconds = round((state.load_finished_at - state.load_started_at).total_seconds(), 3)
    return {
        "source": str(state.source),
        "target": str(state.target),
        "state": str(state.state),
        "rows": state.loaded_rows,
        "bytes": state.loaded_bytes,
        "seconds": seconds,
        "snapshot_lsn": None if state.snapshot_lsn is None else str(state.snapshot_lsn),
        "error": state.error,
    }

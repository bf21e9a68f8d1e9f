"""The operator of `jobs/sync_sequences.py`."""

from __future__ import annotations

from typing import Any

from trempy_provider.jobs.sync_sequences import sync_sequences
from trempy_provider.operators.base import JobRun, TrempyOperator


class TrempySyncSequencesOperator(TrempyOperator):
    """Bring the target's sequences to where the source's stand, for a cutover."""

    job = "sync_sequences"

    def run_job(self, run: JobRun) -> Any:
        """Run sync_sequences."""
        report = sync_sequences(run.task, source=run.endpoints.source, target=run.endpoints.target)
        return report.as_dict()

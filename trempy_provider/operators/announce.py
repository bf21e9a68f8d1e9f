"""The operator of `jobs/announce.py`."""

from __future__ import annotations

from typing import Any

from trempy_provider.operators.announcing import AnnouncingOperator
from trempy_provider.operators.base import JobRun


class TrempyAnnounceOperator(AnnouncingOperator):
    """Emit an asset event for each table that has changed since its last one; a lease of apply may go on."""

    job = "announce"
    stops_task = False  # apply announces too

    def run_job(self, run: JobRun) -> Any:
        """Announce; the XCom is how many tables."""
        return {"table_count": self.announce(run.context, run.task)}

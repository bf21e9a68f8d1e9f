"""The operator of `jobs/monitor.py`."""

from __future__ import annotations

from typing import Any

from trempy_provider.jobs.monitor import monitor
from trempy_provider.operators.base import JobRun, TrempyOperator
from trempy_provider.operators.metrics import gauge

_GAUGES = (
    "lag_seconds",
    "lag_bytes",
    "retained_wal_bytes",
    "error_count",
    "dead_letter_count",
    "queued_message_count",
)


class TrempyMonitorOperator(TrempyOperator):
    """Fail when lag, retained WAL, errors or dead letters are above what `monitor_settings` allows.

    Airflow's callbacks and notifiers carry it to whoever has to know.
    """

    job = "monitor"
    stops_task = False  # what needs attention keeps nothing from going on

    def run_job(self, run: JobRun) -> Any:
        """Measure; raise MonitorError, after the XCom is pushed, when something needs attention."""
        report = monitor(run.task, **run.endpoints.for_job(run.task))
        facts = report.as_dict()
        for name in _GAUGES:
            gauge(run.task.task_name, name, facts[name])
        if report.error is not None:
            run.context["ti"].xcom_push(key="return_value", value=facts)
            raise report.error
        return facts

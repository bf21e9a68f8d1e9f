"""The operator of `jobs/cutover.py`."""

from __future__ import annotations

from typing import Any

from trempy_provider.jobs.cutover import PATIENCE_SECONDS, cutover
from trempy_provider.operators.base import JobRun, TrempyOperator


class TrempyCutoverOperator(TrempyOperator):
    """Wait for zero lag, sync sequences, validate, and say "safe to switch"; fail with the reasons if not.

    :param patience_seconds: how long to wait for zero lag
    """

    job = "cutover"
    stops_task = False  # what keeps from switching keeps nothing from going on

    def __init__(self, *, patience_seconds: float = PATIENCE_SECONDS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patience_seconds = patience_seconds

    def run_job(self, run: JobRun) -> Any:
        """Run the cutover; raise CutoverError, after the XCom is pushed, when it is not safe."""
        report = cutover(
            run.task,
            source=run.endpoints.source,
            target=run.endpoints.target,
            patience_seconds=self.patience_seconds,
            stop=run.stop,
        )
        facts = report.as_dict()
        if report.error is not None:
            run.context["ti"].xcom_push(key="return_value", value=facts)
            raise report.error
        self.log.info("task %s: safe to switch", run.task.task_name)
        return facts

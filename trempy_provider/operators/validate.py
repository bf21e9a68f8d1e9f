"""The operator of `jobs/validate.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trempy_provider.jobs.validate import validate
from trempy_provider.operators.base import JobRun, TrempyOperator
from trempy_provider.operators.flags import is_true


class TrempyValidateOperator(TrempyOperator):
    """Compare the rows of both sides while changes are followed; fail while some differ.

    :param tables: the tables, as `schema.table`; all of the task by default
    :param choice_param: the DAG run's param that names the tables, if not `tables`
    :param repair: write the rows that differ as the source has them
    :param rows_per_second: compare no more rows a second than this
    """

    template_fields: Sequence[str] = (*TrempyOperator.template_fields, "tables", "repair")
    job = "validate"
    stops_task = False  # rows that differ keep nothing from going on

    def __init__(
        self,
        *,
        tables: Sequence[str] | None = None,
        choice_param: str | None = None,
        repair: bool | str = False,
        rows_per_second: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.choice_param = choice_param
        self.repair = repair
        self.rows_per_second = rows_per_second

    def run_job(self, run: JobRun) -> Any:
        """Run the validation; raise ValidationError, after the XCom is pushed, when tables are not equal."""
        tables = run.context["params"][self.choice_param] if self.choice_param else self.tables
        report = validate(
            run.task,
            source=run.endpoints.source,
            target=run.endpoints.target,
            tables=list(tables) if tables else None,
            repair=is_true(self.repair),
            rows_per_second=self.rows_per_second,
            stop=run.stop,
        )
        facts = report.summary()
        if report.error is not None:
            run.context["ti"].xcom_push(key="return_value", value=facts)
            raise report.error
        return facts

"""The routes of what a task has done over time: its statistics in steps, and the batches applied last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from trempy_provider.config.dag_names import CDC
from trempy_provider.plugins.api.airflow_access import find_dags
from trempy_provider.plugins.api.presentation import iso
from trempy_provider.plugins.api.servers import quick_session
from trempy_provider.plugins.api.state import ReadableTask, TaskWithLogs, valid
from trempy_provider.plugins.api.steps import Range, points_of
from trempy_provider.plugins.api.tasks import KnownTask
from trempy_provider.postgres.metadata import applied_migrations, explaining_version
from trempy_provider.postgres.statistics import (
    HOUR,
    MINUTE,
    StatisticsStep,
    read_batches,
    read_statistics,
)
from trempy_provider.postgres.tables import QualifiedName

router = APIRouter()


RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "hour": Range(HOUR, MINUTE, MINUTE),
        "day": Range(24 * HOUR, 15 * MINUTE, MINUTE),
        "week": Range(7 * 24 * HOUR, HOUR, HOUR),
    }
)


@router.get("/tasks/{name}/history")
def show_history(
    known: ReadableTask,
    span: Annotated[Literal["hour", "day", "week"], Query(alias="range")] = "hour",
    table: Annotated[str | None, Query()] = None,
) -> dict[str, Any]:
    """Return a point for each step of a range, of the task or of one of its tables."""
    task, chosen = valid(known), RANGES[span]
    steps: list[StatisticsStep] = []
    now = datetime.now(timezone.utc)
    with quick_session(task.target_conn_id, role="target") as session:
        if applied_migrations(session):
            now = session.fetch_value("select now()")
            with explaining_version(session):
                steps = read_statistics(
                    session,
                    task.task_name,
                    period_seconds=chosen.period_seconds,
                    step_seconds=chosen.step_seconds,
                    span_seconds=chosen.span_seconds + chosen.step_seconds,
                    table=None if table is None else QualifiedName.parse(table),
                )
    points = points_of(steps, chosen, now=now, is_followed=_is_followed(known))
    return {"range": span, "step_seconds": chosen.step_seconds, "points": points}


def _is_followed(known: KnownTask) -> bool:
    """Tell whether a lease of the task is in progress, be it deferred."""
    dag_id = known.dag_ids.get(CDC, "")
    facts = find_dags([dag_id]).get(dag_id)
    return facts is not None and not facts.is_paused and facts.last_run_state == "running"


@router.get("/tasks/{name}/batches")
def list_batches(known: TaskWithLogs, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> dict[str, Any]:
    """Return the batches applied last, the newest first."""
    target = quick_session(valid(known).target_conn_id, role="target")
    with target as session, explaining_version(session):
        batches = read_batches(session, known.name, limit=limit) if applied_migrations(session) else []
    return {
        "batches": [
            {
                "at": iso(batch.applied_at),
                "rows": batch.change_count,
                "transactions": batch.transaction_count,
                "seconds": batch.seconds,
                "end_lsn": str(batch.end_lsn),
            }
            for batch in batches
        ]
    }

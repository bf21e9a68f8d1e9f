"""What the page is told of tasks, as JSON values: times in ISO format and UTC, sizes in bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trempy_provider.config.dag_names import PURPOSES
from trempy_provider.errors import FieldProblem, SettingsError
from trempy_provider.jobs.overview import Stage, TaskOverview
from trempy_provider.jobs.task_status import TaskState
from trempy_provider.plugins.api.airflow_access import DagFacts
from trempy_provider.plugins.api.servers import TaskReading
from trempy_provider.plugins.api.steps import POINTS
from trempy_provider.plugins.api.tasks import KnownTask
from trempy_provider.postgres.table_states import LoadState, TableState

STATES = {
    TaskState.UNKNOWN: "unknown",
    TaskState.NOT_SET_UP: "waiting",
    TaskState.LOADING: "loading",
    TaskState.RUNNING: "running",
    TaskState.STOPPED: "stopped",
    TaskState.IDLE: "waiting",
}
UNKNOWN = TaskReading(TaskOverview(TaskState.UNKNOWN))


def describe_task(
    known: KnownTask,
    reading: TaskReading,
    *,
    dags: Mapping[str, DagFacts],
    rates: Mapping[str, float],
    sparklines: Mapping[str, list[float | None]],
) -> dict[str, Any]:
    """Return the overview of one task."""
    overview, task = reading.overview, known.task
    state, reason = _state(known, overview, dags)
    return {
        "name": known.name,
        "description": None if task is None else task.task.description or None,
        "mode": None if task is None else str(task.replication_type.value),
        "state": state,
        "state_reason": reason,
        "stop_reason": overview.stop_reason,
        "lag": _lag(overview),
        "throughput": {
            "rows_per_second": rates.get("changes"),
            "bytes_per_second": rates.get("bytes"),
        },
        "queue_depth": None if overview.queue is None else overview.queue.ready,
        "dead_letters": overview.dead_letter_count,
        "apply_errors": overview.tables.error_count,
        "wal": _wal(
            overview, rates, disk_bytes=None if task is None else task.task.statistics_settings.wal_disk_bytes
        ),
        "sparklines": {
            "lag_seconds": sparklines.get("lag_seconds", [None] * POINTS),
            "rows_per_second": sparklines.get("rows_per_second", [None] * POINTS),
        },
        "tables": {
            "total": overview.tables.total,
            "loaded": overview.tables.loaded,
            "loading": overview.tables.loading,
            "failed": overview.tables.failed,
        },
        "dags": _dag_ids(known, dags),
        "problem": known.problem or reading.problem,
    }


def counters_of(overview: TaskOverview) -> dict[str, int | None]:
    """Return what of a task grows."""
    slot, capture, checkpoint = overview.slot, overview.capture, overview.checkpoint
    return {
        "changes": None if checkpoint is None else checkpoint.change_count,
        "bytes": None if capture is None else capture.published_bytes,
        "retained": None if slot is None else slot.retained_bytes,
    }


def describe_table(state: TableState, *, note: str | None, now: datetime) -> dict[str, Any]:
    """Return one table of a task: how much of it is loaded, and what was applied to it since."""
    total = state.estimated_rows if state.estimated_rows and state.estimated_rows > 0 else None
    if state.state is LoadState.READY:
        total = state.loaded_rows
    percent = _percent(state, total)
    return {
        "schema": state.source.schema_name,
        "table": state.source.table_name,
        "state": str(state.state),
        "rows": state.loaded_rows,
        "total_rows": total,
        "percent": percent,
        "eta_seconds": _eta_seconds(state, percent, now),
        "bytes": state.loaded_bytes,
        "inserts": state.insert_count,
        "updates": state.update_count,
        "deletes": state.delete_count,
        "errors": state.error_count,
        "target_schema": state.target.schema_name,
        "target_table": state.target.table_name,
        "note": state.error or note,
    }


def problems_of(error: SettingsError) -> list[dict[str, str]]:
    """Return what is wrong with settings, field by field; what concerns no field under the path ""."""
    return describe_problems(error.problems or (FieldProblem("", str(error)),))


def describe_problems(problems: Iterable[FieldProblem]) -> list[dict[str, str]]:
    """Return what is wrong with settings, field by field."""
    return [
        {"path": problem.path, "message": str(problem).removeprefix(f"{problem.path}: ")}
        for problem in problems
    ]


def iso(at: datetime | None) -> str | None:
    """Return a time as the page reads it."""
    return None if at is None else at.isoformat()


def _state(known: KnownTask, overview: TaskOverview, dags: Mapping[str, DagFacts]) -> tuple[str, str | None]:
    """Return the word for the state, and why it is so."""
    if known.task is None:
        return "unknown", "the settings are not valid"
    state = STATES[overview.state]
    if overview.state in (TaskState.UNKNOWN, TaskState.STOPPED, TaskState.LOADING):
        return state, overview.stop_reason
    is_working = any(job != "watch" for job in overview.running_jobs)
    cdc = dags.get(known.dag_ids.get("cdc", ""))
    is_set_up = overview.state is not TaskState.NOT_SET_UP
    if is_set_up and cdc is not None and cdc.is_paused:
        more = "; the lease that runs ends soon" if is_working else ""
        return "running" if is_working else "paused", f"its CDC DAG is paused in Airflow{more}"
    failed = _failed_dag(known, dags)
    if failed is not None and not is_working:
        return "failed", f"the last run of {failed} has failed"
    return state, None if is_set_up else "it has not been set up yet"


def _failed_dag(known: KnownTask, dags: Mapping[str, DagFacts]) -> str | None:
    ids = (known.dag_ids.get(purpose, "") for purpose in ("full_load", "cdc"))
    return next((name for name in ids if name in dags and dags[name].last_run_state == "failed"), None)


def _lag(overview: TaskOverview) -> dict[str, Any]:
    lag = overview.lag
    stages = {name: overview.stages.get(name, Stage()) for name in ("capture", "broker", "apply")}
    return {
        "seconds": None if lag is None else lag.seconds,
        "bytes": None if lag is None else lag.total_bytes,
        "stages": {name: {"seconds": stage.seconds, "bytes": stage.bytes} for name, stage in stages.items()},
    }


def _wal(overview: TaskOverview, rates: Mapping[str, float], *, disk_bytes: int | None) -> dict[str, Any]:
    """Tell how much WAL the slot retains; the time left is that at the growth of the last minute."""
    slot, limit, full_by = overview.slot, overview.wal_limit_bytes, "max_slot_wal_keep_size"
    if disk_bytes is not None and (limit is None or disk_bytes < limit):
        limit, full_by = disk_bytes, "disk"
    retained = None if slot is None else slot.retained_bytes
    growth = rates.get("retained", 0.0)
    seconds = None
    if retained is not None and limit is not None and growth > 0:
        seconds = max(limit - retained, 0) / growth
    return {
        "retained_bytes": retained,
        "limit_bytes": limit,
        "seconds_until_full": seconds,
        "full_by": None if limit is None else full_by,
    }


def _dag_ids(known: KnownTask, dags: Mapping[str, DagFacts]) -> dict[str, str | None]:
    """Name the DAGs that Airflow has parsed."""
    ids = {purpose: known.dag_ids.get(purpose) for purpose in PURPOSES}
    return {purpose: dag_id if dag_id in dags else None for purpose, dag_id in ids.items()}


def _percent(state: TableState, total: int | None) -> float | None:
    if state.state is LoadState.READY:
        return 100.0
    if state.state is not LoadState.LOADING:
        return 0.0
    return None if total is None else round(min(100 * state.loaded_rows / total, 99.0), 1)


def _eta_seconds(state: TableState, percent: float | None, now: datetime) -> float | None:
    if state.state is not LoadState.LOADING or not percent or state.load_started_at is None:
        return None
    spent = (now - state.load_started_at).total_seconds()
    return round(max(spent, 0.0) * (100 - percent) / percent, 1)

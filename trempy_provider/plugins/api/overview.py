"""The routes of the overview and of one task."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from fastapi import APIRouter

from trempy_provider.errors import TrempyError
from trempy_provider.jobs.task_status import TaskState
from trempy_provider.plugins.api.airflow_access import (
    CurrentUser,
    DagFacts,
    find_dags,
    may_create_variables,
)
from trempy_provider.plugins.api.permissions import permissions_of
from trempy_provider.plugins.api.presentation import UNKNOWN, counters_of, describe_table, describe_task, iso
from trempy_provider.plugins.api.rights import readable_tasks
from trempy_provider.plugins.api.servers import TaskReading, quick_session
from trempy_provider.plugins.api.state import PageState, ReadableTask, State
from trempy_provider.plugins.api.tasks import KnownTask
from trempy_provider.postgres.metadata import applied_migrations, explaining_version
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_states import read_table_states

router = APIRouter()


@router.get("/tasks")
def list_tasks(user: CurrentUser, state: State) -> dict[str, Any]:
    """Return the overview of all tasks that the user may look at."""
    known = list(state.tasks().by_name.values())
    shown = readable_tasks(user, known)
    return {
        "now": iso(datetime.now(timezone.utc)),
        "tasks": _describe(state, shown),
        "hidden": len(known) - len(shown),
        "can_create": may_create_variables(user),
        "problems": list(state.tasks().problems) if shown or not known else [],
    }


@router.get("/tasks/{name}")
def show_task(known: ReadableTask, user: CurrentUser, state: State) -> dict[str, Any]:
    """Return one task with its tables, and what the user may do with it."""
    (described,) = _describe(state, [known])
    tables, problem = _tables(known)
    return {
        **described,
        "counts": described["tables"],
        "tables": tables,
        "problem": described["problem"] or problem,
        "can": permissions_of(user, known),
    }


def _describe(state: PageState, shown: list[KnownTask]) -> list[dict[str, Any]]:
    tasks = [known.task for known in shown if known.task is not None]
    everything = [known.task for known in state.tasks().by_name.values() if known.task is not None]
    readings = state.servers.read(tasks, among=everything)
    lines = state.sparklines.read(tasks, among=everything)
    dags = find_dags([dag_id for known in shown for dag_id in known.dag_ids.values()])
    return [_describe_one(state, known, readings, dags, lines) for known in shown]


def _describe_one(
    state: PageState,
    known: KnownTask,
    readings: Mapping[str, TaskReading],
    dags: Mapping[str, DagFacts],
    lines: Mapping[str, dict[str, list[float | None]]],
) -> dict[str, Any]:
    reading = readings.get(known.name, UNKNOWN)
    rates = {}
    if reading.overview.state is not TaskState.UNKNOWN and reading.overview.read_at is not None:
        rates = state.rates.note(known.name, reading.overview.read_at, counters_of(reading.overview))
    return describe_task(known, reading, dags=dags, rates=rates, sparklines=lines.get(known.name, {}))


def _tables(known: KnownTask) -> tuple[list[dict[str, Any]], str | None]:
    """Return the tables by name, or why they cannot be told."""
    if known.task is None:
        return [], None
    try:
        with quick_session(known.task.target_conn_id, role="target") as session:
            return _read_tables(session, known.name), None
    except TrempyError as error:
        return [], str(error)


def _read_tables(session: Session, task_name: str) -> list[dict[str, Any]]:
    if not applied_migrations(session):
        return []
    now = session.fetch_value("select clock_timestamp()")
    with explaining_version(session):
        states = read_table_states(session, task_name).values()
    errors = session.fetch_all(static_sql("last_apply_errors"), {"task_name": task_name})
    notes = {oid: f"{operation}: {summary}" for oid, operation, summary in errors}
    return [
        describe_table(table, note=notes.get(table.source_oid), now=now)
        for table in sorted(states, key=lambda table: table.source)
    ]

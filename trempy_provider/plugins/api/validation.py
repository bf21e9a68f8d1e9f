"""The routes of a task's last validation: what it says of each table, and the rows that differ."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from trempy_provider.plugins.api.presentation import iso
from trempy_provider.plugins.api.servers import quick_session
from trempy_provider.plugins.api.state import ReadableTask, TaskWithLogs, valid
from trempy_provider.postgres.last_validation import (
    FoundDifference,
    LastValidation,
    read_differences,
    read_last_validation,
)
from trempy_provider.postgres.metadata import applied_migrations, explaining_version
from trempy_provider.postgres.table_states import TableState, read_table_states
from trempy_provider.postgres.validations import TableValidation, TableVerdict

RUNNING, STOPPED = "running", "stopped"
_ALMOST_ALL = 99.0  # percent, while it is not finished
router = APIRouter()


@router.get("/tasks/{name}/validation")
def show_validation(known: ReadableTask) -> dict[str, Any]:
    """Return what the last validation says of each table, and how far it is; no key of a row."""
    task = valid(known)
    target = quick_session(task.target_conn_id, role="target")
    with target as session, explaining_version(session):
        found = read_last_validation(session, known.name) if applied_migrations(session) else None
        states = {} if found is None else read_table_states(session, known.name)
    return {"validation": None if found is None else _describe(found, states)}


@router.get("/tasks/{name}/validation/differences")
def list_differences(
    known: TaskWithLogs,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> dict[str, Any]:
    """Return the rows that differ by their keys, as the target has them."""
    target = quick_session(valid(known).target_conn_id, role="target")
    with target as session, explaining_version(session):
        if not applied_migrations(session):
            return {"differences": [], "next": None}
        found = read_differences(session, known.name, after_id=after, limit=limit + 1)
    shown = found[:limit]
    return {
        "differences": [_difference(each) for each in shown],
        "next": shown[-1].difference_id if len(found) > limit else None,
    }


def _describe(found: LastValidation, states: dict[int, TableState]) -> dict[str, Any]:
    is_finished = found.finished_at is not None
    state = found.verdict or TableVerdict.NOT_COMPARED
    unfinished = RUNNING if found.is_running else STOPPED
    return {
        "started_at": iso(found.started_at),
        "finished_at": iso(found.finished_at),
        "state": str(state) if is_finished else unfinished,
        "repairs": found.repairs,
        "chosen": list(found.chosen),
        "table_count": len(found.tables) if is_finished else len(found.chosen) or len(states),
        "finished_count": sum(table.is_finished for table in found.tables),
        "tables": [_table(table, states.get(table.source_oid), unfinished) for table in found.tables],
    }


def _table(table: TableValidation, state: TableState | None, unfinished: str) -> dict[str, Any]:
    return {
        "table": table.source_name,
        "target": table.target_name,
        "state": str(table.state) if table.is_finished else unfinished,
        "percent": _percent(table, state),
        "ranges": table.range_count,
        "rows": table.row_count,
        "missing": table.missing_count,
        "different": table.different_count,
        "extra": table.extra_count,
        "tolerated": table.tolerated_count,
        "unsettled": table.unsettled_count,
        "failing": table.failing_count,
        "repaired": table.repaired_count,
        "failed": table.failed_count,
        "notes": table.notes,
    }


def _percent(table: TableValidation, state: TableState | None) -> float | None:
    """Return how much of a table is compared; by the rows that were loaded, inserted and deleted."""
    if table.is_finished:
        return None if table.state is TableVerdict.NOT_COMPARED else 100.0
    total = 0 if state is None else state.loaded_rows + state.insert_count - state.delete_count
    return round(min(100 * table.row_count / total, _ALMOST_ALL), 1) if total > 0 else None


def _difference(found: FoundDifference) -> dict[str, Any]:
    return {
        "id": found.difference_id,
        "at": iso(found.found_at),
        "table": found.source_name,
        "kind": str(found.kind),
        "key": found.key,
        "rows": found.row_count,
        "outcome": found.outcome,
    }

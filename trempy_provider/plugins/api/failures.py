"""The routes of what has failed: rows, with their statements, and dead letters, with their changes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from trempy_provider.apply_modes.modes import APPLY_MODES
from trempy_provider.config.task import ReplicationTask
from trempy_provider.hooks.rabbitmq import RabbitMQHook
from trempy_provider.jobs.dead_letters import ShownLetter
from trempy_provider.jobs.letter_pages import read_letter_page
from trempy_provider.plugins.api.presentation import iso
from trempy_provider.plugins.api.servers import quick_endpoint, quick_session
from trempy_provider.plugins.api.state import TaskWithLogs, valid
from trempy_provider.postgres.metadata import applied_migrations, explaining_version
from trempy_provider.postgres.session import static_sql
from trempy_provider.replication.changes import Operation
from trempy_provider.replication.readable import ReadableChange

CHANGES_SHOWN = 5
router = APIRouter()


@router.get("/tasks/{name}/errors")
def list_errors(
    known: TaskWithLogs,
    after: Annotated[int | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> dict[str, Any]:
    """Return rows that could not be written, the newest first; their messages have no values of rows."""
    task = valid(known)
    target = quick_session(task.target_conn_id, role="target")
    with target as session, explaining_version(session):
        if not applied_migrations(session):
            return {"errors": [], "next": None}
        rows = session.fetch_all(
            static_sql("list_apply_errors"),
            {"task_name": task.task_name, "before_id": after, "limit": limit + 1},
        )
    errors = [_error(task, row) for row in rows[:limit]]
    return {"errors": errors, "next": errors[-1]["id"] if len(rows) > limit else None}


@router.get("/tasks/{name}/dead_letters")
def list_dead_letters(
    known: TaskWithLogs,
    after: Annotated[str | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> dict[str, Any]:
    """Return dead letters in the order of commits, each with its first changes."""
    task = valid(known)
    if not task.captures_changes:
        return {"dead_letters": [], "next": None}
    page = read_letter_page(
        task,
        target=quick_endpoint(task.target_conn_id, role="target"),
        broker=RabbitMQHook(task.broker_conn_id).broker(task.task_name),
        after=after,
        limit=limit,
        changes_limit=CHANGES_SHOWN,
    )
    return {"dead_letters": [_letter(shown) for shown in page.letters], "next": page.next_after}


def _error(task: ReplicationTask, row: tuple[Any, ...]) -> dict[str, Any]:
    error_id, at, schema, table, operation, sqlstate, summary, statement, lsn, xid, *target = row
    return {
        "id": error_id,
        "at": iso(at),
        "schema": schema or target[0],
        "table": table or target[1],
        "operation": operation,
        "policy": "stop" if _stops_at(task, operation) else "continue",
        "error": f"{summary} (SQLSTATE {sqlstate})",
        "statement": statement,
        "lsn": lsn,
        "transaction_id": xid,
    }


def _stops_at(task: ReplicationTask, operation: str) -> bool:
    known = {each.value for each in Operation}
    mode = APPLY_MODES[task.cdc.mode]
    return operation in known and mode.stops_at(Operation(operation), task.error_handling)


def _letter(shown: ShownLetter) -> dict[str, Any]:
    """Return a letter, described by its first change."""
    letter, first = shown.letter, next(iter(shown.changes), None)
    changes = [_change(change) for change in shown.changes]
    described = (
        _change(first) if first is not None else dict.fromkeys(("schema", "table", "operation", "row"))
    )
    return {
        "id": letter.message_id,
        "at": iso(letter.occurred_at),
        "state": str(letter.state),
        "reason": letter.reason,
        "lsn": None if letter.first_lsn is None else str(letter.first_lsn),
        "transaction_id": letter.transaction_id,
        "attempts": letter.attempt_count,
        **described,
        "changes": changes,
        "is_complete": shown.is_complete,
        "problem": shown.problem,
    }


def _change(change: ReadableChange) -> dict[str, Any]:
    """Return a change: its row as it is after it, or as it was before a delete."""
    schema, _, table = change.table.partition(".")
    return {
        "schema": schema,
        "table": table,
        "operation": str(change.operation.value),
        "row": change.new or {**change.key, **change.old},
    }

"""The assistant's routes: draft settings from a description, and prove a draft; nothing is saved or started.

Whoever is to be helped has to be allowed to save what comes of it: to create the task's Variable, or to
change it where it is there, and to look at the task's DAGs.
A draft tells what the connections lead to, so that it needs the right to look at each of them, the model's
too; a dry run, at all that the settings name.
Values of rows are shown, and the common ones are sent to a model, when they are asked for, to those who may
read the logs of the task's DAGs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, status
from pydantic import BaseModel, ConfigDict, Field

from trempy_provider.assistant.draft import CONNECTION_KEYS, ORIGIN, Frame
from trempy_provider.assistant.model import DEFAULT_CONN_ID
from trempy_provider.assistant.suggest import DESCRIPTION_MAX_LENGTH
from trempy_provider.config.dag_names import all_dag_ids_of
from trempy_provider.config.loader import load_task
from trempy_provider.config.masks import salt_connections
from trempy_provider.config.options import TASK_NAME_MAX_LENGTH
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import SettingsError
from trempy_provider.hooks.settings import task_variable_of
from trempy_provider.plugins.api.airflow_access import (
    CurrentUser,
    Method,
    User,
    may_create_variables,
    may_read_connection,
    note_deed,
    readable_connections,
)
from trempy_provider.plugins.api.drafting import Order, connection_of, make_draft, prove
from trempy_provider.plugins.api.long_calls import LongCall
from trempy_provider.plugins.api.presentation import problems_of
from trempy_provider.plugins.api.rights import (
    readable_tasks,
    require_logs,
    require_readable,
    require_variable,
)
from trempy_provider.plugins.api.settings import Checked
from trempy_provider.plugins.api.state import PageState, State
from trempy_provider.plugins.api.tasks import KnownTask

DATABASE_TYPES = frozenset({"postgres", "trempy_source", "trempy_target"})
BROKER_TYPE = "rabbitmq"
MODEL_TYPE = "pydanticai"  # and each type that begins with it
_NO_NAME = "suggest"  # of a task that the draft is to name
router = APIRouter(prefix="/assistant")
TaskName = Annotated[str, Field(pattern="^[a-z0-9_]*$", max_length=TASK_NAME_MAX_LENGTH)]
ConnectionName = Annotated[str, Field(max_length=250)]


class Wanted(BaseModel):
    """What a person wants, in any language; connections left empty are those of the present settings.

    `model_conn` is the model's connection: "" for the advisor, null for `trempy_model` where there is one.
    """

    model_config = ConfigDict(extra="forbid")

    description: Annotated[str, Field(min_length=1, max_length=DESCRIPTION_MAX_LENGTH)]
    task_name: TaskName = ""
    source_conn: ConnectionName = ""
    target_conn: ConnectionName = ""
    broker_conn: ConnectionName = ""
    model_conn: ConnectionName | None = None
    allow_values: bool = False

    def frame(self, present: Mapping[str, Any] | None) -> Frame:
        """Return what the draft has to leave as it is."""
        options = {} if present is None else present["task"]
        given = {
            key: getattr(self, key.removesuffix("_id"), "") or options.get(key) for key in CONNECTION_KEYS
        }
        named = {key: conn_id for key, conn_id in given.items() if conn_id}
        return Frame(self.task_name or None, named, present)


class Proof(Checked):
    """Settings to prove, as text; `rows` asks for values of rows as well."""

    rows: bool = False


def _prepare_draft(wanted: Wanted, user: CurrentUser, state: State) -> LongCall[dict[str, Any]]:
    """Return what makes the draft, when the user may have it."""
    state.forget_tasks()
    known = _require_editor(user, wanted.task_name, state)
    if known is not None and known.task is None:
        raise HTTPException(status.HTTP_409_CONFLICT, known.problem)
    present = None if known is None else _parsed(known.settings.text)
    model_conn, warnings = _choose_model(user, wanted.model_conn)
    order = Order(
        description=wanted.description,
        frame=wanted.frame(present),
        model_conn=model_conn,
        allow_values=wanted.allow_values,
        warnings=warnings,
        **_tasks(user, state),
    )
    if wanted.allow_values:
        name = wanted.task_name or _NO_NAME
        require_logs(user, list(all_dag_ids_of(name).values()))
        note_deed(user, "trempy_show_rows", extra=f"common values for a draft of {name}")
    named = [order.connection("source"), order.connection("target"), wanted.broker_conn, model_conn]
    _require_connections(user, [*named, order.metadata_connection or ""])
    return partial(make_draft, order)


def _prepare_proof(given: Proof, user: CurrentUser, state: State) -> LongCall[dict[str, Any]]:
    """Return what proves the settings, when the user may see what comes of it."""
    task = _load(given.text)
    _require_editor(user, task.task_name, state)
    parts = ("source", "target", "metadata", *(["broker"] if task.captures_changes else []))
    options = task.task.model_dump(include=set(CONNECTION_KEYS))
    _require_connections(user, [*(connection_of(options, part) for part in parts), *salt_connections(task)])
    if given.rows:
        require_logs(user, list(all_dag_ids_of(task.task_name).values()))
        note_deed(user, "trempy_show_rows", extra=f"dry run of {task.task_name}")
    return partial(prove, task, shows_rows=given.rows)


@router.get("/context")
def show_choices(user: CurrentUser, state: State, task_name: TaskName = "") -> dict[str, Any]:
    """Return the connections that the user may look at, of those that Airflow's database has."""
    _require_editor(user, task_name, state)
    found = sorted(readable_connections(user).items())
    models = [conn_id for conn_id, conn_type in found if conn_type.startswith(MODEL_TYPE)]
    return {
        "databases": [conn_id for conn_id, conn_type in found if conn_type in DATABASE_TYPES],
        "brokers": [conn_id for conn_id, conn_type in found if conn_type == BROKER_TYPE],
        "models": models,
        "model": _default_model(user),
        "defaults": {part: connection_of({}, part) for part in ("source", "target", "broker")},
    }


@router.post("/draft")
async def draft_settings(
    call: Annotated[LongCall[dict[str, Any]], Depends(_prepare_draft)], request: Request, state: State
) -> dict[str, Any]:
    """Return a draft, why each setting is as it is, and what it would change."""
    return await state.long_calls.run(request, call)


@router.post("/dry_run")
async def prove_settings(
    call: Annotated[LongCall[dict[str, Any]], Depends(_prepare_proof)], request: Request, state: State
) -> dict[str, Any]:
    """Apply settings to a sample of each table's rows and undo it; return what came of it."""
    return await state.long_calls.run(request, call)


def _require_editor(user: User, task_name: str, state: PageState) -> KnownTask | None:
    """Return the task, None for a new one; raise 403 unless the user may save settings of that name."""
    if not task_name:
        if not may_create_variables(user):
            raise _forbidden("you may not create the Variable of a task")
        return None
    known = state.tasks().by_name.get(task_name)
    require_readable(user, list((all_dag_ids_of(task_name) if known is None else known.dag_ids).values()))
    key = task_variable_of(task_name)
    methods: tuple[Method, ...] = ("POST",) if known is None else ("GET", "PUT")
    for method in methods:
        require_variable(user, key, method=method)
    return known


def _require_connections(user: User, conn_ids: Iterable[str]) -> None:
    for conn_id in dict.fromkeys(conn_ids):
        if conn_id and not may_read_connection(user, conn_id):
            raise _forbidden(f"you may not look at the connection {conn_id}")


def _choose_model(user: User, wanted: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the model's connection, "" for none; and what to say of it."""
    if wanted is not None:
        return wanted, ()
    if default := _default_model(user):
        return default, ()
    return "", (f"No connection {DEFAULT_CONN_ID!r} leads to a language model: this is the advisor's draft.",)


def _default_model(user: User) -> str | None:
    """Return the usual connection of a model where there is one that the user may look at."""
    is_there = (
        f"AIRFLOW_CONN_{DEFAULT_CONN_ID.upper()}" in os.environ
        or DEFAULT_CONN_ID in readable_connections(user)
    )
    return DEFAULT_CONN_ID if is_there and may_read_connection(user, DEFAULT_CONN_ID) else None


def _tasks(user: User, state: PageState) -> dict[str, Any]:
    """Return the tasks that a draft may learn from, and the names of those that the user may not see."""
    known = list(state.tasks().by_name.values())
    shown = readable_tasks(user, known)
    names = {each.name for each in shown}
    return {
        "tasks": tuple(each.task for each in shown if each.task is not None),
        "hidden_tasks": frozenset(each.name for each in known if each.name not in names),
    }


def _load(text: str) -> ReplicationTask:
    try:
        return load_task(text, origin=ORIGIN)
    except SettingsError as error:
        detail = {"problems": problems_of(error)}
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, detail) from error


def _parsed(text: object) -> Mapping[str, Any]:
    if isinstance(text, Mapping):
        return text
    parsed: Mapping[str, Any] = json.loads(text.decode() if isinstance(text, bytes) else str(text))
    return parsed


def _forbidden(detail: str) -> HTTPException:
    return HTTPException(status.HTTP_403_FORBIDDEN, detail)

"""The routes of a task's settings: look at them, check changed ones, save them as the task's Variable."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, status
from pydantic import BaseModel, ConfigDict, Field

from trempy_provider.config.differences import find_differences
from trempy_provider.config.json_text import JsonTextError, parse_json
from trempy_provider.config.loader import load_task, task_json_schema
from trempy_provider.errors import SettingsError, TrempyError
from trempy_provider.hooks.settings import (
    SettingsText,
    etag_of,
    find_settings,
    is_in_environment,
    task_variable_of,
)
from trempy_provider.plugins.api.airflow_access import (
    ChangedMeanwhileError,
    CurrentUser,
    may_use_variable,
    read_variables,
    save_variable,
)
from trempy_provider.plugins.api.presentation import problems_of
from trempy_provider.plugins.api.rights import require_variable
from trempy_provider.plugins.api.state import PermittedName, State

LARGEST_TEXT = 4 * 1024 * 1024
router = APIRouter()


class Checked(BaseModel):
    """Settings to check, as text."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=LARGEST_TEXT)]


class Saved(Checked):
    """Settings to save; the etag is that of the settings they were made of, null for a new task."""

    etag: str | None


@router.get("/tasks/{name}/settings")
def show_settings(name: PermittedName, user: CurrentUser) -> dict[str, Any]:
    """Return the settings as they are now, wherever they are kept, and what they may hold."""
    key = task_variable_of(name)
    require_variable(user, key, method="GET")
    present = _present(name)
    if present is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"there is no replication task {name!r}")
    in_database = read_variables(key).get(key) is not None and not is_in_environment(key)
    text = _text(present)
    return {
        "variable": key if in_database else None,
        "origin": present.origin,
        "settings": _parsed(text),
        "text": text,
        "schema": task_json_schema(),
        "etag": etag_of(text),
        "can_edit": in_database and may_use_variable(user, key, method="PUT"),
    }


@router.post("/tasks/{name}/settings/check")
def check_settings(name: PermittedName, user: CurrentUser, given: Checked) -> dict[str, Any]:
    """Say what is wrong with changed settings, and what they would change."""
    require_variable(user, task_variable_of(name), method="GET")
    problems = _problems(name, given.text)
    present = _present(name)
    before = None if present is None else _parsed(_text(present))
    after = _parsed(given.text)
    differences = [] if after is None else find_differences({} if before is None else before, after)
    return {
        "valid": not problems,
        "problems": problems,
        "diff": [asdict(difference) for difference in differences],
    }


@router.put("/tasks/{name}/settings")
def save_settings(name: PermittedName, user: CurrentUser, given: Saved, state: State) -> dict[str, Any]:
    """Save valid settings, unless they were changed meanwhile; Airflow makes the DAGs anew within seconds."""
    key = task_variable_of(name)
    require_variable(user, key, method="POST" if given.etag is None else "PUT")
    if problems := _problems(name, given.text):
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, {"problems": problems})
    if is_in_environment(key):
        raise _conflict(f"the Variable {key} is set in the environment: it cannot be changed here")
    present = read_variables(key).get(key)
    if given.etag != (None if present is None else etag_of(present)):
        raise _conflict("the settings were changed meanwhile by somebody else")
    if present is None and _present(name) is not None:
        raise _conflict(f"task {name} is defined elsewhere than in the Variable {key}")
    try:
        save_variable(user, key, given.text, expected=present)
    except ChangedMeanwhileError as error:
        raise _conflict("the settings were changed meanwhile by somebody else") from error
    state.forget_tasks()
    return {"etag": etag_of(given.text)}


def _problems(name: str, text: str) -> list[dict[str, str]]:
    try:
        task = load_task(text, origin="settings")
    except SettingsError as error:
        return problems_of(error)
    if task.task_name != name:
        message = f"is {task.task_name!r}; expected {name!r}, the name of the task that is edited"
        return [{"path": "task.task_name", "message": message}]
    return []


def _present(name: str) -> SettingsText | None:
    """Return the settings as they are this moment; the Variables of Airflow's database are read directly."""
    key = task_variable_of(name)
    text = None if is_in_environment(key) else read_variables(key).get(key)
    if text is not None:
        return SettingsText(name, f"Variable {key}", text, key)
    try:
        return find_settings(name)
    except TrempyError:
        return None


def _text(settings: SettingsText) -> str:
    if isinstance(settings.text, bytes):
        return settings.text.decode(errors="replace")
    if isinstance(settings.text, str):
        return settings.text
    return json.dumps(settings.text, indent=2, ensure_ascii=False)


def _parsed(text: str) -> object | None:
    """Return the value of JSON text, None where it is not JSON."""
    try:
        return parse_json(text)
    except JsonTextError:
        return None


def _conflict(detail: str) -> HTTPException:
    return HTTPException(status.HTTP_409_CONFLICT, detail)

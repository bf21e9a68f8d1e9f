"""Find the settings of replication tasks: Variables first, a folder of JSON files as the fallback.

A task is kept in a Variable of its own, `trempy_task_<task_name>`, or under its name in the Variable
`trempy_tasks`, or in `<task_name>.json` in the folder that TREMPY_TASKS_FOLDER names.
Where a name is found in several places, the first of these counts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from airflow.sdk import Variable

from trempy_provider.config.loader import load_task, split_tasks
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, FieldProblem, SettingsError

ALL_TASKS_VARIABLE = "trempy_tasks"
TASK_VARIABLE_PREFIX = "trempy_task_"
FOLDER_ENVIRONMENT = "TREMPY_TASKS_FOLDER"
_VARIABLE_ENVIRONMENT_PREFIX = f"AIRFLOW_VAR_{TASK_VARIABLE_PREFIX.upper()}"


@dataclass(frozen=True, slots=True)
class SettingsText:
    """The settings of one task as they were found, not yet validated."""

    task_name: str
    origin: str  # the Variable or file, for messages
    text: object  # JSON text, or what was parsed of a larger one
    variable_key: str | None = None  # the Variable of its own, if it has one

    def load(self) -> ReplicationTask:
        """Validate; raise ConfigurationError subclasses that name the origin and the field."""
        task = load_task(self.text, origin=self.origin)
        if task.task_name != self.task_name:
            raise SettingsError(
                f"{self.origin}: task.task_name is {task.task_name!r}; expected {self.task_name!r}",
                problems=(FieldProblem("task.task_name", "differs from the name it is kept under"),),
            )
        return task


def task_variable_of(task_name: str) -> str:
    """Return the key of the Variable of its own that a task may have."""
    return f"{TASK_VARIABLE_PREFIX}{task_name}"


def find_settings(task_name: str) -> SettingsText:
    """Return the settings of one task, in one look-up where it has a Variable of its own.

    Raise ConfigurationError when there are none.
    """
    key = task_variable_of(task_name)
    if text := Variable.get(key, default=None):
        return SettingsText(task_name, f"Variable {key}", text, key)
    for settings in (*_read_all_tasks_variable(), *_read_folder()):
        if settings.task_name == task_name:
            return settings
    raise ConfigurationError(
        f"replication task {task_name!r} is not defined",
        hint=f"Create the Variable {key}, or an entry {task_name!r} in the Variable {ALL_TASKS_VARIABLE}.",
    )


def etag_of(settings: object) -> str:
    """Return what tells settings from others: the same for the same JSON value, however it is written.

    Text that is no JSON is told from others by its characters.
    """
    value = settings
    if isinstance(settings, str | bytes):
        try:
            value = json.loads(settings)
        except ValueError:
            value = settings if isinstance(settings, str) else settings.decode(errors="backslashreplace")
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def save_settings(settings: Mapping[str, Any], *, replaces: str | None) -> str:
    """Keep a task's settings in a Variable of its own; return the Variable's key.

    `replaces` is the etag of the settings that they were made of, None where there were none.
    Raise ConfigurationError subclasses when they do not validate, or the task has other settings by now:
    nothing is saved then.
    """
    task = load_task(settings, origin="settings to save")
    key = task_variable_of(task.task_name)
    if is_in_environment(key):
        raise ConfigurationError(
            f"the Variable {key} is set in the environment: nothing was saved",
            hint="Change it there, or take it out of the environment.",
        )
    present = find_present(task.task_name)
    if (None if present is None else etag_of(present.text)) != replaces:
        raise ConfigurationError(
            _changed(task.task_name, present), hint="Draft again, from what is there now."
        )
    Variable.set(key, json.dumps(settings, indent=2, ensure_ascii=False))
    return key


def is_in_environment(key: str) -> bool:
    """Tell whether a Variable is set in the environment, which counts first and cannot be saved to."""
    return f"AIRFLOW_VAR_{key.upper()}" in os.environ


def find_present(task_name: str) -> SettingsText | None:
    """Return the settings of one task, None where there are none; raise SettingsError as they are read."""
    try:
        return find_settings(task_name)
    except SettingsError:
        raise
    except ConfigurationError:
        return None


def _changed(task_name: str, present: SettingsText | None) -> str:
    if present is None:
        return f"the settings of task {task_name} were removed since the draft was made: nothing was saved"
    return f"{present.origin} was changed by somebody else since the draft was made: nothing was saved"


def find_all_settings(variables: Mapping[str, str] | None = None) -> list[SettingsText | SettingsError]:
    """Return the settings of all tasks, ordered by name, and the errors of places that cannot be read.

    `variables` are the tasks' Variables of Airflow's database, from whoever has read them already.
    """
    found: dict[str, SettingsText] = {}
    errors: list[SettingsError] = []
    for read_place in (partial(_read_task_variables, variables), _read_all_tasks_variable, _read_folder):
        try:
            for settings in read_place():
                found.setdefault(settings.task_name, settings)
        except SettingsError as error:
            errors.append(error)
    return [*errors, *(found[name] for name in sorted(found))]


def _read_task_variables(present: Mapping[str, str] | None) -> Iterator[SettingsText]:
    of_environment = _environment_keys()
    for key in sorted(of_environment | set(_database_keys() if present is None else present)):
        is_read = present is not None and key not in of_environment
        text = present[key] if present is not None and is_read else Variable.get(key, default=None)
        if text is not None:
            yield SettingsText(key.removeprefix(TASK_VARIABLE_PREFIX), f"Variable {key}", text, key)


def _environment_keys() -> set[str]:
    return {
        name.removeprefix("AIRFLOW_VAR_").lower()
        for name in os.environ
        if name.startswith(_VARIABLE_ENVIRONMENT_PREFIX)
    }


def _database_keys() -> set[str]:
    """Name the tasks' Variables; secrets backends cannot be listed, so theirs belong into `trempy_tasks`."""
    try:
        return set(Variable.keys(prefix=TASK_VARIABLE_PREFIX))
    except ImportError:  # outside Airflow's own processes nobody answers
        return set()


def _read_all_tasks_variable() -> Iterator[SettingsText]:
    text = Variable.get(ALL_TASKS_VARIABLE, default=None)
    if not text:
        return
    origin = f"Variable {ALL_TASKS_VARIABLE}"
    for task_name, settings in sorted(split_tasks(text, origin=origin).items()):
        yield SettingsText(task_name, f"{origin}, task {task_name}", settings)


def _read_folder() -> Iterator[SettingsText]:
    folder = os.environ.get(FOLDER_ENVIRONMENT)
    if not folder:
        return
    for path in sorted(Path(folder).glob("*.json")):
        try:
            yield SettingsText(path.stem, f"file {path}", path.read_bytes())
        except OSError as error:
            raise SettingsError(f"file {path}: cannot be read: {error.strerror}") from error

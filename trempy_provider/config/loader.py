"""From JSON text or a mapping to a ReplicationTask; errors name every field that is wrong, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from trempy_provider.config.contradictions import SettingsParts, find_contradictions
from trempy_provider.config.fields import SettingsModel
from trempy_provider.config.filters import TableFilter
from trempy_provider.config.json_text import JsonTextError, parse_json, repeated_keys
from trempy_provider.config.options import TaskOptions
from trempy_provider.config.problems import ProblemTranslator
from trempy_provider.config.schema import task_json_schema
from trempy_provider.config.tables import TableSelection
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.transformations import TableTransformation
from trempy_provider.config.wording import ROOT_PATH, show
from trempy_provider.errors import FieldProblem, SettingsError

__all__ = ["load_task", "split_tasks", "task_json_schema"]

_Model = TypeVar("_Model", bound=SettingsModel)


def load_task(settings: object, *, origin: str) -> ReplicationTask:
    """Return the task; `origin` names the file or Variable in errors.

    Raises SettingsError with every problem, one in a line: its path, what was seen and what is allowed.
    """
    value = _as_value(settings, origin=origin)
    problems = list(repeated_keys(value))
    try:
        task = ReplicationTask.model_validate(value)
    except ValidationError as error:
        problems += _all_problems(value, error)
    if problems:
        raise _settings_error(problems, origin=origin)
    return task


def split_tasks(settings: object, *, origin: str) -> dict[str, object]:
    """Return the settings of each task of an object that holds many by name; they are not validated yet.

    Raises SettingsError if the whole is not a JSON object.
    """
    value = _as_value(settings, origin=origin)
    if not isinstance(value, Mapping):
        expected = "an object that holds the settings of each task by its name"
        raise _settings_error([FieldProblem(ROOT_PATH, "wrong type", show(value), expected)], origin=origin)
    repeated = next((p for p in repeated_keys(value) if p.path in value), None)
    if repeated is not None:
        raise _settings_error([repeated], origin=origin)
    return dict(value)


def _as_value(settings: object, *, origin: str) -> object:
    if not isinstance(settings, str | bytes):
        return dict(settings) if isinstance(settings, Mapping) else settings
    try:
        return parse_json(settings)
    except JsonTextError as error:
        raise _settings_error([FieldProblem(ROOT_PATH, str(error))], origin=origin) from error


def _all_problems(value: object, error: ValidationError) -> list[FieldProblem]:
    if not isinstance(value, Mapping):
        return [_wrong_root(value)]
    problems = ProblemTranslator().problems(error)
    if any(details["type"] == "contradictions" for details in error.errors()):
        return problems
    return problems + find_contradictions(_valid_parts(value))


def _valid_parts(value: Mapping[str, object]) -> SettingsParts:
    task = _valid_entries(TaskOptions, [value.get("task")])
    tables = _valid_entries(TableSelection, value.get("tables"))
    listed = value.get("tables")
    return SettingsParts(
        task=task.get(0),
        tables=tables,
        filters=_valid_entries(TableFilter, value.get("filters")),
        transformations=_valid_entries(TableTransformation, value.get("transformations")),
        all_tables_are_known=isinstance(listed, list) and 0 < len(listed) == len(tables),
    )


def _valid_entries(model: type[_Model], entries: object) -> dict[int, _Model]:
    listed = entries if isinstance(entries, list | tuple) else ()
    checked = {i: _valid_or_none(model, entry) for i, entry in enumerate(listed)}
    return {i: entry for i, entry in checked.items() if entry is not None}


def _valid_or_none(model: type[_Model], entry: object) -> _Model | None:
    try:
        return model.model_validate(entry)
    except ValidationError:
        return None


def _wrong_root(value: object) -> FieldProblem:
    keys = ", ".join(task_json_schema()["properties"])
    return FieldProblem(ROOT_PATH, "wrong type", show(value), f"an object with the keys {keys}")


def _settings_error(problems: list[FieldProblem], *, origin: str) -> SettingsError:
    noun = "problem" if len(problems) == 1 else "problems"
    lines = "".join(f"\n  {problem}" for problem in problems)
    return SettingsError(f"{origin}: {len(problems)} {noun} in the settings{lines}", problems=tuple(problems))

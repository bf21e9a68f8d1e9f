"""Whether drafted settings are valid, fit the real schema, and leave alone what a person has decided.

Whatever a model answers, and whoever has talked it into that, only settings that pass here can be saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trempy_provider.assistant.advisor import Grounds
from trempy_provider.assistant.catalogue import TableFacts
from trempy_provider.assistant.draft import CONNECTION_KEYS, ORIGIN
from trempy_provider.assistant.redaction import HIDDEN
from trempy_provider.config.chaining import apply_settings
from trempy_provider.config.choices import ApplyModeName
from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.loader import load_task
from trempy_provider.config.masks import salt_connections
from trempy_provider.config.operations import Hash
from trempy_provider.config.options import TaskOptions
from trempy_provider.config.tables import TableSelection
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.value_types import ValueType
from trempy_provider.config.wording import listing, show, suggestion
from trempy_provider.errors import FieldProblem, SettingsError


def find_problems(settings: Mapping[str, Any], grounds: Grounds) -> tuple[FieldProblem, ...]:
    """Return what is wrong with drafted settings, each with its path; () when they can be saved."""
    try:
        task = load_task(settings, origin=ORIGIN)
    except SettingsError as error:
        return error.problems
    return (
        *_hidden(settings, ""),
        *_decisions(task, grounds),
        *_tables(task, grounds),
        *_columns(task, grounds),
    )


def _hidden(value: Any, path: str) -> Iterator[FieldProblem]:
    """Find values that were hidden from the model, and that it gives back as it saw them."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _hidden(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            yield from _hidden(entry, f"{path}[{i}]")
    elif isinstance(value, str) and HIDDEN in value:
        yield FieldProblem(path, "holds what was hidden from the model: write it by hand", show(value))


def _decisions(task: ReplicationTask, grounds: Grounds) -> Iterator[FieldProblem]:
    """Find connections and names that are not the draft's to choose."""
    frame = grounds.frame
    for key in CONNECTION_KEYS:
        seen = getattr(task.task, key)
        wanted = (frame.connections or {}).get(key, TaskOptions.model_fields[key].default)
        if seen != wanted:
            yield FieldProblem(f"task.{key}", "is for a person to choose", show(seen), show(wanted))
    if frame.task_name is not None and task.task_name != frame.task_name:
        yield FieldProblem(
            "task.task_name", "is for a person to choose", show(task.task_name), show(frame.task_name)
        )
    elif task.task_name in frame.taken_names:
        yield FieldProblem("task.task_name", "is the name of another task", show(task.task_name))
    allowed = _known_salts(grounds)
    for conn_id in salt_connections(task):
        if conn_id not in allowed:
            yield FieldProblem(
                "transformations", "salt_conn_id is for a person to choose", show(conn_id), listing(allowed)
            )


def _known_salts(grounds: Grounds) -> list[str]:
    known = {str(Hash.model_fields["salt_conn_id"].default)}
    for task in grounds.history.tasks:
        known.update(() if task.settings is None else salt_connections(task.settings))
    if grounds.frame.present is not None:
        known.update(salt_connections(load_task(grounds.frame.present, origin="present settings")))
    return sorted(known)


def _tables(task: ReplicationTask, grounds: Grounds) -> Iterator[FieldProblem]:
    names = [f"{table.name.schema_name}.{table.name.table_name}" for table in grounds.catalogue.tables]
    for i, selection in enumerate(task.tables):
        matching = _matching(selection, grounds)
        if not matching:
            meant = suggestion(selection.qualified_name, names)
            yield FieldProblem(
                f"tables[{i}]",
                f"the source has no such table{meant}",
                show(selection.qualified_name),
                listing(names),
            )
        for table in matching:
            yield from _selection_columns(f"tables[{i}]", selection, table)
            if task.cdc.mode is ApplyModeName.SCD2 and not table.primary_key:
                yield FieldProblem(
                    f"tables[{i}]", f"{table.name} has no primary key, which the mode scd2 needs"
                )
    for path, reference in task.parts().references():
        if not any(
            reference.matches(table.name.schema_name, table.name.table_name)
            for table in grounds.catalogue.tables
        ):
            yield FieldProblem(
                f"{path}", "the source has no such table", show(reference.qualified_name), listing(names)
            )


def _selection_columns(path: str, selection: TableSelection, table: TableFacts) -> Iterator[FieldProblem]:
    if selection.is_pattern:
        return
    names = [column.name for column in table.columns]
    for key, listed in (("columns", selection.columns), ("exclude_columns", selection.exclude_columns)):
        for name in listed or ():
            if not table.has_column(name):
                yield FieldProblem(
                    f"{path}.{key}",
                    f"{table.name} has no such column{suggestion(name, names)}",
                    show(name),
                    listing(names),
                )


def _columns(task: ReplicationTask, grounds: Grounds) -> Iterator[FieldProblem]:
    """Find filters and transformations that a table's columns and their types do not allow."""
    for table in grounds.catalogue.tables:
        selection = task.selection_of(table.name.schema_name, table.name.table_name)
        columns = _typed_columns(selection, table)
        if selection is None or columns is None:
            continue
        chained = apply_settings(
            task,
            (table.name.schema_name, table.name.table_name),
            columns,
            primary_key=table.primary_key,
            context=CompileContext(),
        )
        yield from chained.problems


def _typed_columns(selection: TableSelection | None, table: TableFacts) -> list[tuple[str, ValueType]] | None:
    """Return the columns that travel with their types, None where a type is not known."""
    travelling = [
        column
        for column in table.columns
        if not column.is_generated and (selection is None or selection.selects_column(column.name))
    ]
    typed = [(column.name, column.value_type) for column in travelling if column.value_type is not None]
    return typed if len(typed) == len(travelling) else None


def _matching(selection: TableSelection, grounds: Grounds) -> list[TableFacts]:
    return [
        table
        for table in grounds.catalogue.tables
        if selection.matches(table.name.schema_name, table.name.table_name)
    ]

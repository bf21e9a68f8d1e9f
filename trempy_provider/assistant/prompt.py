"""What is sent to a model: the rules, the request, and what the draft is to be grounded in.

Nothing of a row, no connection and no secret is in it.
Names and comments of the source are strangers' texts: they travel as values of one JSON object, which the
rules call data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from trempy_provider.assistant import words
from trempy_provider.assistant.advisor import Grounds
from trempy_provider.assistant.catalogue import Catalogue, ColumnFacts, TableFacts
from trempy_provider.assistant.history import TaskHistory
from trempy_provider.assistant.redaction import without_secrets
from trempy_provider.config.masks import mask_entries
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import FieldProblem
from trempy_provider.postgres.tables import QualifiedName

DESCRIBED_TABLES = 40
NAMED_TABLES = 1000
_HISTORY_TASKS = 10
_COMMENT_LENGTH = 200
_READ_LENGTH = 10 * _COMMENT_LENGTH


@cache
def instructions() -> str:
    """Return the rules that a model drafts by."""
    return (files("trempy_provider.assistant") / "instructions.txt").read_text(encoding="utf-8")


def request_text(description: str, grounds: Grounds) -> str:
    """Return the message with the request and its grounds."""
    catalogue = grounds.catalogue
    described = _relevant(description, catalogue)
    named = [table for table in catalogue.tables if table not in described]
    content = {
        "request": without_secrets(description),
        "fixed": grounds.frame.fixed,
        "present": hidden(grounds.frame.present),
        "catalogue": {
            "tables": [table_facts(table) for table in described if _is_sendable(table)],
            "named_only": [_name(table.name) for table in named[:NAMED_TABLES] if _is_sendable(table)],
            "on_target": _on_target(described, catalogue),
            "obstacles_to_capture": list(catalogue.obstacles_to_capture),
        },
        "history": [_history(task) for task in _relevant_history(described, grounds)],
    }
    return json.dumps(content, ensure_ascii=False)


def table_facts(table: TableFacts) -> dict[str, Any]:
    """Return what a model may know of a table."""
    facts = {
        "name": _name(table.name),
        "comment": _comment(table.comment),
        "primary_key": [column for column in table.primary_key if _is_clean(column)],
        "references": [_name(name) for name in table.references if _is_clean(_name(name))],
        "estimated_rows": table.estimated_rows,
        "size_bytes": table.size_bytes,
        "updates_can_be_published": table.identifies_rows and table.is_logged,
        "columns": [_column(column) for column in table.columns if _is_clean(column.name)],
    }
    return _without_nothing(facts)


def problems_text(problems: Iterable[FieldProblem]) -> str:
    """Return what a model is told of settings that do not validate."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return without_secrets(
        f"The settings do not validate. Correct these, and answer with the whole JSON object:\n{lines}"
    )


def _relevant(description: str, catalogue: Catalogue) -> list[TableFacts]:
    """Return the tables to describe: all, or of a large catalogue those that the request resembles."""
    if len(catalogue.tables) <= DESCRIBED_TABLES:
        return list(catalogue.tables)
    text = words.plain(description)

    def rank(table: TableFacts) -> tuple[int, int]:
        schema, name = words.plain(table.name.schema_name), words.plain(table.name.table_name)
        parts = [part for part in name.replace("_", " ").split() if len(part) > 2]
        score = 4 * (name in text) + 2 * (schema in text) + sum(part.rstrip("s") in text for part in parts)
        return -score, -table.size_bytes

    return sorted(catalogue.tables, key=rank)[:DESCRIBED_TABLES]


def _column(column: ColumnFacts) -> dict[str, Any]:
    facts = {
        "name": column.name,
        "type": column.type_name,
        "not_null": column.is_not_null,
        "generated": column.is_generated,
        "may_be_unsent": column.may_be_unsent,
        "comment": _comment(column.comment),
        "average_bytes": column.average_bytes,
        "null_fraction": column.null_fraction,
        "distinct": column.distinct_count,
        "common_values": [without_secrets(value) for value in column.common_values],
    }
    return _without_nothing(facts)


def _on_target(described: Iterable[TableFacts], catalogue: Catalogue) -> list[str] | None:
    if catalogue.present_on_target is None:
        return None
    present = (table for table in described if table.name in catalogue.present_on_target)
    return [_name(table.name) for table in present if _is_sendable(table)]


def _relevant_history(described: Iterable[TableFacts], grounds: Grounds) -> tuple[TaskHistory, ...]:
    return grounds.history.similar_to([table.name for table in described])[:_HISTORY_TASKS]


def _history(task: TaskHistory) -> dict[str, Any]:
    """Return a task's choices and measurements; neither its filters' values nor its connections."""
    speed = task.load_bytes_per_second
    facts = {
        "task_name": task.task_name,
        "tables": [_name(name) for name in sorted(task.tables) if _is_clean(_name(name))][:NAMED_TABLES],
        "has_stopped": task.has_stopped,
        "load_bytes_per_second": None if speed is None else round(speed),
        "lag_seconds": task.lag_seconds,
        "changes_per_batch": task.changes_per_batch,
        "error_fraction": task.error_fraction,
        **({} if task.settings is None else _choices(task.settings)),
    }
    return _without_nothing(facts)


def _choices(task: ReplicationTask) -> dict[str, Any]:
    masks = [
        {
            "table": entry.table_info.qualified_name,
            "column": mask.column_name,
            "operation": mask.kind,
        }
        for entry, mask in mask_entries(task)
    ]
    return {
        "replication_type": task.replication_type,
        "mode": task.cdc.mode,
        "schedule": task.full_load.schedule,
        "parallel_streams": task.full_load.parallel_streams,
        "batch_max_rows": task.cdc.batch_max_rows,
        "schema_evolution": task.cdc.schema_evolution,
        "masks": masks,
        "exclude_columns": {
            table.qualified_name: list(table.exclude_columns)
            for table in task.tables
            if table.exclude_columns
        },
    }


def hidden(value: Any) -> Any:
    """Return plain values with secrets in their texts hidden."""
    if isinstance(value, Mapping):
        return {key: hidden(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(entry) for entry in value]
    return without_secrets(value) if isinstance(value, str) else value


def _comment(comment: str | None) -> str | None:
    """Return the beginning of a comment; a word or quote that the first cut splits may be half a secret."""
    if comment is None:
        return None
    if len(comment) > _READ_LENGTH:
        comment = comment[:_READ_LENGTH].rpartition(" ")[0]
    return without_secrets(comment)[:_COMMENT_LENGTH]


def _is_sendable(table: TableFacts) -> bool:
    return _is_clean(_name(table.name))


def _is_clean(name: str) -> bool:
    """Tell whether a name has nothing of a secret; it cannot be sent in part."""
    return without_secrets(name) == name


def _name(name: QualifiedName) -> str:
    return f"{name.schema_name}.{name.table_name}"


def _without_nothing(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing."""
    return {key: value for key, value in facts.items() if value not in (None, False, [], {}, "")}

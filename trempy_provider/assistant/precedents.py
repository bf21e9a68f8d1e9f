"""What this installation's tasks mask and leave out of the same tables, and a draft does too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from trempy_provider.assistant.catalogue import TableFacts
from trempy_provider.assistant.history import TaskHistory
from trempy_provider.config.masks import mask_entries
from trempy_provider.postgres.tables import QualifiedName


def excluded_before(similar: Sequence[TaskHistory], name: QualifiedName) -> tuple[str, Sequence[str]] | None:
    """Return the task that leaves columns of a table out, and these; None when none does."""
    for task in similar:
        former = task.settings and task.settings.selection_of(name.schema_name, name.table_name)
        if former and former.exclude_columns:
            return task.task_name, former.exclude_columns
    return None


def masked_before(
    similar: Sequence[TaskHistory], tables: Sequence[TableFacts]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the tasks that mask columns of the tables, each with the entry for a draft; a mask once."""
    seen: set[tuple[QualifiedName, str]] = set()
    for task in similar:
        for entry, mask in () if task.settings is None else mask_entries(task.settings):
            for table in tables:
                name = table.name
                is_meant = entry.table_info.matches(name.schema_name, name.table_name)
                if is_meant and table.has_column(mask.column_name) and (name, mask.column_name) not in seen:
                    seen.add((name, mask.column_name))
                    settings = entry.settings.model_dump(mode="json", exclude_defaults=True)
                    info = {"schema_name": name.schema_name, "table_name": name.table_name}
                    yield task.task_name, {"table_info": info, "settings": settings}

"""Which columns of a table a draft copies: what is said, beside what is left out here and in other tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trempy_provider.assistant.column_wishes import ColumnWishes
from trempy_provider.config.tables import TableSelection


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """Options of a table and why; `returning` are columns left out so far that the description names."""

    options: Mapping[str, list[str]] = field(default_factory=dict)
    reason: str = ""
    returning: tuple[str, ...] = ()


def choose_columns(
    wished: ColumnWishes, *, present: Mapping[str, Any], before: tuple[str, Sequence[str]] | None
) -> ColumnChoice:
    """Return the columns of a table.

    `present` are its options in the settings to be changed, `before` a task that leaves columns of it out,
    with these. To leave a column out takes none back that is left out already.
    """
    task_name, left_out = before or ("", ())
    excluded = dict.fromkeys((*present.get("exclude_columns", ()), *left_out))
    if wished.only:
        returning = tuple(name for name in wished.only if name in excluded)
        return ColumnChoice({"columns": list(wished.only)}, f"“{wished.said[0]}”", returning)
    if not wished.without:
        why = f"task {task_name} leaves them out as well"
        return ColumnChoice({"exclude_columns": list(left_out)}, why) if left_out else ColumnChoice()
    said = " ".join(f"“{each}”" for each in wished.said)
    fewer = [name for name in present.get("columns") or () if name not in wished.without]
    if fewer:
        return ColumnChoice({"columns": fewer}, f"{said}, of the columns chosen at present")
    names = list(dict.fromkeys((*excluded, *wished.without)))
    beside = ", beside what is left out already" if len(names) > len(wished.without) else ""
    return ColumnChoice({"exclude_columns": names}, said + beside)


def is_copied(column: str, entry: Mapping[str, Any]) -> bool:
    """Tell whether a column is one that an entry of `tables` copies."""
    return TableSelection.model_validate(entry).selects_column(column)

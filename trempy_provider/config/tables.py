"""Which tables a setting is about: one by its name, or all that match a pattern.

In a pattern, `*` stands for any run of characters, also none; every other character stands for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from trempy_provider.config.choices import OperationName
from trempy_provider.config.fields import Name, Priority, SettingsModel, check_distinct, refused

WILDCARD = "*"


class TableReference(SettingsModel):
    """Name a table, or all tables that match a pattern."""

    schema_name: Name = Field(description="Schema on the source; `*` stands for any run of characters.")
    table_name: Name = Field(description="Table on the source; `*` stands for any run of characters.")

    @property
    def is_pattern(self) -> bool:
        """Tell whether the reference may match several tables, and tables created later."""
        return WILDCARD in self.schema_name or WILDCARD in self.table_name

    @property
    def qualified_name(self) -> str:
        """Return `schema.table` for people; not quoted, never for SQL."""
        return f"{self.schema_name}.{self.table_name}"

    def matches(self, schema: str, table: str) -> bool:
        """Tell whether the reference covers the table of this exact name."""
        return matches_pattern(self.schema_name, schema) and matches_pattern(self.table_name, table)

    def overlaps(self, other: TableReference) -> bool:
        """Tell whether there can be a table that both references cover."""
        return patterns_overlap(self.schema_name, other.schema_name) and patterns_overlap(
            self.table_name, other.table_name
        )


class TableSelection(TableReference):
    """Say that a table is replicated, and how much of it."""

    priority: Priority = Field(default=2, description="Order of loading, from 0 (first) to 4 (last).")
    columns: Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(check_distinct)] | None = Field(
        default=None,
        description="The only columns that leave the source; null means every column.",
    )
    exclude_columns: Annotated[tuple[Name, ...], AfterValidator(check_distinct)] = Field(
        default=(), description="Columns that never leave the source; all others are replicated."
    )
    operations: Annotated[tuple[OperationName, ...], Field(min_length=1), AfterValidator(check_distinct)] = (
        Field(
            default=tuple(OperationName),
            description="The operations on the source whose changes are replicated.",
        )
    )

    @model_validator(mode="after")
    def _refuse_two_column_lists(self) -> TableSelection:
        if self.columns is not None and self.exclude_columns:
            raise refused("contradicts columns; give one of the two", field="exclude_columns")
        return self

    def selects_column(self, column: str) -> bool:
        """Tell whether the column leaves the source."""
        return column not in self.exclude_columns and (self.columns is None or column in self.columns)


def select_table(selections: Iterable[TableSelection], schema: str, table: str) -> TableSelection | None:
    """Return the selection that covers a table: its own before a pattern, then the first listed."""
    covering = [selection for selection in selections if selection.matches(schema, table)]
    return min(covering, key=lambda selection: selection.is_pattern, default=None)


def matches_pattern(pattern: str, name: str) -> bool:
    """Tell whether the name matches; never backtracks, so a pattern of many wildcards costs no more."""
    first, *middle = pattern.split(WILDCARD)
    if not middle:
        return name == pattern
    last = middle.pop()
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    return _contains_in_order(name[len(first) : len(name) - len(last)], middle)


def patterns_overlap(left: str, right: str) -> bool:
    """Tell whether some name matches both patterns, by walking both side by side."""
    reached = {(0, 0)}
    pending = [(0, 0)]
    while pending:
        for place in _next_places(left, right, *pending.pop()):
            if place not in reached:
                reached.add(place)
                pending.append(place)
    return (len(left), len(right)) in reached


def _next_places(left: str, right: str, i: int, j: int) -> list[tuple[int, int]]:
    in_left, in_right = left[i : i + 1], right[j : j + 1]
    places = []
    if in_left == WILDCARD:
        places += [(i + 1, j), (i, j + 1)] if in_right else [(i + 1, j)]
    if in_right == WILDCARD:
        places += [(i, j + 1), (i + 1, j)] if in_left else [(i, j + 1)]
    if in_left and in_left == in_right:
        places.append((i + 1, j + 1))
    return places


def _contains_in_order(text: str, parts: list[str]) -> bool:
    position = 0
    for part in parts:
        found = text.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return True

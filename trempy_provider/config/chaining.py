"""Apply the settings of one table to it: filters, then masks, then transformations in their order.

Filters see the source's columns.
Masks come before all other transformations, whatever their place, so that none sees what is masked.
A setting that names its tables by a pattern is for those of them that have the column; a filter is not, for
rows that nobody wanted would pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from trempy_provider.config.compilation import CompileContext, UnsuitableError
from trempy_provider.config.expressions import Expression
from trempy_provider.config.operations import MaskOperation
from trempy_provider.config.table_chain import MissingColumnError, TableChain, start_chain
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.transformations import (
    CreateColumn,
    ModifyColumnName,
    ModifyColumnValue,
)
from trempy_provider.config.value_types import TEXT, ValueType
from trempy_provider.config.wording import show
from trempy_provider.errors import FieldProblem


@dataclass(frozen=True, slots=True)
class Masks:
    """The masks of a table by the source's columns, and the columns named that it does not have."""

    masks: Mapping[str, tuple[MaskOperation, ...]]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chained:
    """A table with all settings applied, and those that could not be.

    `conditions` are those of its filters, each of one column, by the path of the filter.
    """

    table: TableChain
    conditions: tuple[tuple[str, Expression], ...]
    problems: tuple[FieldProblem, ...]


def apply_settings(
    task: ReplicationTask,
    source: tuple[str, str],
    columns: Iterable[tuple[str, ValueType]],
    *,
    primary_key: tuple[str, ...] | None,
    context: CompileContext,
) -> Chained:
    """Return what becomes of the source table of this schema and name with these columns."""
    chaining = _Chaining(task, source, start_chain(*source, columns, primary_key=primary_key), context)
    chaining.filter()
    chaining.mask()
    chaining.transform()
    return Chained(chaining.table, tuple(chaining.conditions), tuple(chaining.problems))


def masks_of(task: ReplicationTask, source: tuple[str, str], columns: Iterable[str]) -> Masks:
    """Return the masks of a source table, each column's in their order.

    Only renames decide to which column of the source a name belongs at some moment.
    A pattern may cover tables that do not have the column; those are not missing it.
    """
    missing: list[str] = []
    created: set[str] = set()
    origins = {name: name for name in columns}
    masks: dict[str, tuple[MaskOperation, ...]] = {}
    for _, change in task.parts().transformations_of(*source):
        match change.settings:
            case ModifyColumnName(contract=names) if names.column_name in origins:
                origins[names.target_column_name] = origins.pop(names.column_name)
            case CreateColumn(contract=creation):
                created.add(creation.new_column_name)
            case ModifyColumnValue(contract=MaskOperation() as mask) if mask.column_name in origins:
                origin = origins[mask.column_name]
                masks[origin] = (*masks.get(origin, ()), mask)
            case ModifyColumnValue(contract=MaskOperation() as mask):
                if not change.table_info.is_pattern and mask.column_name not in created:
                    missing.append(mask.column_name)
            case _:
                pass
    return Masks(masks, tuple(missing))


class _Chaining:
    def __init__(
        self, task: ReplicationTask, source: tuple[str, str], table: TableChain, context: CompileContext
    ) -> None:
        self.table = table
        self.conditions: list[tuple[str, Expression]] = []
        self.problems: list[FieldProblem] = []
        self._task = task
        self._source = source
        self._parts = task.parts()
        self._context = context
        self._masks = masks_of(task, source, table.columns).masks

    def filter(self) -> None:
        entries = self._parts.filters_by_name.matching(*self._source)
        for i, entry in sorted(entries.items()):
            name, path = entry.settings.column_name, f"filters[{i}].settings"
            with self._noting(path, is_pattern=False):
                if name in self._masks and self._task.captures_changes:
                    raise UnsuitableError(f"{show(name)} is masked, and changes are masked before filters")
                value = self.table.column(name).typed
                self.conditions.append((path, entry.settings.to_sql(value, self._context)))

    def mask(self) -> None:
        for name, masks in self._masks.items():
            if not self._context.masks_values:
                self.table.note_type(name, TEXT)
                continue
            for mask in masks:
                self.table.change_value(name, mask.to_sql(self.table.column(name).typed, self._context))

    def transform(self) -> None:
        for i, change in self._parts.transformations_of(*self._source):
            path = f"transformations[{i}].settings"
            with self._noting(path, is_pattern=change.table_info.is_pattern):
                change.settings.apply_to(self.table, self._context)

    @contextmanager
    def _noting(self, path: str, *, is_pattern: bool) -> Iterator[None]:
        """Note what keeps a setting from being applied; a pattern may match tables without the column."""
        try:
            yield
        except MissingColumnError as error:
            if not is_pattern:
                self._note(path, error)
        except UnsuitableError as error:
            self._note(path, error)

    def _note(self, path: str, error: UnsuitableError) -> None:
        self.problems.append(FieldProblem(path, f"cannot be applied to {'.'.join(self._source)}: {error}"))

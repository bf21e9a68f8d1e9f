"""The column names of one table as filters and transformations meet them, one after the other.

Only what the settings alone can tell is refused: a read of a column that was renamed or never leaves the
source, and a name given twice.
Whether the source has a column is for the pre-flight check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from trempy_provider.config.filters import TableFilter
from trempy_provider.config.tables import TableSelection
from trempy_provider.config.transformations import (
    AddPrimaryKey,
    CreateColumn,
    ModifyColumnName,
    ModifyColumnValue,
    RemovePrimaryKey,
    TableTransformation,
    TransformationSettings,
)
from trempy_provider.config.wording import show
from trempy_provider.errors import FieldProblem


def find_column_problems(
    selection: TableSelection,
    *,
    filters: Sequence[tuple[int, TableFilter]],
    transformations: Sequence[tuple[int, TableTransformation]],
    reserved: Collection[str],
) -> Iterator[FieldProblem]:
    """Yield the columns that cannot be read or named so; transformations come in order of application."""
    columns = _Columns(selection, reserved=reserved)
    for i, entry in filters:
        yield from columns.read(entry.settings.column_name, path=f"filters[{i}].settings.column_name")
    for i, change in transformations:
        yield from _follow(change, columns, path=f"transformations[{i}]")


@dataclass(slots=True)
class _Columns:
    selection: TableSelection
    reserved: Collection[str] = ()
    made_by: dict[str, str] = field(default_factory=dict)
    renamed_by: dict[str, str] = field(default_factory=dict)

    def read(self, name: str, *, path: str) -> Iterator[FieldProblem]:
        """Yield a problem if there is no such column now."""
        if name in self.made_by or name in self.reserved:
            return
        if name in self.renamed_by:
            yield FieldProblem(path, f"was renamed before, by {self.renamed_by[name]}", show(name))
        elif not self.selection.selects_column(name):
            key = "exclude_columns" if name in self.selection.exclude_columns else "columns"
            yield FieldProblem(
                path, f"never leaves the source: see {key} of {self.selection.qualified_name}", show(name)
            )

    def make(self, name: str, *, by: str, path: str) -> Iterator[FieldProblem]:
        """Add the name, and yield a problem if it is taken."""
        taken_by = self.made_by.get(name) or self._taken_on_the_source(name)
        if taken_by is not None:
            yield FieldProblem(path, f"is a column already: {taken_by}", show(name))
        self.made_by[name] = by

    def rename(self, name: str, *, by: str) -> None:
        """Take the name away."""
        self.made_by.pop(name, None)
        self.renamed_by[name] = by

    def _taken_on_the_source(self, name: str) -> str | None:
        if name in self.reserved:
            return "SCD2 adds it"
        if name in (self.selection.columns or ()) and name not in self.renamed_by:
            return f"see columns of {self.selection.qualified_name}"
        return None


def _follow(change: TableTransformation, columns: _Columns, *, path: str) -> Iterator[FieldProblem]:
    contract = f"{path}.settings.contract"
    for key, name in _names_read(change.settings):
        yield from columns.read(name, path=f"{contract}.{key}")
    match change.settings:
        case ModifyColumnName(contract=names):
            columns.rename(names.column_name, by=path)
            yield from columns.make(names.target_column_name, by=path, path=f"{contract}.target_column_name")
        case CreateColumn(contract=creation):
            yield from columns.make(creation.new_column_name, by=path, path=f"{contract}.new_column_name")
        case _:
            pass


def _names_read(settings: TransformationSettings) -> Iterator[tuple[str, str]]:
    match settings:
        case ModifyColumnValue() | ModifyColumnName():
            yield "column_name", settings.contract.column_name
        case AddPrimaryKey(contract=key) | RemovePrimaryKey(contract=key):
            yield from ((f"column_names[{i}]", name) for i, name in enumerate(key.column_names))
        case CreateColumn(contract=creation):
            yield from ((f"depends_on[{i}]", name) for i, name in enumerate(creation.inputs))
        case _:
            pass

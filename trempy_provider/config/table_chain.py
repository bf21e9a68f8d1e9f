"""What becomes of one table: its columns as they stand while transformations are applied one by one.

At first the columns are the source's.
Each transformation sees the names, types and values as those before it have left them, so that every value
is in the end an expression over the columns of the source row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from trempy_provider.config.compilation import TypedValue, UnsuitableError
from trempy_provider.config.expressions import Expression, source_column
from trempy_provider.config.value_types import ValueType
from trempy_provider.config.wording import show


class MissingColumnError(UnsuitableError):
    """There is no such column at that moment."""


@dataclass(frozen=True, slots=True)
class ChainColumn:
    """A column of the target.

    `origin` names the source column in whose place it is; None: the column was created.
    `is_as_it_stands`: its value is the source column's, whatever the name.
    `is_momentary`: the value is of the moment of application.
    """

    name: str
    type: ValueType
    value: Expression
    origin: str | None = None
    is_as_it_stands: bool = False
    is_momentary: bool = False

    @property
    def source(self) -> str | None:
        """Return the source column whose value it is as it stands, None when it is none's."""
        return self.origin if self.is_as_it_stands else None

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Return the source columns from which the value is made."""
        return self.value.columns

    @property
    def typed(self) -> TypedValue:
        """Return the value with its type."""
        return TypedValue(self.value, self.type)


@dataclass(slots=True)
class TableChain:
    """A table on its way; transformations change it.

    `primary_key` is None where it is not known: the stream does not tell it.
    """

    schema_name: str
    table_name: str
    columns: dict[str, ChainColumn] = field(default_factory=dict)
    primary_key: tuple[str, ...] | None = None

    def column(self, name: str) -> ChainColumn:
        """Return a column by the name it has now; raise MissingColumnError when there is none."""
        if name not in self.columns:
            raise MissingColumnError(f"the table has no column {show(name)} at this moment")
        return self.columns[name]

    def rename_column(self, name: str, new_name: str) -> None:
        """Give a column another name, in its place."""
        renamed = replace(self.column(name), name=new_name)
        self._refuse_taken(new_name)
        self.columns = {
            column.name: column
            for column in (renamed if each.name == name else each for each in self.columns.values())
        }
        if self.primary_key is not None:
            self.primary_key = tuple(new_name if each == name else each for each in self.primary_key)

    def change_value(self, name: str, value: TypedValue) -> None:
        """Give a column another value."""
        self.columns[name] = replace(
            self.column(name), type=value.type, value=value.sql, is_as_it_stands=False
        )

    def note_type(self, name: str, value_type: ValueType) -> None:
        """Take note that a column's value arrives with another type than the table's."""
        self.columns[name] = replace(self.column(name), type=value_type)

    def create_column(self, name: str, value: TypedValue, *, is_momentary: bool) -> None:
        """Add a column behind the others."""
        self._refuse_taken(name)
        self.columns[name] = ChainColumn(name, value.type, value.sql, is_momentary=is_momentary)

    def is_momentary(self, names: Iterable[str]) -> bool:
        """Tell whether any of these columns is of the moment of application."""
        return any(self.column(name).is_momentary for name in names)

    def add_to_key(self, names: Iterable[str]) -> None:
        """Let columns enter the primary key, behind those in it."""
        for name in names:
            self.column(name)
            if self.primary_key is not None and name not in self.primary_key:
                self.primary_key = (*self.primary_key, name)

    def remove_from_key(self, names: Iterable[str]) -> None:
        """Let columns leave the primary key."""
        for name in names:
            self.column(name)
            if self.primary_key is not None and name not in self.primary_key:
                raise UnsuitableError(f"{show(name)} is not in the primary key at this moment")
        if self.primary_key is not None:
            leaving = set(names)
            self.primary_key = tuple(name for name in self.primary_key if name not in leaving)

    def _refuse_taken(self, name: str) -> None:
        if name in self.columns:
            raise UnsuitableError(f"the table has a column {show(name)} already")


def start_chain(
    schema_name: str,
    table_name: str,
    columns: Iterable[tuple[str, ValueType]],
    *,
    primary_key: tuple[str, ...] | None,
) -> TableChain:
    """Return a table as it is on the source."""
    chain = TableChain(schema_name, table_name, primary_key=primary_key)
    for name, value_type in columns:
        chain.columns[name] = ChainColumn(
            name, value_type, source_column(name), origin=name, is_as_it_stands=True
        )
    return chain

"""What becomes of one table: its columns as they stand while transformations are applied one by one.

At first the columns are the source's.
Each transformation sees the names, types and values as those before it have left them, so that every value
is in the end an expression over the columns of the source row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from trempy_provider.config.expressions import Expression, source_column
from trempy_provider.config.value_types import ValueType


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


@dataclass(slots=True)
class TableChain:
    """A table on its way; transformations change it."""

    schema_name: str
    table_name: str
    columns: dict[str, ChainColumn] = field(default_factory=dict)
    predicate: Expression | None = None


def start_chain(schema_name: str, table_name: str, columns: Iterable[tuple[str, ValueType]]) -> TableChain:
    """Return a table as it is on the source."""
    chain = TableChain(schema_name, table_name)
    for name, value_type in columns:
        chain.columns[name] = ChainColumn(
            name, value_type, source_column(name), origin=name, is_as_it_stands=True
        )
    return chain

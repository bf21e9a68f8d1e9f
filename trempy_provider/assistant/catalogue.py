"""What the assistant knows of a source: names, types, keys, sizes and statistics, never rows.

`common_values` alone are values of rows; they are read only where a person has allowed it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trempy_provider.config.value_types import ValueType
from trempy_provider.postgres.tables import QualifiedName


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column; statistics are None where the table was never analysed or the role may not see them."""

    name: str
    type_name: str
    is_not_null: bool = False
    is_generated: bool = False
    may_be_unsent: bool = False  # an UPDATE that leaves a large value alone does not send it
    comment: str | None = None
    average_bytes: int | None = None
    null_fraction: float | None = None
    distinct_count: float | None = None  # negative: a fraction of the rows (pg_stats.n_distinct)
    common_values: tuple[str, ...] = ()
    value_type: ValueType | None = None  # None: what can be done with its values is not known


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table; `references` are the tables that its foreign keys name."""

    name: QualifiedName
    columns: tuple[ColumnFacts, ...]
    primary_key: tuple[str, ...] = ()
    identifies_rows: bool = True  # its replica identity lets UPDATE and DELETE be published
    is_logged: bool = True
    estimated_rows: int | None = None
    size_bytes: int = 0
    references: tuple[QualifiedName, ...] = ()
    comment: str | None = None

    @property
    def average_row_bytes(self) -> int | None:
        """Return the width of a row by the statistics, None without them."""
        widths = [column.average_bytes for column in self.columns]
        known = [width for width in widths if width is not None]
        return sum(known) if known and len(known) == len(widths) else None

    @property
    def unsent_columns(self) -> tuple[str, ...]:
        """Return the columns that an UPDATE may leave unsent."""
        return tuple(column.name for column in self.columns if column.may_be_unsent)

    def has_column(self, name: str) -> bool:
        """Tell whether the table has the column."""
        return any(column.name == name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The tables of a source that can be replicated, and whether its server lets changes be captured.

    `present_on_target` are the names of tables that the target has; None: the target was not asked.
    """

    tables: tuple[TableFacts, ...]
    obstacles_to_capture: tuple[str, ...] = ()
    present_on_target: frozenset[QualifiedName] | None = None
    includes_values: bool = False
    _by_name: dict[QualifiedName, TableFacts] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {table.name: table for table in self.tables})

    def find(self, name: QualifiedName) -> TableFacts | None:
        """Return a table, None when there is none of this name."""
        return self._by_name.get(name)

    @property
    def schema_names(self) -> tuple[str, ...]:
        """Return the schemas, each once."""
        return tuple(dict.fromkeys(table.name.schema_name for table in self.tables))

"""A target table that holds the versions of rows: names for the statements that write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg2 import sql

from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.errors import TargetSchemaError
from trempy_provider.postgres.table_plan import TablePlan
from trempy_provider.postgres.tables import Column, Table, quote_name

# Columns beside the target's own; a space keeps them apart from any sensible name.
_OWN_COLUMNS = {
    name: sql.Identifier(f"trempy {name}")
    for name in (
        *("number", "moment", "present", "carried", "mask"),  # of states
        *("position", "next_moment", "was_present", "former_image", "base", "floor", "step"),
        *("new_start", "new_end", "closes"),  # of versions
    )
}
_OVERRIDES_IDENTITY = "a"  # GENERATED ALWAYS AS IDENTITY


@dataclass(frozen=True, slots=True)
class VersionedColumn:
    """A column of the target; `base_type` is what its type rests on if that is a domain.

    `equality` is the type's own `=`, when it is not built in.
    `is_compared`: another value makes another version.
    """

    name: str
    base_type: str | None = None
    equality: tuple[str, str] | None = None
    is_compared: bool = True

    @property
    def identifier(self) -> sql.Identifier:
        """Return the name for composed SQL."""
        return sql.Identifier(self.name)

    def equals_sql(self, left: str, right: str) -> sql.Composed:
        """Compose the condition that two rows have an equal value."""
        operator: sql.Composable = sql.SQL("=")
        if self.equality is not None:
            schema_name, name = self.equality
            operator = sql.SQL("operator({}.{})").format(sql.Identifier(schema_name), sql.SQL(name))
        return sql.SQL("{} {} {}").format(self.value_sql(left), operator, self.value_sql(right))

    def value_sql(self, row: str) -> sql.Composed:
        """Compose the value in a row of the target, without its domain: a domain may refuse NULL."""
        value = sql.SQL("{row}.{name}").format(row=sql.SQL(row), name=self.identifier)
        return value if self.base_type is None else value + sql.SQL("::") + sql.SQL(self.base_type)


@dataclass(frozen=True, slots=True)
class VersionedTable:
    """A target table of versions: the columns written and their key, both without the three of the mode."""

    target: sql.Identifier
    rows: sql.Composed  # the target, without tables that inherit from it
    columns: tuple[VersionedColumn, ...]
    key: tuple[str, ...]
    start: str
    end: str
    current: str
    overrides_identity: bool = False

    def fill(self, template: str, **holes: sql.Composable) -> sql.Composed:
        """Fill a statement's holes: those given, this table's names, and those of our own columns."""
        names = {"start": self.start, "end": self.end, "current": self.current}
        common = {
            "target": self.target,
            "rows": self.rows,
            "key": self.key_sql(),
            "columns": sql.SQL(", ").join(column.identifier for column in self.columns),
            **{hole: sql.Identifier(name) for hole, name in names.items()},
        }
        return sql.SQL(template).format(**{**_OWN_COLUMNS, **common, **holes})

    def key_sql(self, prefix: str = "") -> sql.Composed:
        """Compose the list of the key's columns, each behind `prefix`."""
        return sql.SQL(", ").join(sql.SQL(prefix) + sql.Identifier(name) for name in self.key)

    def key_values_sql(self, row: str) -> sql.Composed:
        """Compose the key of a row of the target, without domains."""
        values = {column.name: column.value_sql(row) for column in self.columns}
        return sql.SQL(", ").join(values[name] for name in self.key)

    def values_sql(self, row: str) -> sql.Composed:
        """Compose the columns of a row of the target, without domains."""
        return sql.SQL(", ").join(column.value_sql(row) for column in self.columns)

    def match_sql(self, left: str, right: str) -> sql.Composed:
        """Compose the condition that two rows have the same key."""
        by_name = {column.name: column for column in self.columns}
        return sql.SQL(" and ").join(by_name[name].equals_sql(left, right) for name in self.key)

    def target_image_sql(self, row: str) -> sql.Composed:
        """Compose the record of what is compared, of a row of the target."""
        return _record_sql(column.value_sql(row) for column in self.columns if column.is_compared)

    def state_image_sql(self, row: str) -> sql.Composed:
        """Compose the record of what is compared, of a state."""
        return _record_sql(
            sql.SQL(row + ".") + column.identifier for column in self.columns if column.is_compared
        )

    def base_values_sql(self, row: str) -> sql.Composed:
        """Compose the columns of a row of the target, without domains, under their names."""
        return sql.SQL(", ").join(
            column.value_sql(row) + sql.SQL(" as ") + column.identifier for column in self.columns
        )


def versioned_table(plan: TablePlan, target: Table) -> VersionedTable:
    """Return a target table as versions are written to it.

    Raise TargetSchemaError naming the column when it lacks one of those that tell versions apart.
    """
    assert plan.versions is not None
    for name, seen, _ in plan.versions.misfits(target):
        raise TargetSchemaError(
            f"target table {target.name} has {'no' if seen is None else 'an unfit'} column "
            f"{quote_name(name)}, by which the mode scd2 tells versions apart"
        )
    present = {column.name: column for column in target.columns}
    written = [column for column in plan.columns if not present[column.name].generated]
    return VersionedTable(
        target=target.name.identifier,
        rows=target.rows,
        columns=tuple(_versioned_column(column, present[column.name]) for column in written),
        key=_history_key(plan, target),
        start=plan.versions.start,
        end=plan.versions.end,
        current=plan.versions.current,
        overrides_identity=any(column.identity == _OVERRIDES_IDENTITY for column in target.columns),
    )


def _history_key(plan: TablePlan, target: Table) -> tuple[str, ...]:
    """Return what tells rows apart: the columns that a unique index has before the start of a version.

    That is the source's key, unless the settings have made another one.
    """
    assert plan.versions is not None
    indexes = [index for index in target.keys if index.columns[-1] == plan.versions.start]
    for index in sorted(indexes, key=lambda index: not index.is_primary):
        if set(index.columns[:-1]) <= {column.name for column in plan.columns}:
            return index.columns[:-1]
    return plan.identity


def _versioned_column(planned: ChainColumn, target: Column) -> VersionedColumn:
    is_domain = target.type_oid != target.base_type_oid
    return VersionedColumn(
        name=target.name,
        base_type=target.base_type_name if is_domain else None,
        equality=target.equality,
        is_compared=not planned.is_momentary,
    )


def _record_sql(values: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL("row({})::record").format(sql.SQL(", ").join(values))

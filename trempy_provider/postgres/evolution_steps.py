"""The steps by which a target table follows its source, each with its SQL.

A step is done when the target is as it asks, whoever did it; so steps can be repeated, and a person may have
gone ahead of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from psycopg2 import sql

from trempy_provider.postgres.schema import Collation, becomes_identity, column_sql, type_sql
from trempy_provider.postgres.tables import Column, Table


@dataclass(frozen=True, slots=True)
class TargetServer:
    """What decides how columns are changed; without `keeps_values`, the rows are about to be replaced."""

    version: int
    missing_collations: Collection[Collation] = ()
    keeps_values: bool = True


class Step(Protocol):
    """One change of a target table; `column` is named when it fails."""

    @property
    def column(self) -> str:
        """The column that is changed."""

    def is_done(self, target: Table, former_numbers: Mapping[str, int]) -> bool:
        """Tell whether the target is as asked; `former_numbers` are those its columns had, by name."""

    def statements(self, table: sql.Identifier, server: TargetServer) -> list[sql.Composed]:
        """Compose the change."""

    def advice(self, table: sql.Identifier, server: TargetServer) -> list[sql.Composed]:
        """Compose the change for a person, who has nothing to hurry for."""
        return self.statements(table, server)


@dataclass(frozen=True, slots=True)
class AddColumn(Step):
    """Add a column; `value` is that of the rows that are there, in its text form, None for NULL.

    Whether it is NOT NULL is another step: rows may come before it is.
    """

    definition: Column
    value: str | None = None

    @property
    def column(self) -> str:
        """The column that is changed."""
        return self.definition.name

    def is_done(self, target: Table, former_numbers: Mapping[str, int]) -> bool:
        """Tell whether there is such a column, not one of the same name from before."""
        return _has(target, self.column) and not _is_former(target, self.column, former_numbers)

    def statements(self, table: sql.Identifier, server: TargetServer) -> list[sql.Composed]:
        """Compose the addition: rows that are there get the value without being written."""
        definition = self.definition
        if not definition.generated:
            definition = replace(definition, default_sql=None, identity="", sequence=None)
        column = column_sql(
            replace(definition, not_null=False),
            server_version=server.version,
            missing_collations=server.missing_collations,
        )
        default = sql.SQL("") if self.value is None else sql.SQL(" default ") + self._value_sql()
        added = sql.SQL("alter table {} add column {}{}").format(table, column, default)
        return [added, *self._default_sql(table)]

    def advice(self, table: sql.Identifier, server: TargetServer) -> list[sql.Composed]:
        """Compose the addition with the source's default; the rows' value is no matter for a message."""
        column = column_sql(
            replace(self.definition, not_null=False, identity="", sequence=None),
            server_version=server.version,
            missing_collations=server.missing_collations,
        )
        return [sql.SQL("alter table {} add column {}").format(table, column)]

    def fill_sql(self, table: sql.Identifier) -> sql.Composed | None:
        """Compose what gives the rows the value in a column that is there already."""
        name = self.definition.identifier
        if self.definition.generated:
            return None
        if self.value is None:
            return sql.SQL("update {0} set {1} = null where {1} is not null").format(table, name)
        return sql.SQL("update {0} set {1} = {2} where {1} is null or {1}::text <> ({2})::text").format(
            table, name, self._value_sql()
        )

    def _value_sql(self) -> sql.Composed:
        return sql.SQL("{}::{}").format(sql.Literal(self.value), sql.SQL(self.definition.type_name))

    def _default_sql(self, table: sql.Identifier) -> list[sql.Composed]:
        if _has_plain_default(self.definition):
            return [set_default_sql(table, self.definition)]
        return [] if self.value is None else [_alter_sql(table, self.column, "drop default")]


@dataclass(frozen=True, slots=True)
class DropColumn(Step):
    """Drop a column; what depends on it prevents that."""

    column: str

    def is_done(self, target: Table, former_numbers: Mapping[str, int]) -> bool:
        """Tell whether the column is gone, or another has its name."""
        if not _has(target, self.column):
            return True
        return self.column in former_numbers and not _is_former(target, self.column, former_numbers)

    def statements(self, table: sql.Identifier, _server: TargetServer) -> list[sql.Composed]:
        """Compose the change."""
        return [sql.SQL("alter table {} drop column {}").format(table, sql.Identifier(self.column))]


@dataclass(frozen=True, slots=True)
class RenameColumns(Step):
    """Give columns other names; together, when one takes a name that another gives up."""

    names: tuple[tuple[str, str], ...]  # old and new

    @property
    def column(self) -> str:
        """The column that is changed."""
        return self.names[0][0]

    def is_done(self, target: Table, former_numbers: Mapping[str, int]) -> bool:
        """Tell whether the columns have their new names."""
        return all(_is_renamed(target, old, new, former_numbers) for old, new in self.names)

    def statements(self, table: sql.Identifier, _server: TargetServer) -> list[sql.Composed]:
        """Compose the change, through names that nobody uses where it takes more than one column."""
        if len(self.names) == 1:
            return [_rename_sql(table, *self.names[0])]
        passing = [f"trempy renamed {number}" for number in range(len(self.names))]
        away = [_rename_sql(table, old, name) for (old, _), name in zip(self.names, passing, strict=True)]
        back = [_rename_sql(table, name, new) for (_, new), name in zip(self.names, passing, strict=True)]
        return away + back


@dataclass(frozen=True, slots=True)
class ChangeType(Step):
    """Give a column the type of its definition, and its default anew.

    A column that has not had the source's type keeps its own.
    """

    definition: Column
    former_type: str

    @property
    def column(self) -> str:
        """The column that is changed."""
        return self.definition.name

    def is_done(self, target: Table, _former_numbers: Mapping[str, int]) -> bool:
        """Tell whether the column has the type, or one of its own."""
        return _has(target, self.column) and target.column(self.column).type_name != self.former_type

    def statements(self, table: sql.Identifier, server: TargetServer) -> list[sql.Composed]:
        """Compose the change; the default of the former type need not fit the new one."""
        new_type = type_sql(self.definition, server.missing_collations)
        value = sql.SQL("" if server.keeps_values else " using null")
        changed = sql.SQL("alter table {} alter column {} type {}{}").format(
            table, self.definition.identifier, new_type, value
        )
        if becomes_identity(self.definition):
            return [changed]
        default = [set_default_sql(table, self.definition)] if _has_plain_default(self.definition) else []
        return [_alter_sql(table, self.column, "drop default"), changed, *default]


@dataclass(frozen=True, slots=True)
class KeepValues(Step):
    """Let a column that was generated keep its values as a plain one."""

    column: str

    def is_done(self, target: Table, _former_numbers: Mapping[str, int]) -> bool:
        """Tell whether the column is a plain one."""
        return _has(target, self.column) and not target.column(self.column).generated

    def statements(self, table: sql.Identifier, _server: TargetServer) -> list[sql.Composed]:
        """Compose the change."""
        return [_alter_sql(table, self.column, "drop expression")]


@dataclass(frozen=True, slots=True)
class AllowNull(Step):
    """Let a column hold NULL."""

    column: str

    def is_done(self, target: Table, _former_numbers: Mapping[str, int]) -> bool:
        """Tell whether the column may hold NULL."""
        return _has(target, self.column) and not target.column(self.column).not_null

    def statements(self, table: sql.Identifier, _server: TargetServer) -> list[sql.Composed]:
        """Compose the change."""
        return [_alter_sql(table, self.column, "drop not null")]


@dataclass(frozen=True, slots=True)
class RefuseNull(Step):
    """Let a column refuse NULL."""

    column: str

    def is_done(self, target: Table, _former_numbers: Mapping[str, int]) -> bool:
        """Tell whether the column refuses NULL."""
        return _has(target, self.column) and target.column(self.column).not_null

    def statements(self, table: sql.Identifier, _server: TargetServer) -> list[sql.Composed]:
        """Compose the change."""
        return [_alter_sql(table, self.column, "set not null")]


@dataclass(frozen=True, slots=True)
class MakeIdentity(Step):
    """Let a column that refuses NULL be an identity column."""

    column: str

    def is_done(self, target: Table, _former_numbers: Mapping[str, int]) -> bool:
        """Tell whether the column is an identity column."""
        return _has(target, self.column) and bool(target.column(self.column).identity)

    def statements(self, table: sql.Identifier, _server: TargetServer) -> list[sql.Composed]:
        """Compose the change."""
        return [_alter_sql(table, self.column, "add generated by default as identity")]


def find_steps(
    before: Sequence[Column],
    after: Sequence[Column],
    *,
    values: Mapping[int, str | None],
    retyped: Collection[int],
) -> list[Step]:
    """Return the steps from a target table's columns to others, in an order in which they can be done.

    A column's `position` is the number of the source column in whose place it is; 0: created by the settings.
    `values` are those of added columns in the rows that are there, `retyped` columns whose type changed.
    The last steps, `RefuseNull` and `MakeIdentity`, are for when no row has NULL.
    """
    old, new = (
        {_identity(column): column for column in before},
        {_identity(column): column for column in after},
    )
    kept = [(old[key], column) for key, column in new.items() if key in old]
    steps: list[Step] = [DropColumn(column.name) for key, column in old.items() if key not in new]
    steps += _renames([(was.name, now.name) for was, now in kept if was.name != now.name])
    steps += [KeepValues(now.name) for was, now in kept if was.generated and not now.generated]
    steps += [ChangeType(now, was.type_name) for was, now in kept if _is_retyped(was, now, retyped)]
    steps += [AddColumn(column, values.get(column.position)) for key, column in new.items() if key not in old]
    steps += [AllowNull(now.name) for was, now in kept if was.not_null and not now.not_null]
    refusing = [
        (key, column)
        for key, column in new.items()
        if column.not_null and not column.generated and not (key in old and old[key].not_null)
    ]
    steps += [RefuseNull(column.name) for _, column in refusing]
    steps += [
        MakeIdentity(column.name) for key, column in refusing if key not in old and becomes_identity(column)
    ]
    return steps


def set_default_sql(table: sql.Identifier, definition: Column) -> sql.Composed:
    """Compose the setting of a column's default."""
    return sql.SQL("alter table {} alter column {} set default {}").format(
        table, definition.identifier, sql.SQL(definition.default_sql or "null")
    )


def _identity(column: Column) -> int | str:
    return column.position or column.name


def _is_retyped(was: Column, now: Column, retyped: Collection[int]) -> bool:
    if now.generated or not now.position:
        return False
    return now.position in retyped and was.type_name != now.type_name


def _renames(names: Sequence[tuple[str, str]]) -> list[Step]:
    entangled = {old for old, _ in names} & {new for _, new in names}
    together = tuple(pair for pair in names if not entangled.isdisjoint(pair))
    alone: list[Step] = [RenameColumns((pair,)) for pair in names if entangled.isdisjoint(pair)]
    return [*alone, RenameColumns(together)] if together else alone


def _is_renamed(target: Table, old: str, new: str, former_numbers: Mapping[str, int]) -> bool:
    if old not in former_numbers:
        return _has(target, new) and not _has(target, old)
    return _has(target, new) and target.column(new).position == former_numbers[old]


def _has(target: Table, name: str) -> bool:
    return any(column.name == name for column in target.columns)


def _is_former(target: Table, name: str, former_numbers: Mapping[str, int]) -> bool:
    return name in former_numbers and target.column(name).position == former_numbers[name]


def _has_plain_default(definition: Column) -> bool:
    has_default = definition.default_sql is not None and definition.default_is_safe
    return has_default and not definition.generated and not becomes_identity(definition)


def _rename_sql(table: sql.Identifier, old: str, new: str) -> sql.Composed:
    names = sql.Identifier(old), sql.Identifier(new)
    return sql.SQL("alter table {} rename column {} to {}").format(table, *names)


def _alter_sql(table: sql.Identifier, column: str, change: str) -> sql.Composed:
    return sql.SQL("alter table {} alter column {} {}").format(table, sql.Identifier(column), sql.SQL(change))

"""How the columns of a source table become those of its target table.

A projection is made for a relation as the stream describes it and a target table as the catalog has it.
Everything that writes rows takes names, types and the key from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2 import sql

from trempy_provider.errors import TargetSchemaError
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.tables import Column, Table
from trempy_provider.replication.messages import Relation, Tuple

_OVERRIDES_IDENTITY = "a"  # GENERATED ALWAYS AS IDENTITY


@dataclass(frozen=True, slots=True)
class ProjectedColumn:
    """A column of the target and where its value stands in the source's tuple."""

    name: str
    type_name: str
    position: int
    has_same_type: bool

    @property
    def identifier(self) -> sql.Identifier:
        """Return the name for composed SQL."""
        return sql.Identifier(self.name)


@dataclass(frozen=True, slots=True)
class Projection:
    """A target table, the columns written, and the key that finds a row.

    `key` is empty when rows are found by all their columns; `key_positions` are the key's places in the
    source's tuple.
    """

    source_oid: int
    target: sql.Identifier
    name: str
    columns: tuple[ProjectedColumn, ...]
    key: tuple[ProjectedColumn, ...]
    has_key_index: bool
    overrides_identity: bool

    @property
    def key_positions(self) -> tuple[int, ...]:
        """The places of the key's columns in the source's tuple."""
        return tuple(column.position for column in self.key)

    @property
    def staged_columns(self) -> tuple[tuple[str, str], ...]:
        """Names and types of the columns, for a staging table."""
        return tuple((column.name, column.type_name) for column in self.columns)

    def values(self, row: Tuple) -> Tuple:
        """Return the values of a source row in the order of `columns`."""
        return tuple([row[column.position] for column in self.columns])


def project(relation: Relation, *, state: TableState, target: Table) -> Projection:
    """Return the projection of a relation onto its target table.

    Raise TargetSchemaError naming the column when the target cannot take the relation's rows.
    """
    by_name = {column.name: column for column in target.columns}
    columns = tuple(
        _project_column(relation, position, by_name, state)
        for position, name in enumerate(relation.column_names)
        if name not in by_name or not by_name[name].generated
    )
    return Projection(
        source_oid=relation.oid,
        target=target.name.identifier,
        name=str(target.name),
        columns=columns,
        key=_key(columns, state),
        has_key_index=_has_key_index(target, state),
        overrides_identity=any(column.identity == _OVERRIDES_IDENTITY for column in target.columns),
    )


def _project_column(
    relation: Relation, position: int, by_name: dict[str, Column], state: TableState
) -> ProjectedColumn:
    source = relation.columns[position]
    target = by_name.get(source.name)
    if target is None:
        raise TargetSchemaError(
            f"target table {state.target} has no column {source.name!r}, source table {state.source} has it",
            hint=f"Add the column {source.name!r} to {state.target}, then start the task again.",
        )
    return ProjectedColumn(
        name=target.name,
        type_name=target.type_name,
        position=position,
        has_same_type=source.type_oid in (target.type_oid, target.base_type_oid),
    )


def _key(columns: tuple[ProjectedColumn, ...], state: TableState) -> tuple[ProjectedColumn, ...]:
    by_name = {column.name: column for column in columns}
    missing = [name for name in state.key_columns if name not in by_name]
    if missing:
        raise TargetSchemaError(
            f"key column {missing[0]!r} of {state.source} is not replicated to {state.target}",
            hint="The key's columns must be selected and must not be generated on the target.",
        )
    return tuple(by_name[name] for name in state.key_columns)


def _has_key_index(target: Table, state: TableState) -> bool:
    wanted = set(state.key_columns)
    return bool(wanted) and any(set(key.columns) == wanted for key in target.keys)

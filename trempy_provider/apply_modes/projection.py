"""How the rows of a source table become those of its target table.

A projection is a plan (filters and transformations) fitted to a relation as the stream describes it and to a
target table as the catalog has it.
Everything that writes rows takes names, types, values and the key from here.

Rows are staged as the source sent them; the projection is the SELECT over them.
A column that passes as it stands is staged in the target's type, so that its text is converted once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from trempy_provider.apply_modes.versioned_table import VersionedTable, versioned_table
from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.expressions import Expression, source_column
from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.value_types import ValueType
from trempy_provider.errors import TargetSchemaError
from trempy_provider.postgres.expression_sql import ColumnWriter, expression_sql
from trempy_provider.postgres.plan_fitting import fit_plan
from trempy_provider.postgres.table_plan import TablePlan, plan_relation
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.tables import Column, Table
from trempy_provider.postgres.text_collation import BYTEWISE
from trempy_provider.replication.messages import Relation, ReplicaIdentity, Tuple

_OVERRIDES_IDENTITY = "a"  # GENERATED ALWAYS AS IDENTITY
_TEXT_TYPES = (25, 1043)  # text, varchar
# bool, bytea, "char", name, int8, int2, int4, oid, uuid, date, time, timestamp, timestamptz
_IDENTICAL_IF_EQUAL = frozenset({16, 17, 18, 19, 20, 21, 23, 26, 2950, 1082, 1083, 1114, 1184})


@dataclass(frozen=True, slots=True)
class StagedColumn:
    """A value of the source's tuple on its way: its place there, its name and type in a staging table."""

    name: str
    type_name: str
    position: int
    literal_type_name: str  # without modifier: a cast to varchar(n) would cut what is too long


@dataclass(frozen=True, slots=True)
class ProjectedColumn:
    """A column of the target; `type_name` is its type or, of a domain, the one it rests on.

    `value` is an expression over the names of staged columns, `staged_indexes` are their places among them.
    `position` is the place in the source's tuple of a value that passes as it stands, else None.
    `equality` is the type's own `=`, when it is not built in.
    """

    name: str
    type_name: str
    value: Expression
    staged_indexes: tuple[int, ...]
    position: int | None
    is_momentary: bool = False
    is_domain: bool = False
    equality: tuple[str, str] | None = None
    equal_is_identical: bool = False

    @property
    def identifier(self) -> sql.Identifier:
        """Return the name for composed SQL."""
        return sql.Identifier(self.name)

    def value_sql(self, write_column: ColumnWriter) -> sql.Composable:
        """Compose the value; `write_column` says how a staged column is written."""
        return expression_sql(self.value, write_column)

    def equals_sql(self, row: str, value: sql.Composable) -> sql.Composed:
        """Compose the condition that the column of `row` equals a value, by the type's own operator.

        A domain is compared as what it rests on: polymorphic operators, those of enums, do not know domains.
        """
        return sql.SQL("{row}.{name}{cast} {operator} {value}").format(
            row=sql.SQL(row),
            name=self.identifier,
            cast=sql.SQL(f"::{self.type_name}" if self.is_domain else ""),
            operator=self._operator_sql(),
            value=value,
        )

    def _operator_sql(self) -> sql.Composable:
        if self.equality is None:
            return sql.SQL("=")
        schema_name, operator = self.equality
        return sql.SQL("operator({}.{})").format(sql.Identifier(schema_name), sql.SQL(operator))


@dataclass(frozen=True, slots=True)
class Projection:
    """A target table, the columns written, and the key that finds a row.

    `key` are the target's columns made from the source's key, empty when rows are found by all columns;
    `key_positions` are the places of the source's key in its tuple.
    `conditions` hold for the rows that belong on the target; each reads one staged column.
    `kept` are the target's columns that hold a staged value as it stands, by the staged column's name.
    """

    source_oid: int
    source_name: str
    target: sql.Identifier
    name: str
    staged: tuple[StagedColumn, ...]
    columns: tuple[ProjectedColumn, ...]
    key: tuple[ProjectedColumn, ...]
    key_positions: tuple[int, ...]
    kept: Mapping[str, str]
    conditions: tuple[Expression, ...]
    has_key_index: bool
    has_one_unique_key: bool  # then no order of rows makes one statement meet values that another gives away
    overrides_identity: bool
    rows: sql.Composed  # the target, without tables that inherit from it
    is_partitioned: bool
    cascades_to_it: bool  # a row to delete may be gone with one it referred to
    versioned: VersionedTable | None = None  # the target, when it keeps the versions of rows

    @property
    def is_plain(self) -> bool:
        """Tell whether every row passes, and every value as it stands."""
        return not self.is_filtered and all(column.position is not None for column in self.columns)

    @property
    def is_filtered(self) -> bool:
        """Tell whether some rows do not belong on the target."""
        return bool(self.conditions)

    @property
    def staged_columns(self) -> tuple[tuple[str, str], ...]:
        """Names and types of a staging table's columns."""
        return tuple((column.name, column.type_name) for column in self.staged)

    def staged_values(self, row: Tuple) -> Tuple:
        """Return the values of a source row in the order of `staged`."""
        return tuple([row[column.position] for column in self.staged])

    def values(self, row: Tuple) -> Tuple:
        """Return the values of a source row in the order of `columns`, all of which pass as they stand."""
        return tuple([row[column.position] for column in self.columns if column.position is not None])


def project(
    relation: Relation,
    *,
    types: Sequence[ValueType],
    task: ReplicationTask,
    state: TableState,
    target: Table,
    left_out: Collection[int] = (),
    text_collation: str = BYTEWISE,
) -> Projection:
    """Return the projection of a relation onto its target table; `types` are those of its columns.

    `left_out` are the places of columns that are not replicated.
    Raise TargetSchemaError naming the column when the target cannot take the relation's rows,
    ConfigurationError when a filter or a transformation does not fit the relation any more.
    """
    key_columns = _key_columns(relation, state)
    columns = enumerate(zip(relation.column_names, types, strict=True))
    plan = plan_relation(
        task,
        [column for place, column in columns if place not in left_out],
        source=state.source,
        key_columns=key_columns,
        context=CompileContext(collation=text_collation, masks_values=False),
    )
    fitted = fit_plan(plan.require_complete(), target)
    fitting = _Fitting(
        relation, types=types, plan=fitted, state=state, key_columns=key_columns, target=target
    )
    return fitting.projection()


def _key_columns(relation: Relation, state: TableState) -> tuple[str, ...]:
    """Return the columns that find a row: those of which the stream carries the old values.

    The replica identity may change in mid-stream, and each relation says which one its changes have.
    FULL carries all columns; then those that were found to be the table's key are enough.
    """
    identity = tuple(column.name for column in relation.columns if column.is_key)
    carries_all = relation.replica_identity is ReplicaIdentity.FULL
    if carries_all or not identity or set(identity) == set(state.key_columns):
        return state.key_columns
    return identity


class _Fitting:
    """Fit a plan to a relation and a target table."""

    def __init__(
        self,
        relation: Relation,
        *,
        types: Sequence[ValueType],
        plan: TablePlan,
        state: TableState,
        key_columns: tuple[str, ...],
        target: Table,
    ) -> None:
        self._relation = relation
        self._plan = plan
        self._state = state
        self._key_columns = key_columns
        self._target = target
        self._target_columns = {column.name: column for column in target.columns}
        self._positions = {name: i for i, name in enumerate(relation.column_names)}
        self._types = types
        self._inputs = _inputs(plan)
        self._staged: dict[StagedColumn, int] = {}

    def projection(self) -> Projection:
        for _, condition in self._plan.conditions:
            self._stage_input(condition.columns[0])
        written = [column for column in self._plan.columns if not self._is_generated(column)]
        columns = tuple(self._project(column) for column in written)
        versions = self._plan.versions
        key = self._key(columns)
        return Projection(
            source_oid=self._relation.oid,
            source_name=str(self._state.source),
            target=self._target.name.identifier,
            name=str(self._target.name),
            staged=tuple(self._staged),
            columns=columns,
            key=key,
            key_positions=tuple(self._positions[name] for name in self._key_columns),
            kept={column.value.columns[0]: column.name for column in columns if column.position is not None},
            conditions=tuple(condition for _, condition in self._plan.conditions),
            has_key_index=_has_key_index(self._target, key),
            has_one_unique_key=self._target.unique_index_count == 1 and _has_key_index(self._target, key),
            overrides_identity=any(column.identity == _OVERRIDES_IDENTITY for column in self._target.columns),
            rows=self._target.rows,
            is_partitioned=self._target.is_partition_root,
            cascades_to_it=self._target.cascades_to_it,
            versioned=None if versions is None else versioned_table(self._plan, self._target),
        )

    def _is_generated(self, column: ChainColumn) -> bool:
        target = self._target_columns.get(column.name)
        return target is not None and bool(target.generated)

    def _project(self, column: ChainColumn) -> ProjectedColumn:
        target = self._target_columns.get(column.name)
        if target is None:
            raise self._lacking(column)
        return self._compute(column, target) if column.source is None else self._pass(column.source, target)

    def _compute(self, column: ChainColumn, target: Column) -> ProjectedColumn:
        """Project a value that is made of others."""
        return ProjectedColumn(
            value=column.value,
            staged_indexes=tuple(self._stage_input(name) for name in column.depends_on),
            position=None,
            is_momentary=column.is_momentary,
            **_traits(target),
        )

    def _pass(self, source: str, target: Column) -> ProjectedColumn:
        """Project a value that passes as it stands."""
        position = self._positions[source]
        is_input = source in self._inputs and self._types[position].name != target.stored_type_name
        name = f"trempy column {position}" if is_input else source
        literal_type = target.base_type_name or target.stored_type_name
        staged = StagedColumn(name, target.stored_type_name, position, literal_type)
        return ProjectedColumn(
            value=source_column(name),
            staged_indexes=(self._stage(staged),),
            position=position,
            **_traits(target),
        )

    def _stage_input(self, source: str) -> int:
        """Stage a value that expressions read, in the source's type."""
        position = self._positions[source]
        value_type = self._types[position]
        return self._stage(StagedColumn(source, value_type.name, position, value_type.base_name))

    def _stage(self, column: StagedColumn) -> int:
        return self._staged.setdefault(column, len(self._staged))

    def _key(self, columns: tuple[ProjectedColumn, ...]) -> tuple[ProjectedColumn, ...]:
        by_name = {column.name: column for column in columns}
        state = self._state
        for source, name in zip(self._key_columns, self._plan.identity, strict=True):
            if name not in by_name or source not in self._positions:
                raise TargetSchemaError(
                    f"key column {source!r} of {state.source} is not replicated to {state.target}",
                    hint="The key's columns must be selected and must not be generated on the target.",
                )
        return tuple(by_name[name] for name in self._plan.identity)

    def _lacking(self, column: ChainColumn) -> TargetSchemaError:
        state = self._state
        owner = "the settings make it" if column.origin is None else f"source table {state.source} has it"
        return TargetSchemaError(
            f"target table {state.target} has no column {column.name!r}, {owner}",
            hint=f"Add the column {column.name!r} to {state.target}, then start the task again.",
        )


def _traits(target: Column) -> dict[str, Any]:
    is_plain_text = target.type_oid in _TEXT_TYPES and target.collation is None
    return {
        "name": target.name,
        "type_name": target.stored_type_name,
        "is_domain": target.is_domain,
        "equality": target.equality,
        "equal_is_identical": is_plain_text or target.base_type_oid in _IDENTICAL_IF_EQUAL,
    }


def _inputs(plan: TablePlan) -> frozenset[str]:
    """Return the source columns that expressions read."""
    computed = [column.depends_on for column in plan.columns if not column.is_as_it_stands]
    filtered = [condition.columns for _, condition in plan.conditions]
    return frozenset[str]().union(*computed, *filtered)


def _has_key_index(target: Table, columns: tuple[ProjectedColumn, ...]) -> bool:
    wanted = {column.name for column in columns}
    return bool(wanted) and any(set(key.columns) == wanted and key.is_immediate for key in target.keys)

"""How a table of a task is compared: which columns, by which key, in which order.

The source's side is the query of a full load: filters, transformations and masks included.
A value is compared as the target's type writes it: where the types differ, the source casts the value's text,
as the target has done when it took the value.
A type of the target that the source does not have cannot be cast to there; the rows of such a table are
copied to the target, range by range, and computed there.

What is made at the moment of application (`date_now`) is of no use to compare, and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from psycopg2 import sql

from trempy_provider.apply_modes.versioned_table import VersionedTable, versioned_table
from trempy_provider.config.choices import SchemaEvolution
from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.expressions import Literal, compose
from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import RetryPolicy, TargetSchemaError, TrempyError
from trempy_provider.postgres.catalog import read_table, read_target_table
from trempy_provider.postgres.comparison import Hashing, KeyValue, Rows
from trempy_provider.postgres.expression_sql import expression_sql
from trempy_provider.postgres.known_tables import KnownTable, read_known_tables
from trempy_provider.postgres.load_plan import Leaf, read_leaves
from trempy_provider.postgres.metadata import read_text_collation
from trempy_provider.postgres.plan_fitting import fit_plan
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_plan import TablePlan, plan_table
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.tables import Column, Table

_WHOLE_NUMBERS = frozenset({20, 21, 23})
# bool, bytea, oid, date, time, timestamp, timestamptz, numeric, uuid
_ORDERED = frozenset({16, 17, 26, 1082, 1083, 1114, 1184, 1700, 2950})
_FIRST_USER_OID = 16384
_VERSION = sql.SQL("concat_ws('/', t.tableoid::bigint, t.ctid, t.xmin)")


class NotComparableError(TrempyError):
    """A table cannot be compared as it is now; the message continues its name."""

    hint = "Bring the table into order as the message says, then validate again."


class TableChangedError(NotComparableError):
    """The source's table has changed, and the target has not followed yet."""

    policy = RetryPolicy.BY_ITSELF
    hint = "Let apply come to the change, then validate again."


@dataclass(frozen=True, slots=True)
class ComparedTable:
    """A table on both sides.

    `staged`: the source's rows as they are in `staging` after they were copied to the target; None: the
    source computes them itself.
    `columns` are those written, `values` how the source computes them.
    `left_out` are the columns not compared.
    """

    state: TableState
    source_table: Table
    target_table: Table
    leaves: tuple[Leaf, ...]
    source: Rows
    target: Rows
    staged: Rows | None
    columns: tuple[Column, ...]
    values: tuple[sql.Composable, ...]
    key: tuple[str, ...]  # the columns' names on the target; (): rows are told apart by all their values
    left_out: tuple[str, ...]
    is_ordered: bool  # both sides find a range of keys by an index
    versioned: VersionedTable | None

    @property
    def has_versions(self) -> bool:
        """Tell whether every row has a place and a version that tell of each change."""
        return all(leaf.is_heap and not leaf.is_foreign for leaf in self.leaves)

    def is_unchanged(self, source: Session, target: Session) -> bool:
        """Tell whether both tables still have the columns with which the comparison was planned."""
        return all(
            (now := read_table(session, seen.name)) is not None and _shape(now) == _shape(seen)
            for session, seen in ((source, self.source_table), (target, self.target_table))
        )


STAGING = sql.Identifier("pg_temp", "trempy_compared")


def plan_comparison(
    task: ReplicationTask, state: TableState, *, source: Session, target: Session
) -> ComparedTable:
    """Return how a table is compared; raise NotComparableError when it cannot be."""
    source_table = read_table(source, state.source)
    if source_table is None or source_table.oid != state.source_oid:
        raise NotComparableError("it was renamed, dropped or created again on the source")
    target_table = read_target_table(target, state.target)
    known = read_known_tables(target, task.task_name).get(state.source_oid)
    names = _replicated_names(task, source_table, known)
    moment = compose(
        "{moment}::timestamptz", moment=Literal(source.fetch_value("select clock_timestamp()").isoformat())
    )
    context = CompileContext(collation=read_text_collation(target, task.task_name), moment=moment)
    plan = plan_table(task, _renamed(source_table, names), context=context).require_complete()
    plan = fit_plan(plan, target_table)
    leaves = _read_leaves(source, state.source_oid)
    hashing = Hashing(_encoding(source) == _encoding(target))
    planner = _Planner(plan, source_table, target_table, names, hashing, leaves, state)
    return planner.compared()


def _read_leaves(source: Session, oid: int) -> tuple[Leaf, ...]:
    with source.transaction(isolation="repeatable read", read_only=True):
        return read_leaves(source, oid)


def _encoding(session: Session) -> str:
    return str(session.fetch_value("select getdatabaseencoding()"))


def _shape(table: Table) -> tuple[int, tuple[tuple[str, int, str, str], ...]]:
    return table.oid, tuple((c.name, c.position, c.type_name, c.generated) for c in table.columns)


def _replicated_names(task: ReplicationTask, table: Table, known: KnownTable | None) -> dict[str, str]:
    """Return the names under which columns are replicated, by those they have on the source."""
    names: dict[str, str] = {}
    for column in table.columns:
        entry = None if known is None else known.column(column.position)
        if known is None or column.generated:
            names[column.name] = column.name
        elif entry is not None and entry.alias is not None:
            names[column.name] = entry.alias
        if known is None or task.cdc.schema_evolution is SchemaEvolution.IGNORE or column.generated:
            continue
        selection = task.selection_of(table.name.schema_name, table.name.table_name)
        travels = selection is None or selection.selects_column(column.name)
        if travels and names.get(column.name) != column.name:
            raise TableChangedError(f"its column {column.name!r} has come to the source or got another name")
    return names


def _renamed(table: Table, names: dict[str, str]) -> Table:
    """Return the table as the settings see it."""
    columns = tuple(replace(c, name=names[c.name]) for c in table.columns if c.name in names)
    keys = tuple(
        replace(key, columns=tuple(names[name] for name in key.columns))
        for key in table.keys
        if names.keys() >= set(key.columns)
    )
    return replace(table, columns=columns, keys=keys)


@dataclass(frozen=True, slots=True)
class _Planner:
    plan: TablePlan
    source_table: Table
    target_table: Table
    names: dict[str, str]
    hashing: Hashing
    leaves: tuple[Leaf, ...]
    state: TableState

    def compared(self) -> ComparedTable:
        written = self._written()
        compared = [(planned, column) for planned, column in written if not planned.is_momentary]
        is_staged = any(_is_foreign(planned, column) for planned, column in compared)
        versioned = None if self.plan.versions is None else versioned_table(self.plan, self.target_table)
        key = self._key([planned.name for planned, _ in compared], versioned)
        target_conditions = [] if versioned is None else [versioned.fill("t.{end} is null")]
        key_columns = [next(pair for pair in compared if pair[0].name == name) for name in key]
        is_ordered = bool(key) and self._is_ordered(key_columns, key)
        target_relation = sql.SQL("{} t").format(self.target_table.rows)
        of_target = Rows(
            target_relation,
            tuple(target_conditions),
            tuple(_target_key(column, is_ordered) for _, column in key_columns),
            tuple(_target_text(column) for _, column in compared),
            self.hashing,
            _VERSION,
        )
        of_source = Rows(
            sql.SQL("{} t").format(self.source_table.rows),
            tuple(self._source_sql(condition) for _, condition in self.plan.conditions),
            tuple(self._source_key(planned, column, is_ordered) for planned, column in key_columns),
            tuple(self._source_text(planned, column) for planned, column in compared),
            self.hashing,
            _VERSION,
        )
        staged = replace(
            of_target,
            relation=sql.SQL("{} t").format(STAGING),
            conditions=(),
            version=sql.SQL("t.{}").format(sql.Identifier(VERSION_COLUMN)),
        )
        return ComparedTable(
            state=self.state,
            source_table=self.source_table,
            target_table=self.target_table,
            leaves=self.leaves,
            source=of_source,
            target=of_target,
            staged=staged if is_staged else None,
            columns=tuple(column for _, column in written),
            values=tuple(self._source_sql(planned.value) for planned, _ in written),
            key=key,
            left_out=tuple(planned.name for planned, _ in written if planned.is_momentary),
            is_ordered=is_ordered,
            versioned=versioned,
        )

    def _written(self) -> list[tuple[ChainColumn, Column]]:
        present = {column.name: column for column in self.target_table.columns}
        missing = [planned.name for planned in self.plan.columns if planned.name not in present]
        if missing:
            raise NotComparableError(f"its target lacks columns: {', '.join(missing)}")
        pairs = [(planned, present[planned.name]) for planned in self.plan.columns]
        return [(planned, column) for planned, column in pairs if not column.generated]

    def _key(self, compared: list[str], versioned: VersionedTable | None) -> tuple[str, ...]:
        if versioned is not None and set(versioned.key) != set(self.plan.identity):
            raise NotComparableError("its histories have another key than the source's rows")
        missing = [name for name in self.plan.identity if name not in compared]
        if missing:
            raise TargetSchemaError(f"key column {missing[0]!r} of {self.state.source} is not replicated")
        return self.plan.identity

    def _is_ordered(self, pairs: list[tuple[ChainColumn, Column]], key: tuple[str, ...]) -> bool:
        has_index = any(index.columns[: len(key)] == key for index in self.target_table.keys)
        return has_index and all(
            planned.is_as_it_stands and column.not_null and _bound_type(planned, column) is not None
            for planned, column in pairs
        )

    def _source_sql(self, value: object) -> sql.Composable:
        actual = {name: real for real, name in self.names.items()}
        return expression_sql(value, lambda name: sql.Identifier("t", actual.get(name, name)))  # type: ignore[arg-type]

    def _source_text(self, planned: ChainColumn, column: Column) -> sql.Composable:
        value = self._source_sql(planned.value)
        if _is_alike(planned, column):
            return sql.SQL("({})::text").format(value)
        # A cast to text is not always what a value is written as: `character`, `boolean` and `inet` differ.
        written = sql.SQL("case when num_nonnulls({0}) = 1 then format('%s', {0}) end").format(value)
        if _is_foreign(planned, column):
            return written
        return sql.SQL("({})::{}::text").format(written, sql.SQL(column.stored_type_name))

    def _source_key(self, planned: ChainColumn, column: Column, is_ordered: bool) -> KeyValue:
        has_type = planned.is_as_it_stands and planned.type.base_oid < _FIRST_USER_OID
        looks_by_value = has_type and column.not_null and _is_alike(planned, column)
        return KeyValue(
            text=_bytewise(self._source_text(planned, column)),
            value=self._source_sql(planned.value),
            bound_type=_bound_type(planned, column) if is_ordered else None,
            literal_type=(
                _bound_type(planned, column)
                if is_ordered
                else planned.type.base_name
                if looks_by_value
                else None
            ),
        )


VERSION_COLUMN = "trempy version"


def _target_text(column: Column) -> sql.Composable:
    return sql.SQL("t.{}::text").format(column.identifier)


def _target_key(column: Column, is_ordered: bool) -> KeyValue:
    is_built_in = column.base_type_oid < _FIRST_USER_OID and not column.is_domain
    whole = column.base_type_oid in _WHOLE_NUMBERS
    bound_type = ("bigint" if whole else column.base_type_name or column.type_name) if is_ordered else None
    by_value = column.base_type_name if is_built_in and column.not_null else None
    return KeyValue(
        text=_bytewise(_target_text(column)),
        value=sql.SQL("t.{}").format(column.identifier),
        bound_type=bound_type,
        literal_type=bound_type or by_value,
    )


def _bytewise(text: sql.Composable) -> sql.Composable:
    return sql.SQL('({}) collate "C"').format(text)


def _is_alike(planned: ChainColumn, column: Column) -> bool:
    """Tell whether both sides write a value alike without further ado."""
    names = {planned.type.name, planned.type.base_name}
    if column.base_type_oid >= _FIRST_USER_OID:  # OIDs of such types are each server's own
        return column.base_type_name in names
    if planned.type.base_oid != column.base_type_oid:
        return False
    return column.type_name in names or column.stored_type_name in names


def _is_foreign(planned: ChainColumn, column: Column) -> bool:
    """Tell whether the target's type is of its own kind, which the source cannot cast to."""
    if column.base_type_oid < _FIRST_USER_OID:
        return False
    return column.base_type_name not in (planned.type.base_name, planned.type.name)


def _bound_type(planned: ChainColumn, column: Column) -> str | None:
    """Return the type of bounds of a column that both sides order alike, None where they may not."""
    oids = {planned.type.base_oid, column.base_type_oid}
    if oids <= _WHOLE_NUMBERS:
        return "bigint"
    return planned.type.base_name if len(oids) == 1 and oids <= _ORDERED else None

"""Statements that make histories of rows out of their states, as values.

A version is a row with the time from which it held, the time at which it ended, and a flag; the current one
has no end.
States come in a table of the target's columns with, for each, its number, its moment and whether the row is
present.
The versions that follow from them are composed in a second table and then put in the target:

1. what was written before at the first moment of each key is undone, because a key has one version per
   moment, and none without length: an earlier part of the same transaction wrote it, or another transaction
   of the same microsecond;
2. states that change nothing are left out;
3. a version starts at its state's moment, or a microsecond after the version before it where the source's
   clock went backwards;
4. the current versions that end are closed, then the new ones inserted.

Values are compared by their image, so that `1.0` and `1.00` are two.
See "Composite Type Comparison" in the manual (9.25.6) for the operator `*<>`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from psycopg2 import sql

from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.errors import TargetSchemaError
from trempy_provider.postgres.table_plan import TablePlan
from trempy_provider.postgres.tables import Column, Table, quote_name
from trempy_provider.postgres.version_columns import VersionColumns

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

    `is_compared`: another value makes another version.
    """

    name: str
    base_type: str | None = None
    is_compared: bool = True

    @property
    def identifier(self) -> sql.Identifier:
        """Return the name for composed SQL."""
        return sql.Identifier(self.name)

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
        return sql.SQL(" and ").join(
            sql.SQL("{left}.{name} = {right}.{name}").format(
                left=sql.SQL(left), right=sql.SQL(right), name=sql.Identifier(name)
            )
            for name in self.key
        )

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
        is_compared=not planned.is_momentary,
    )


def create_states_sql(table: VersionedTable, name: sql.Identifier) -> sql.Composed:
    """Compose the creation of the table of states, empty."""
    return table.fill(
        "create temporary table {name} on commit delete rows as select {values}, null::bigint as {number}, "
        "t.{start} as {moment}, null::boolean as {present}, null::bigint as {carried}, null::text as {mask} "
        "from {target} t with no data",
        name=name,
        values=table.base_values_sql("t"),
    )


def create_versions_sql(table: VersionedTable, name: sql.Identifier) -> sql.Composed:
    """Compose the creation of the table of new versions, empty."""
    return table.fill(
        "create temporary table {name} on commit delete rows as select {values}, null::boolean as {present}, "
        "t.{start} as {new_start}, t.{start} as {new_end}, t.{start} as {closes} "
        "from {target} t with no data",
        name=name,
        values=table.base_values_sql("t"),
    )


def version_statements(
    table: VersionedTable, *, states: sql.Identifier, versions: sql.Identifier
) -> tuple[sql.Composed, ...]:
    """Compose, in order, all that brings the versions of the states in the table of states to the target."""
    return (
        *undo_same_moment_sql(table, states),
        compose_versions_sql(table, states=states, versions=versions),
        close_versions_sql(table, versions),
        insert_versions_sql(table, versions),
    )


def undo_same_moment_sql(table: VersionedTable, states: sql.Identifier) -> tuple[sql.Composed, sql.Composed]:
    """Compose what undoes, for each key, what was written at its first moment.

    The current version that began then is deleted; the last one that ended then is opened again.
    """
    firsts = table.fill(
        "(select distinct on ({key}) {key}, {moment} from {states} order by {key}, {number})", states=states
    )
    removal = table.fill(
        "delete from {rows} t using {firsts} f where {match} and t.{start} = f.{moment} and t.{end} is null",
        firsts=firsts,
        match=table.match_sql("t", "f"),
    )
    opening = table.fill(
        "update {rows} t set {end} = null, {current} = 1 from {firsts} f cross join lateral ({last}) l "
        "where l.{end} = f.{moment} and {match} and t.{start} = l.{start}",
        firsts=firsts,
        last=last_version_sql(table, of="f"),
        match=table.match_sql("t", "f"),
    )
    return removal, opening


def compose_versions_sql(
    table: VersionedTable, *, states: sql.Identifier, versions: sql.Identifier
) -> sql.Composed:
    """Compose the new versions that follow from the states and the target's last versions.

    A row that is not present only ends the version before it.
    """
    last = last_version_sql(
        table,
        of="s",
        condition=table.fill("s.{position} = 1 and "),
        image=table.fill(", {image} as {former_image}", image=table.target_image_sql("h")),
    )
    return table.fill(
        _COMPOSE,
        versions=versions,
        states=states,
        s_key=table.key_sql("s."),
        image=table.state_image_sql("s"),
        last=last,
    )


# `position`: a state's place among those of its key; `step`: a version's place among those of its key.
# `base`: the start of the current version that the first one ends; `floor`: the earliest start it may have.
_COMPOSE = """
with states as (
    select s.*, row_number() over of_key as {position}
    from (
        select s.*, lead({moment}) over (partition by {key} order by {number}) as {next_moment}
        from {states} s
    ) s
    where {next_moment} is distinct from {moment}
    window of_key as (partition by {key} order by {number})
), compared as (
    select s.*,
        case when s.{position} = 1 then l.{end} is null and l.{start} is not null
             else lag(s.{present}) over of_key end as {was_present},
        case when s.{position} = 1 then l.{former_image}
             else lag({image}) over of_key end as {former_image},
        first_value(case when l.{end} is null then l.{start} end) over of_key as {base},
        first_value(coalesce(l.{end}, l.{start} + interval '1 microsecond')) over of_key as {floor}
    from states s left join lateral ({last}) l on true
    window of_key as (partition by {s_key} order by s.{number})
), changes as (
    select s.*, row_number() over (partition by {key} order by {number}) as {step}
    from compared s
    where {present} <> {was_present} or ({present} and {image} *<> {former_image})
), placed as (
    select s.*, greatest(
        max({moment} - {step} * interval '1 microsecond') over (partition by {key} order by {step})
            + {step} * interval '1 microsecond',
        {floor} + ({step} - 1) * interval '1 microsecond'
    ) as {new_start}
    from changes s
)
insert into {versions} ({columns}, {present}, {new_start}, {new_end}, {closes})
select {columns}, {present}, {new_start}, lead({new_start}) over (partition by {key} order by {step}),
    case when {step} = 1 then {base} end
from placed"""


def close_versions_sql(table: VersionedTable, versions: sql.Identifier) -> sql.Composed:
    """Compose the end of the target's current versions that something follows."""
    return table.fill(
        "update {rows} t set {end} = v.{new_start}, {current} = 0 from {versions} v "
        "where {match} and t.{start} = v.{closes}",
        versions=versions,
        match=table.match_sql("t", "v"),
    )


def insert_versions_sql(table: VersionedTable, versions: sql.Identifier) -> sql.Composed:
    """Compose the insertion of the new versions."""
    return table.fill(
        "insert into {target} ({columns}, {start}, {end}, {current}) {overriding}"
        "select {columns}, {new_start}, {new_end}, case when {new_end} is null then 1 else 0 end "
        "from {versions} where {present}",
        overriding=sql.SQL("overriding system value " if table.overrides_identity else ""),
        versions=versions,
    )


def close_all_sql(
    target: Table, versions: VersionColumns, *, moment: datetime
) -> tuple[sql.Composed, sql.Composed]:
    """Compose the end of every current version at a moment; those that began then have never been."""
    holes = {
        "target": target.rows,
        "start": sql.Identifier(versions.start),
        "end": sql.Identifier(versions.end),
        "current": sql.Identifier(versions.current),
        "moment": sql.Literal(moment.isoformat()),
    }
    removal = sql.SQL("delete from {target} where {end} is null and {start} = {moment}").format(**holes)
    closing = sql.SQL(
        "update {target} set {end} = greatest({moment}, {start} + interval '1 microsecond'), {current} = 0 "
        "where {end} is null"
    ).format(**holes)
    return removal, closing


def last_version_sql(
    table: VersionedTable,
    *,
    of: str,
    condition: sql.Composable | None = None,
    image: sql.Composable | None = None,
) -> sql.Composed:
    """Compose the query of the last version of the key of a row."""
    return table.fill(
        "select h.*{image} from {rows} h where {condition}{match} order by h.{start} desc limit 1",
        condition=condition or sql.SQL(""),
        image=image or sql.SQL(""),
        match=table.match_sql("h", of),
    )


def _record_sql(values: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL("row({})::record").format(sql.SQL(", ").join(values))

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

from collections.abc import Callable
from datetime import datetime

from psycopg2 import sql

from trempy_provider.apply_modes.versioned_table import VersionedTable
from trempy_provider.postgres.tables import Table
from trempy_provider.postgres.version_columns import VersionColumns


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


def write_versions(
    run: Callable[[sql.Composed], int],
    table: VersionedTable,
    *,
    states: sql.Identifier,
    versions: sql.Identifier,
) -> None:
    """Bring the versions that follow from the states to the target; `run` returns the rows touched."""
    if run(same_moment_sql(table, states)):
        run(remove_same_moment_sql(table, states))
        run(reopen_same_moment_sql(table, states))
    run(compose_versions_sql(table, states=states, versions=versions))
    run(close_versions_sql(table, versions))
    run(insert_versions_sql(table, versions))


def same_moment_sql(table: VersionedTable, states: sql.Identifier) -> sql.Composed:
    """Compose the question whether any last version began or ended at the first moment of its key."""
    return table.fill(
        "select from {firsts} f cross join lateral ({last}) l "
        "where l.{end} = f.{moment} or (l.{end} is null and l.{start} = f.{moment}) limit 1",
        firsts=_firsts_sql(table, states),
        last=last_version_sql(table, of="f"),
    )


def remove_same_moment_sql(table: VersionedTable, states: sql.Identifier) -> sql.Composed:
    """Compose the removal of current versions that began at the first moment of their key."""
    return table.fill(
        "delete from {rows} t using {firsts} f where {match} and t.{start} = f.{moment} and t.{end} is null",
        firsts=_firsts_sql(table, states),
        match=table.match_sql("t", "f"),
    )


def reopen_same_moment_sql(table: VersionedTable, states: sql.Identifier) -> sql.Composed:
    """Compose the opening of last versions that ended at the first moment of their key."""
    return table.fill(
        "update {rows} t set {end} = null, {current} = 1 from {firsts} f cross join lateral ({last}) l "
        "where l.{end} = f.{moment} and {match} and t.{start} = l.{start}",
        firsts=_firsts_sql(table, states),
        last=last_version_sql(table, of="f"),
        match=table.match_sql("t", "f"),
    )


def _firsts_sql(table: VersionedTable, states: sql.Identifier) -> sql.Composed:
    return table.fill(
        "(select distinct on ({key}) {key}, {moment} from {states} order by {key}, {number})", states=states
    )


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

"""What is loaded in a full load's benchmarks, and the ratios to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.settings_entries import change_value, create_column, filter_entry

_NARROW = (
    "create table bench.narrow (id bigint primary key, n int not null, v numeric(12, 2));"
    "insert into bench.narrow select g, g % 1000, g / 7.0 from generate_series(1, {rows}) g;"
)
_WIDE = (
    "create table bench.wide (id bigint primary key, i int, s smallint, n numeric(14, 4), f float8, r real, b bool,"
    " t text, v varchar(80), c char(10), d date, ts timestamp, tz timestamptz, u uuid, j jsonb);"
    "insert into bench.wide select g, g, g % 30000, g / 3.0, g / 7.0, g / 9.0, g % 2 = 0, 'text ' || md5(g::text),"
    " repeat('v', g % 60), 'c' || g % 1000, date '2020-01-01' + g % 2000, timestamp '2020-01-01' + g * interval '1 s',"
    " timestamptz '2020-01-01' + g * interval '1 s', md5(g::text)::uuid, jsonb_build_object('k', g, 'l', 'value')"
    " from generate_series(1, {rows}) g;"
)
_SHAPED_COLUMNS = (
    "id bigint primary key, i int, s smallint, n numeric, f float8, r real, b bool, t text, v varchar(80), c char(10),"
    " d int, ts timestamp, tz timestamptz, u uuid, j jsonb, label text"
)
_SHAPED_QUERY = (
    'select id, i, s, n * 2 + 1, f, r, b, upper(t collate "und-x-icu"), v, c, extract(year from d)::int, ts, tz, u, j,'
    " concat_ws('-', v, i::text) from bench.wide where i > {rows} / 10 and t like 'text%'"
)
_SMALL_ROWS = 500


@dataclass(frozen=True, slots=True)
class Load:
    """Tables to load, and the ratio to reach against each peer.

    `commands` are the product's that are timed; `by_hand` is a query that does what the settings say, and the
    columns of the table it goes into.
    """

    what: str
    tables: tuple[str, ...]
    create: str
    rows: int
    must_reach: Mapping[str, float]
    commands: tuple[str, ...] = ("full-load",)
    foreign_keys: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    by_hand: tuple[str, str] | None = None


def load_of(name: str, scale: float) -> Load:
    """Return a load at a scale."""
    return LOADS[name](scale)


def _narrow(scale: float) -> Load:
    rows = int(2_000_000 * scale)
    return Load(f"narrow, {rows:,} rows", ("bench.narrow",), _NARROW.format(rows=rows), rows, _single(1.2))


def _wide(scale: float) -> Load:
    rows = int(500_000 * scale)
    return Load(
        f"wide, {rows:,} rows × 15 types", ("bench.wide",), _WIDE.format(rows=rows), rows, _single(1.05)
    )


def _single(against_pipe: float) -> dict[str, float]:
    return {"pipe": against_pipe, "native": 1.0, "pgcopydb": 1.0, "pg_dump": 1.0}


def _shaped(scale: float) -> Load:
    rows = int(500_000 * scale)
    table = "bench.wide"
    settings = {
        "filters": [
            filter_entry(table, "greater_than", "i", value=rows // 10),
            filter_entry(table, "starts_with", "t", value="text"),
        ],
        "transformations": [
            change_value(table, "math_expression", "n", expression="value * 2 + 1"),
            change_value(table, "uppercase", "t"),
            change_value(table, "extract_year", "d"),
            create_column(table, "concat", "label", depends_on=["v", "i"], separator="-"),
        ],
    }
    return Load(
        f"2 filters and 4 transformations, {rows:,} rows",
        (table,),
        _WIDE.format(rows=rows),
        rows,
        {"query": 0.95},
        settings=settings,
        by_hand=(_SHAPED_QUERY.format(rows=rows), _SHAPED_COLUMNS),
    )


def _many(scale: float) -> Load:
    """Foreign keys lead from the small tables to large ones, and from each large one to the one before."""
    small, large_rows = max(int(200 * min(scale, 1.0)), 5), int(200_000 * scale)
    tables, statements, foreign_keys = [], [], []
    for number in range(5 + small):
        is_large = number < 5
        rows = large_rows if is_large else min(_SMALL_ROWS, large_rows)
        table, parent = f"bench.t{number}", f"bench.t{number - 1 if is_large else number % 5}"
        tables.append(table)
        statements.append(
            f"create table {table} (id int primary key, parent int not null, name text, at timestamptz, v numeric(12, 2));"
            f"insert into {table} select g, g, 'name ' || g, timestamptz '2024-01-01' + g * interval '1 s', g / 7.0"
            f" from generate_series(1, {rows}) g;"
        )
        if number:
            foreign_keys.append(f"alter table {table} add foreign key (parent) references {parent};")
    return Load(
        f"{small} small and 5 large tables",
        tuple(tables),
        "".join((*statements, *foreign_keys)),
        5 * large_rows + small * min(_SMALL_ROWS, large_rows),
        {"pgcopydb": 1.0, "pg_dump -j": 1.0},
        commands=("setup", "full-load"),
        foreign_keys="".join(foreign_keys),
    )


LOADS = {"narrow": _narrow, "wide": _wide, "many": _many, "shaped": _shaped}

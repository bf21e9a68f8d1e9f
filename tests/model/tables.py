"""Random tables: every kind of row identity, columns of many types, values small and large."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from psycopg2 import sql

from tests.support.type_values import VALUES

SCHEMA = "model"
CREATE_TYPES = """
create schema model;
create type model.mood as enum ('low', 'even', 'high');
create domain model.positive as integer check (value > 0);
create type model.pair as (n integer, t text);
"""

TYPES = (
    "smallint", "integer", "bigint", "numeric(12,3)", "real", "double precision", "money", "text", "varchar(20)",
    "char(6)", "bytea", "boolean", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "inet",
    "json", "jsonb", "point", "int4range", "integer[]", "text[]", "bit(5)", "pg_lsn", "tsvector",
    "model.mood", "model.positive", "model.pair",
)  # fmt: skip
OWN_VALUES = {
    "model.mood": ["low", "even", "high"],
    "model.positive": ["1", "2147483647"],
    "model.pair": ["(1,a)", '(,"b ""c""")', "(,)"],
}
LARGEST_VALUE = 20_000  # characters

KEYS = {
    "integer": [str(n) for n in range(1, 41)],
    "bigint": [str(n * 10**12) for n in range(20)],
    "text": ["", " ", "\\", "A", "a", "é", *(f"key {n}" for n in range(20)), "long " * 100],
    "uuid": [f"00000000-0000-0000-0000-{n:012}" for n in range(20)],
    "timestamptz": [f"2024-02-29 12:00:{n:02}.000001+00" for n in range(20)],
    "numeric(12,3)": [f"{n}.5" for n in range(20)],
    "model.mood": OWN_VALUES["model.mood"],
    "model.positive": [str(n) for n in range(1, 20)],
}


@dataclass(frozen=True, slots=True)
class ModelColumn:
    """A column and the texts it may hold, None for NULL."""

    name: str
    type_name: str
    values: tuple[str | None, ...]


@dataclass(slots=True)
class ModelTable:
    """A table; `key` are the columns that identify a row to the writers, none for a table without a key.

    Its columns may change while it is written to.
    """

    name: str
    columns: list[ModelColumn]
    key: tuple[str, ...]
    identity: str  # default, full, index
    unique: str | None = None
    added_count: int = field(default=0)

    @property
    def qualified_name(self) -> str:
        return f"{SCHEMA}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(SCHEMA, self.name)

    @property
    def others(self) -> list[ModelColumn]:
        """The columns that are not in the key."""
        return [column for column in self.columns if column.name not in self.key]

    def create_sql(self) -> sql.Composed:
        """Compose the table with its keys and its replica identity."""
        parts = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(column.name),
                sql.SQL(column.type_name),
                sql.SQL(" not null" if column.name in self.key else ""),
            )
            for column in self.columns
        ]
        key = sql.SQL(", ").join(map(sql.Identifier, reversed(self.key)))
        if self.key and self.identity != "index":
            parts.append(sql.SQL("primary key ({})").format(key))
        statements = [
            sql.SQL("create table {} ({})").format(self.identifier, sql.SQL(", ").join(parts)),
            sql.SQL("alter table {} alter big set storage external").format(self.identifier),
        ]
        index = sql.Identifier(f"{self.name}_identity")
        if self.identity == "index":
            statements.append(
                sql.SQL("create unique index {} on {} ({})").format(index, self.identifier, key)
            )
            statements.append(
                sql.SQL("alter table {} replica identity using index {}").format(self.identifier, index)
            )
        if self.identity == "full":
            statements.append(sql.SQL("alter table {} replica identity full").format(self.identifier))
        if self.unique:
            statements.append(
                sql.SQL("alter table {} add unique ({})").format(self.identifier, sql.Identifier(self.unique))
            )
        return sql.SQL("; ").join(statements)


def random_tables(random: Random, count: int, *, with_keys: bool = False) -> list[ModelTable]:
    """Return tables of all kinds, in random order; or of all that have a key."""
    kinds = ["keyed", "composite", "full", "keyless", "index", "unique"]
    if with_keys:
        kinds.remove("keyless")
    chosen = [kinds[number % len(kinds)] for number in range(count)]
    random.shuffle(chosen)
    return [_table(random, f"t{number}_{kind}", kind) for number, kind in enumerate(chosen)]


def random_column(random: Random, name: str) -> ModelColumn:
    """Return a column of a random type."""
    type_name = random.choice(TYPES)
    texts = OWN_VALUES.get(type_name) or VALUES[type_name]
    return ModelColumn(name, type_name, (None, *(text for text in texts if len(text) < LARGEST_VALUE)))


def _table(random: Random, name: str, kind: str) -> ModelTable:
    key_count = {"keyless": 0, "composite": 2}.get(kind, 1)
    columns = [_key_column(random, f"k{number}") for number in range(key_count)]
    columns += [random_column(random, f"c{number}") for number in range(random.randint(1, 5))]
    columns.append(ModelColumn("n", "integer", (None, "0", "1", "2", "3")))
    columns.append(ModelColumn("big", "text", (None, "", "small")))
    if kind == "unique":
        columns.append(ModelColumn("u", "integer", (None, *(str(n) for n in range(30)))))
    random.shuffle(columns)
    key = tuple(column.name for column in columns if column.name.startswith("k"))
    identity = {"full": "full", "keyless": "full", "index": "index"}.get(kind, "default")
    return ModelTable(name, columns, key, identity, unique="u" if kind == "unique" else None)


def _key_column(random: Random, name: str) -> ModelColumn:
    type_name = random.choice(list(KEYS))
    return ModelColumn(name, type_name, tuple(KEYS[type_name]))

"""Compare two databases table by table: row counts and checksums, computed inside PostgreSQL.

A checksum is the sum of a hash of each row's text: the order of rows does not matter, duplicates do.
Columns are taken in the order of their names, so the order of columns does not matter either; columns that
only the target has are left out.
Tables that inherit from a table are tables of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import sql

from trempy_provider.postgres.tables import QualifiedName

# A row's text depends on these settings.
TEXT_SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "search_path": "pg_catalog",
}

LIST_TABLES = """
select format('%I.%I', nspname, relname)
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p') and not relispartition
  and nspname not like 'pg\\_%' and nspname not in ('information_schema', 'trempy')
order by nspname, relname
"""

DESCRIBE_TABLE = """
select relkind = 'p',
       array(select attname::text from pg_attribute
             where attrelid = pg_class.oid and attnum > 0 and not attisdropped order by attname collate "C")
from pg_class
  join pg_namespace on pg_namespace.oid = relnamespace
where nspname = %(schema)s and relname = %(table)s and relkind in ('r', 'p')
"""


@dataclass(frozen=True, slots=True)
class TableDigest:
    """What a table holds: how many rows, and the sum of their hashes."""

    row_count: int
    checksum: int


@dataclass(frozen=True, slots=True)
class TableComparison:
    """One table on both sides; None where the table does not exist."""

    table: str
    source: TableDigest | None
    target: TableDigest | None

    @property
    def is_equal(self) -> bool:
        """Tell whether both sides hold the same rows."""
        return self.source is not None and self.source == self.target


def compare_databases(
    source_uri: str, target_uri: str, *, tables: Sequence[str] | None = None
) -> list[TableComparison]:
    """Compare `tables` (`schema.table`), by default all tables of the source, each side in one snapshot.

    A part of a name that is no plain name stands in double quotes.
    """
    names = list(tables) if tables is not None else list_tables(source_uri)
    columns = list_columns(source_uri, names)
    with ThreadPoolExecutor(max_workers=2) as sides:
        source = sides.submit(digest_tables, source_uri, columns)
        target = sides.submit(digest_tables, target_uri, columns)
    return [TableComparison(name, source.result()[name], target.result()[name]) for name in names]


def list_tables(uri: str) -> list[str]:
    """Return `schema.table` of every table; a partitioned table counts once, its partitions do not."""
    with snapshot(uri) as cursor:
        cursor.execute(LIST_TABLES)
        return [name for (name,) in cursor.fetchall()]


def list_columns(uri: str, tables: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns of each table; [] when it does not exist."""
    with snapshot(uri) as cursor:
        return {table: _describe(cursor, QualifiedName.parse(table))[1] for table in tables}


def digest_tables(uri: str, columns: Mapping[str, Sequence[str]]) -> dict[str, TableDigest | None]:
    """Read count and checksum over the columns of each table, in one snapshot."""
    with snapshot(uri) as cursor:
        return {table: _digest(cursor, QualifiedName.parse(table), columns[table]) for table in columns}


@contextmanager
def snapshot(uri: str) -> Iterator[Any]:
    """Give the block a cursor that sees one snapshot, with settings that make texts comparable."""
    options = " ".join(f"-c {name}={value}" for name, value in TEXT_SETTINGS.items())
    connection = psycopg2.connect(uri, options=options, application_name="sandbox/compare")
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def _describe(cursor: Any, name: QualifiedName) -> tuple[bool | None, list[str]]:
    """Return whether a table is partitioned, None when there is none, and its columns."""
    cursor.execute(DESCRIBE_TABLE, {"schema": name.schema_name, "table": name.table_name})
    return cursor.fetchone() or (None, [])


def _digest(cursor: Any, name: QualifiedName, columns: Sequence[str]) -> TableDigest | None:
    """Return what a table holds, None when it or one of the columns does not exist."""
    is_partitioned, present = _describe(cursor, name)
    if is_partitioned is None or not set(columns) <= set(present):
        return None
    cursor.execute(digest_sql(name, columns, is_partitioned=is_partitioned))
    row_count, checksum = cursor.fetchone()
    return TableDigest(row_count, int(checksum))


def digest_sql(name: QualifiedName, columns: Sequence[str], *, is_partitioned: bool) -> sql.Composed:
    """Return the query of a table's row count and checksum."""
    return sql.SQL(
        'select count(*), coalesce(sum(hashtextextended(row({columns})::text collate "C", 0)), 0)'
        " from {only}{table}"
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        only=sql.SQL("" if is_partitioned else "only "),
        table=name.identifier,
    )

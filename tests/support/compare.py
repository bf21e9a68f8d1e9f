"""Assert that two databases hold the same rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2 import sql

from sandbox.compare import compare_databases, list_columns, snapshot
from trempy_provider.postgres.tables import QualifiedName


def assert_equal_tables(source_uri: str, target_uri: str, *, tables: Sequence[str] | None = None) -> None:
    """Fail with the tables that differ; `tables` are `schema.table`, by default all of the source."""
    comparisons = compare_databases(source_uri, target_uri, tables=tables)
    different = [comparison for comparison in comparisons if not comparison.is_equal]
    assert comparisons, "the source has no tables to compare"
    assert not different, "\n".join(map(str, different))


def assert_equal_rows(source_uri: str, target_uri: str, *, tables: Sequence[str]) -> None:
    """Fail with the tables whose rows, in order, have different checksums."""
    columns = list_columns(source_uri, tables)
    assert _ordered_checksums(source_uri, columns) == _ordered_checksums(target_uri, columns)


def _ordered_checksums(uri: str, columns: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, str]]:
    """Return of each table the count of its rows and the checksum of all of them, sorted by their text."""
    with snapshot(uri) as cursor:
        return {table: _ordered_checksum(cursor, table, columns[table]) for table in columns}


def _ordered_checksum(cursor: Any, table: str, columns: Sequence[str]) -> tuple[int, str]:
    cursor.execute(
        sql.SQL(
            "select count(*), coalesce(md5(string_agg(line, E'\\n' order by line)), '')"
            ' from (select row({columns})::text collate "C" as line from {table}) as lines'
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            table=QualifiedName.parse(table).identifier,
        )
    )
    count, checksum = cursor.fetchone()
    return count, checksum

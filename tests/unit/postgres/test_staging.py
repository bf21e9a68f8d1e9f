"""Staging tables and their COPY text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import sql

from tests.support.sql_text import sql_text
from trempy_provider.postgres.staging import (
    MASK_COLUMN,
    OPERATION_COLUMN,
    StagedCounts,
    StagedRow,
    StagingTables,
    create_staging_sql,
)
from trempy_provider.replication.messages import UNCHANGED, Value

COLUMNS = (("id", "integer"), ("v", "text"))
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class FakeSession:
    """Record statements and what was copied."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.copied: list[bytes] = []

    def execute(self, query: sql.Composable, _params: Any = None) -> int:
        self.statements.append(sql_text(query))
        return 0

    def copy_from(self, query: sql.Composable, stream: Any) -> int:
        self.statements.append(sql_text(query))
        self.copied.append(stream.read())
        return 0


def parse_copy_text(body: bytes) -> list[list[bytes | None]]:
    """Read COPY's text format as the server does; see "COPY", section "Text Format"."""
    assert body == b"" or body.endswith(b"\n")
    assert b"\r" not in body
    return [[_parse_field(field) for field in line.split(b"\t")] for line in body.split(b"\n")[:-1]]


def _parse_field(field: bytes) -> bytes | None:
    if field == b"\\N":
        return None
    value, position = b"", 0
    while position < len(field):
        if field[position : position + 1] == b"\\":
            position += 1
            escaped = field[position : position + 1]
            assert escaped == b"\\" or escaped in _ESCAPES
            value += _ESCAPES.get(escaped, escaped)
        else:
            value += field[position : position + 1]
        position += 1
    return value


def stage(rows: Iterable[StagedRow]) -> tuple[list[list[bytes | None]], StagedCounts]:
    session = FakeSession()
    _, counts = StagingTables(session).stage("t", COLUMNS, rows)
    return parse_copy_text(session.copied[0]), counts


HOSTILE = [
    b"",
    b"\\N",
    b"\\\\N",
    b"\\.",
    b"\\",
    b"\t",
    b"\n",
    b"\r\n",
    b"\\n",
    b"\\t",
    b"a\tb\nc\\d\re",
    b"\x08\x0b\x0c",
    b"\xff\xfe\x80",
    b"\xc3\\",
    b"N",
    b"null",
    b" padded ",
    b'"quoted", comma',
]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_value_is_read_back_as_it_was(value: bytes) -> None:
    rows, _ = stage([StagedRow("I", [value, b"after"])])

    assert rows == [[b"I", b"..", value, b"after"]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("IUD"), st.lists(st.none() | st.binary(max_size=12), min_size=2, max_size=2)
        )
    )
)
def test_rows_are_read_back_as_they_were(staged: list[tuple[str, list[Value]]]) -> None:
    rows, counts = stage(StagedRow(operation, values) for operation, values in staged)

    assert rows == [[operation.encode(), b"..", *values] for operation, values in staged]
    assert sum(counts.rows.values()) == len(staged)


def test_null_empty_and_unchanged_are_told_apart_by_the_mask() -> None:
    rows, _ = stage([StagedRow("U", [None, b""]), StagedRow("U", [UNCHANGED, None])])

    assert rows == [[b"U", b"..", None, b""], [b"U", b"u.", None, None]]


def test_rows_are_counted_by_operation_and_mask() -> None:
    _, counts = stage(
        [
            StagedRow("I", [b"1", b"a"]),
            StagedRow("U", [b"2", b"b"]),
            StagedRow("U", [b"3", UNCHANGED]),
            StagedRow("U", [b"4", UNCHANGED]),
            StagedRow("D", [b"5", None]),
        ]
    )

    assert [counts.count(operation) for operation in "IUDX"] == [1, 3, 1, 0]
    assert dict(counts.masks("U")) == {"..": 1, ".u": 2}
    assert counts.masks("X") == []


def test_nothing_staged_copies_nothing() -> None:
    rows, counts = stage([])

    assert rows == []
    assert counts == StagedCounts(Counter())


def test_staging_table_empties_itself_at_commit() -> None:
    assert sql_text(create_staging_sql("s1", COLUMNS)) == (
        'create temporary table "s1" ("trempy operation" "char", "trempy mask" text collate "C", '
        '"id" integer, "v" text) on commit delete rows'
    )


def test_hostile_names_and_types_are_written_as_they_are() -> None:
    columns = [('a"b', "numeric(10,2)"), ("100%s", 'public."{my} type"[]'), ("{0}", "character varying(3)")]

    assert (
        ', "a""b" numeric(10,2), "100%s" public."{my} type"[], "{0}" character varying(3)) on commit'
    ) in sql_text(create_staging_sql('s"1', columns))


def test_own_columns_cannot_be_meant_by_unquoted_names() -> None:
    assert " " in OPERATION_COLUMN
    assert " " in MASK_COLUMN


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


@pytest.fixture
def tables(session: FakeSession) -> StagingTables:
    return StagingTables(session)


def words(session: FakeSession) -> list[str]:
    return [statement.split()[0] for statement in session.statements]


def test_staging_table_is_made_once(session: FakeSession, tables: StagingTables) -> None:
    first, _ = tables.stage("t", COLUMNS, [])
    tables.begin()
    second, _ = tables.stage("t", COLUMNS, [])

    assert first == second == sql.Identifier("pg_temp", "trempy_staging_1")
    assert words(session) == ["create", "copy", "copy"]


def test_staging_table_is_emptied_before_it_is_used_again_in_a_transaction(
    session: FakeSession, tables: StagingTables
) -> None:
    tables.stage("t", COLUMNS, [])
    tables.stage("t", COLUMNS, [])

    assert words(session) == ["create", "copy", "truncate", "copy"]


def test_other_owner_or_other_columns_have_another_table(tables: StagingTables) -> None:
    names = {
        tables.stage(owner, columns, [])[0].strings
        for owner, columns in [("t", COLUMNS), ("u", COLUMNS), ("t", COLUMNS[:1]), ("t", COLUMNS[::-1])]
    }

    assert len(names) == 4


def test_forgotten_tables_are_dropped_and_their_names_not_used_again(
    session: FakeSession, tables: StagingTables
) -> None:
    before, _ = tables.stage("t", COLUMNS, [])

    tables.forget()
    after, _ = tables.stage("t", COLUMNS, [])

    assert words(session) == ["create", "copy", "drop", "create", "copy"]
    assert before != after

"""What errors and records show of statements and of the server's words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from psycopg2 import sql

from tests.support.changes import make_relation
from tests.support.target_tables import project_onto
from trempy_provider.apply_modes.rows import insert_row_sql
from trempy_provider.postgres.literals import statement_shape
from trempy_provider.postgres.translation import describe


def server_error(message: str, *, sqlstate: str = "22P02", function: str = "ereport") -> SimpleNamespace:
    diagnostics = SimpleNamespace(message_primary=message, source_function=function)
    return SimpleNamespace(pgcode=sqlstate, diag=diagnostics)


@pytest.mark.parametrize(
    ("message", "described"),
    [
        ('invalid input syntax for type integer: "se""cret"', "invalid input syntax for type integer"),
        ('value "secret" is out of range for type smallint', "value is out of range for type smallint"),
        ("ungültige Eingabesyntax für Typ integer: „secret“", "ungültige Eingabesyntax für Typ integer"),
        (
            "la sintaxis no es válida para tipo integer: «secret»",
            "la sintaxis no es válida para tipo integer",
        ),
        ('invalid byte sequence for encoding "UTF8": 0x80 0x73', "invalid byte sequence for encoding"),
        ("numeric field overflow", "numeric field overflow"),
    ],
)
def test_data_exception_is_described_without_the_value_in_any_language(message: str, described: str) -> None:
    assert describe(server_error(message)) == described


def test_other_errors_keep_the_names_they_quote() -> None:
    message = 'duplicate key value violates unique constraint "t_pkey"'

    assert describe(server_error(message, sqlstate="23505")) == message


@pytest.mark.parametrize("sqlstate", ["P0001", "23514", "U0001"])
def test_exception_of_a_function_is_withheld_whatever_its_code(sqlstate: str) -> None:
    error = server_error("no secret allowed", sqlstate=sqlstate, function="exec_stmt_raise")

    assert "secret" not in describe(error)


def test_statement_is_shown_with_placeholders_for_values_and_null_and_with_our_own_literals() -> None:
    projection = project_onto(make_relation("id", 'v"', "w", key=("id",)), "id")
    query = insert_row_sql(projection, (b"1", b"secret", None)) + sql.SQL(" where x = {}").format(
        sql.Literal("it's ours")
    )

    assert statement_shape(query) == (
        'insert into "shop"."t" ("id", "v""", "w") values ($1, $2, $3) where x = \'it\'\'s ours\''
    )

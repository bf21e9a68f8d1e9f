"""Random changes of a table's columns, told to the oracle by a message in the same transaction.

PostgreSQL's stream says nothing of a default that fills rows, nor of a rename.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from psycopg2 import sql

from tests.model.tables import ModelColumn, ModelTable, random_column

PREFIX = "model"
KEPT = ("n", "big", "u")
Execute = Callable[[sql.Composable], None]
WhenCommitted = Callable[[], None]


def change_schema(random: Random, table: ModelTable, execute: Execute) -> WhenCommitted:
    """Change the table in the open transaction; return what lets the other writers know, once it is committed."""
    changeable = [column for column in table.others if column.name not in KEPT]
    changes = [_add_column, _drop_column, _rename_column, _widen_column] if changeable else [_add_column]
    columns = random.choice(changes)(random, table, execute)
    return lambda: table.columns.__setitem__(slice(None), columns)


def _add_column(random: Random, table: ModelTable, execute: Execute) -> list[ModelColumn]:
    column = random_column(random, f"a{random.randrange(10**9)}")
    value = random.choice(column.values)
    default = sql.SQL("") if value is None else sql.SQL(" default {}").format(sql.Literal(value))
    _alter(
        table,
        execute,
        sql.SQL("add {} {}{}").format(sql.Identifier(column.name), sql.SQL(column.type_name), default),
    )
    _tell(table, execute, "add", column.name, _output(column, value))
    return [*table.columns, column]


def _drop_column(random: Random, table: ModelTable, execute: Execute) -> list[ModelColumn]:
    column = _choose(random, table)
    _alter(table, execute, sql.SQL("drop {}").format(sql.Identifier(column.name)))
    _tell(table, execute, "drop", column.name)
    return [other for other in table.columns if other is not column]


def _rename_column(random: Random, table: ModelTable, execute: Execute) -> list[ModelColumn]:
    column = _choose(random, table)
    name = f"r{random.randrange(10**9)}"
    names = map(sql.Identifier, (column.name, name))
    _alter(table, execute, sql.SQL("rename {} to {}").format(*names))
    _tell(table, execute, "rename", column.name, sql.Literal(name))
    return [replace(other, name=name) if other is column else other for other in table.columns]


def _widen_column(random: Random, table: ModelTable, execute: Execute) -> list[ModelColumn]:
    """Give a column a type with more room, under which every value has the same text."""
    widths = {"smallint": "integer", "integer": "bigint", "varchar(20)": "text"}
    found = [column for column in table.others if column.type_name in widths and column.name not in KEPT]
    if not found:
        return _add_column(random, table, execute)
    column = random.choice(found)
    wider = widths[column.type_name]
    _alter(table, execute, sql.SQL("alter {} type {}").format(sql.Identifier(column.name), sql.SQL(wider)))
    return [replace(other, type_name=wider) if other is column else other for other in table.columns]


def _choose(random: Random, table: ModelTable) -> ModelColumn:
    return random.choice([column for column in table.others if column.name not in KEPT])


def _alter(table: ModelTable, execute: Execute, action: sql.Composable) -> None:
    execute(sql.SQL("alter table {} {}").format(table.identifier, action))


def _output(column: ModelColumn, value: str | None) -> sql.Composable:
    """Compose the text that the column's type writes for a value."""
    if value is None:
        return sql.SQL("null::text")
    return sql.SQL("format('%s', {}::{})").format(sql.Literal(value), sql.SQL(column.type_name))


def _tell(
    table: ModelTable,
    execute: Execute,
    change: str,
    column_name: str,
    value: sql.Composable | None = None,
) -> None:
    execute(
        sql.SQL(
            "select pg_logical_emit_message(true, {prefix}, json_build_object("
            "'table', {table}::text, 'change', {change}::text, 'column', {column}::text, 'value', {value})::text)"
        ).format(
            prefix=sql.Literal(PREFIX),
            table=sql.Literal(table.name),
            change=sql.Literal(change),
            column=sql.Literal(column_name),
            value=value or sql.SQL("null"),
        )
    )

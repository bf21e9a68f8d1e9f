"""A filter or a transformation is one class in one file."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from pydantic import Field

import trempy_provider
from tests.support.target_tables import make_table
from tests.support.tasks import make_task
from trempy_provider.config.compilation import CompileContext, TypedValue
from trempy_provider.config.expressions import Expression, compose, source_column
from trempy_provider.config.filters import Filter, FilterSettings, TableFilter
from trempy_provider.config.operations import (
    ColumnOperation,
    ValueOperation,
    _ColumnOperation,
    _ValueOperation,
)
from trempy_provider.config.tables import TableReference
from trempy_provider.config.transformations import CreateColumn, ModifyColumnValue, TableTransformation
from trempy_provider.config.value_types import INTEGER, TEXT
from trempy_provider.postgres.table_plan import plan_table

TABLE = TableReference(schema_name="shop", table_name="t")
# Masks are more than an expression: capture computes one of them, and neither may take values for keys.
KNOWN_ELSEWHERE = {"Hash", "Redact"}


class Short(Filter):
    """Keep rows whose text is short."""

    kind: Literal["short"] = Field(alias="filter_type")

    def _condition(self, value: TypedValue, _context: CompileContext) -> Expression:
        return compose("char_length({value}) < 9", value=value.sql)


class Reverse(_ValueOperation):
    """Turn a text round."""

    kind: Literal["reverse"] = Field(alias="operation")

    def _changed(self, value: TypedValue, _context: CompileContext) -> TypedValue:
        return TypedValue(compose("reverse({value})", value=value.sql), TEXT)


class Length(_ColumnOperation):
    """Add a column with the length of another."""

    kind: Literal["length"] = Field(alias="operation")
    depends_on: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.depends_on,)

    def _made(self, values: Sequence[TypedValue], _context: CompileContext) -> TypedValue:
        return TypedValue(compose("char_length({value})", value=values[0].sql), INTEGER)


def test_classes_of_their_own_are_all_that_new_kinds_take() -> None:
    changes = (
        ModifyColumnValue.model_construct(contract=Reverse(operation="reverse", column_name="a")),
        CreateColumn.model_construct(
            contract=Length(operation="length", new_column_name="n", depends_on="a")
        ),
    )
    task = make_task("test", ["t"]).model_copy(
        update={
            "filters": (
                TableFilter.model_construct(
                    table_info=TABLE, settings=Short(filter_type="short", column_name="a")
                ),
            ),
            "transformations": tuple(
                TableTransformation.model_construct(table_info=TABLE, settings=change) for change in changes
            ),
        }
    )

    plan = plan_table(task, make_table("a")).require_complete()

    reversed_text = compose("reverse({value})", value=source_column("a"))
    assert {column.name: column.value for column in plan.columns} == {
        "a": reversed_text,
        "n": compose("char_length({value})", value=reversed_text),
    }
    short = compose("char_length({value}) < 9", value=source_column("a"))
    assert [condition for _, condition in plan.conditions] == [compose("({short})", short=short)]


@pytest.mark.parametrize(
    ("union", "file"),
    [
        (FilterSettings, "filters.py"),
        (ValueOperation, "operations.py"),
        (ColumnOperation, "operations.py"),
    ],
)
def test_no_other_module_knows_a_kind_by_its_name(union: Any, file: str) -> None:
    kinds = {kind.__name__ for kind in get_args(get_args(union)[0])}
    package = Path(trempy_provider.__file__).parent

    known = {
        (path.name, alias.name)
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith(file.removesuffix(".py"))
        for alias in node.names
        if alias.name in kinds - KNOWN_ELSEWHERE
    }

    assert len(kinds) > 4
    assert known == set()

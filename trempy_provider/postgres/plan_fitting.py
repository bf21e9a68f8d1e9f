"""Fit a plan to a target table that exists: its columns may have other types than the plan's."""

from __future__ import annotations

from dataclasses import replace

from trempy_provider.config.expressions import Expression, SqlText, compose
from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.config.value_types import Kind
from trempy_provider.postgres.table_plan import TablePlan, value_type
from trempy_provider.postgres.tables import Column, Table


def fit_plan(plan: TablePlan, target: Table) -> TablePlan:
    """Return the plan with computed values in the types that the target's columns have.

    A value gets to another type through its text, as a value does that passes as it stands: so a full load
    and apply have the same values, and the same errors.
    Columns that the target lacks are left as they are.
    """
    present = {column.name: column for column in target.columns}
    columns = [
        _fit(column, present[column.name])
        if column.name in present and not column.is_as_it_stands
        else column
        for column in plan.columns
    ]
    return replace(plan, columns=tuple(columns))


def _fit(column: ChainColumn, target: Column) -> ChainColumn:
    wanted = value_type(target)
    if wanted.base_oid == column.type.base_oid:
        return column
    return replace(column, value=_converted(column.value, target), type=wanted)


def _converted(value: Expression, target: Column) -> Expression:
    """Convert through text; one that is too long for the column has to fail, so a cast may not cut it."""
    if value_type(target).kind is Kind.TEXT:
        return compose("{value}::text", value=value)
    return compose("{value}::text::{type}", value=value, type=SqlText(target.type_name))

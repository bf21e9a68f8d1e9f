"""Entries of the settings, short to write in tests."""

from __future__ import annotations

from typing import Any

from trempy_provider.postgres.tables import QualifiedName


def filter_entry(table: str, filter_type: str, column: str, **operands: Any) -> dict[str, Any]:
    """Return a filter of a table, which is named `schema.table`."""
    return {
        "table_info": _table_info(table),
        "settings": {"filter_type": filter_type, "column_name": column, **operands},
    }


def transformation_entry(table: str, kind: str, *, priority: int = 2, **contract: Any) -> dict[str, Any]:
    """Return a transformation of a table; an `operation` is part of its contract."""
    return {
        "table_info": _table_info(table),
        "settings": {"transformation_type": kind, "priority": priority, "contract": contract},
    }


def change_value(table: str, operation: str, column: str, **contract: Any) -> dict[str, Any]:
    """Return a change of a column's value."""
    return transformation_entry(
        table, "modify_column_value", operation=operation, column_name=column, **contract
    )


def create_column(table: str, operation: str, column: str, **contract: Any) -> dict[str, Any]:
    """Return a new column."""
    return transformation_entry(
        table, "create_column", operation=operation, new_column_name=column, **contract
    )


def _table_info(table: str) -> dict[str, str]:
    name = QualifiedName.parse(table)
    return {"schema_name": name.schema_name, "table_name": name.table_name}

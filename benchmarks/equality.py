"""The end of each benchmark: both sides hold the same rows."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.compare import compare_databases
from tests.support.databases import Database


def assert_equal(source: Database, target: Database, tables: Sequence[str]) -> None:
    """Raise AssertionError with the names of the tables that differ."""
    compared = compare_databases(source.uri, target.uri, tables=tables)
    differing = [comparison.table for comparison in compared if not comparison.is_equal]
    assert not differing, f"source and target differ: {', '.join(differing)}"

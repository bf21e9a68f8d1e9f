"""Assert that two databases hold the same rows."""

from collections.abc import Sequence

from sandbox.compare import compare_databases


def assert_equal_tables(source_uri: str, target_uri: str, *, tables: Sequence[str] | None = None) -> None:
    """Fail with the tables that differ; `tables` are `schema.table`, by default all of the source."""
    comparisons = compare_databases(source_uri, target_uri, tables=tables)
    different = [comparison for comparison in comparisons if not comparison.is_equal]
    assert comparisons, "the source has no tables to compare"
    assert not different, "\n".join(map(str, different))

"""Find what is said about a table without comparing it with every entry: files may list thousands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from trempy_provider.config.tables import TableReference

_Entry = TypeVar("_Entry")


class ReferenceIndex(Generic[_Entry]):
    """Entries of a section by the tables they refer to; only patterns are tried one by one."""

    def __init__(
        self, entries: Mapping[int, _Entry], *, reference_of: Callable[[_Entry], TableReference]
    ) -> None:
        self._exact: dict[tuple[str, str], dict[int, _Entry]] = {}
        self._patterns: list[tuple[TableReference, int, _Entry]] = []
        for position, entry in entries.items():
            reference = reference_of(entry)
            if reference.is_pattern:
                self._patterns.append((reference, position, entry))
            else:
                name = (reference.schema_name, reference.table_name)
                self._exact.setdefault(name, {})[position] = entry

    def matching(self, schema: str, table: str) -> dict[int, _Entry]:
        """Return the entries that cover the table: its own, then the patterns, both as listed."""
        by_pattern = {i: entry for ref, i, entry in self._patterns if ref.matches(schema, table)}
        return {**self._exact.get((schema, table), {}), **by_pattern}

    def has_overlap(self, reference: TableReference) -> bool:
        """Tell whether there can be a table that both the reference and an entry cover."""
        if not reference.is_pattern:
            return bool(self.matching(reference.schema_name, reference.table_name))
        return any(reference.matches(*name) for name in self._exact) or any(
            reference.overlaps(pattern) for pattern, _, _ in self._patterns
        )

"""Masked columns in the facts of a table: they are text, as in the stream, and tell no value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trempy_provider.config.chaining import masks_of
from trempy_provider.config.operations import MaskOperation
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.source_facts import SourceColumn, SourceFacts
from trempy_provider.postgres.tables import Column, QualifiedName


@dataclass(frozen=True, slots=True)
class FactMasks:
    """The masks of a task's tables; `known_as` are the names that the settings know them by, by OID.

    Without `salts`, the value of rows older than a masked column is left out.
    """

    task: ReplicationTask
    known_as: Mapping[int, QualifiedName] = field(default_factory=dict)
    salts: Mapping[str, str] | None = None

    def applied_to(self, facts: SourceFacts) -> SourceFacts:
        """Return facts in which no column shows what its masks hide."""
        name = self.known_as.get(facts.oid) or facts.name
        if name is None:
            return facts
        names = [entry.column.name for entry in facts.columns]
        masks = masks_of(self.task, (name.schema_name, name.table_name), names).masks
        if not masks:
            return facts
        columns = tuple(
            self._masked(entry, masks[entry.column.name]) if entry.column.name in masks else entry
            for entry in facts.columns
        )
        return replace(facts, columns=columns)

    def _masked(self, entry: SourceColumn, masks: tuple[MaskOperation, ...]) -> SourceColumn:
        value = None if entry.missing is None or self.salts is None else entry.missing.encode()
        for mask in masks:
            value = None if value is None or self.salts is None else mask.mask(self.salts)(value)
        missing = None if value is None else value.decode()
        differs = entry.missing_differs or (entry.missing is not None and missing is None)
        column = _as_text(entry.column)
        return replace(entry, column=column, type_modifier=-1, missing=missing, missing_differs=differs)


def _as_text(column: Column) -> Column:
    return Column(
        name=column.name,
        position=column.position,
        type_oid=25,
        type_name="text",
        base_type_oid=25,
        type_schema="pg_catalog",
        not_null=column.not_null,
        generated=column.generated,
        generated_from=column.generated_from,
        base_type_name="text",
        stored_type_name="text",
    )

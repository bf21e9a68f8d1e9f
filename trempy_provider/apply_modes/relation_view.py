"""A relation of the stream as it is replicated."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trempy_provider.postgres.known_tables import KnownTable
from trempy_provider.postgres.source_facts import SourceFacts, read_facts_payload
from trempy_provider.replication.changes import Shape
from trempy_provider.replication.messages import Relation
from trempy_provider.replication.table_facts import is_facts


@dataclass(frozen=True, slots=True)
class View:
    """A relation by the names the settings know, and the places of the columns left out."""

    relation: Relation
    left_out: frozenset[int] = frozenset()


def view_of(relation: Relation, known: KnownTable, order: tuple[int, ...]) -> View:
    """Return the view of a relation whose columns have the numbers in `order`."""
    aliases = {entry.attnum: entry.alias for entry in known.columns}
    columns = [
        replace(column, name=aliases[attnum] or column.name)
        for attnum, column in zip(order, relation.columns, strict=True)
    ]
    left_out = frozenset(place for place, attnum in enumerate(order) if aliases[attnum] is None)
    return View(replace(relation, columns=tuple(columns)), left_out)


def facts_of(shape: Shape) -> SourceFacts | None:
    """Return what came from the source's catalog with a relation's description."""
    found = [read_facts_payload(payload) for payload in shape.payloads if is_facts(payload)]
    return next((facts for facts in found if facts is not None), None)

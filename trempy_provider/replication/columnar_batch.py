"""A batch as arrays, table by table: what apply writes set by set without making an object of each row.

Only batches of row changes come so: a truncate has its place among the changes of other tables, and a
relation described in two ways has rows of two shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trempy_provider.replication import pgoutput
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.changes import Operation, Shape
from trempy_provider.replication.columnar import Bytes, PayloadTable, RowChanges
from trempy_provider.replication.messages import Begin, LogicalMessage, Relation, Type
from trempy_provider.replication.table_facts import without_position
from trempy_provider.replication.transactions import chunk_begin

FEWEST_CHANGES = 50  # below, arrays cost more than they save
_BEGIN, _RELATION, _TYPE, _MESSAGE = b"BRYM"
_KNOWN = tuple(b"BCIUDRYOM")
_OPERATIONS = {ord(operation.value[0].upper()): operation for operation in Operation}


@dataclass(frozen=True, slots=True)
class TableRows:
    """The row changes of one table, all of one shape, and how many there are of each operation."""

    shape: Shape
    rows: RowChanges
    counts: dict[Operation, int]


@dataclass(frozen=True, slots=True)
class ColumnarBatch:
    """The changes of a batch by table; `last` begins its last transaction."""

    buffer: Bytes
    tables: tuple[TableRows, ...]
    last: Begin


def read_columnar(batch: Batch) -> ColumnarBatch | None:
    """Return a batch as arrays, None when it has no such form; raise ProtocolError for broken payloads."""
    if batch.change_count < FEWEST_CHANGES:
        return None
    payloads = PayloadTable(batch.payloads)
    if not np.isin(payloads.markers, _KNOWN).all():
        return None
    shapes, last = _shapes(batch, payloads), _last_begin(batch, payloads)
    if shapes is None or last is None:
        return None
    oids = payloads.relation_oids()
    if not shapes.keys() >= set(oids):
        return None
    return ColumnarBatch(payloads.buffer, tuple(_table(payloads, shapes[oid]) for oid in oids), last)


def _table(payloads: PayloadTable, shape: Shape) -> TableRows:
    rows = payloads.row_changes(shape.relation.oid, column_count=len(shape.relation.columns))
    markers, counts = np.unique(rows.operations, return_counts=True)
    counted = {_OPERATIONS[int(marker)]: int(count) for marker, count in zip(markers, counts, strict=True)}
    return TableRows(shape, rows, counted)


def _shapes(batch: Batch, payloads: PayloadTable) -> dict[int, Shape] | None:
    """Return the relations described, None when one is described in two ways."""
    shapes: dict[int, Shape] = {}
    types: list[bytes] = []
    for place in np.flatnonzero(np.isin(payloads.markers, (_RELATION, _TYPE, _MESSAGE))):
        payload = batch.payloads[int(place)]
        message = pgoutput.decode(payload)
        if isinstance(message, Type | LogicalMessage):
            types.append(payload)
            continue
        assert isinstance(message, Relation)
        shape = Shape(relation=message, payloads=(*types, payload))
        if _description(shapes.setdefault(message.oid, shape)) != _description(shape):
            return None
        types = []
    return shapes


def _description(shape: Shape) -> list[bytes]:
    return list(map(without_position, shape.payloads))


def _last_begin(batch: Batch, payloads: PayloadTable) -> Begin | None:
    if batch.chunk is not None:
        return chunk_begin(batch)
    places = np.flatnonzero(payloads.markers == _BEGIN)
    if not len(places):
        return None
    begin = pgoutput.decode(batch.payloads[int(places[-1])])
    assert isinstance(begin, Begin)
    return begin

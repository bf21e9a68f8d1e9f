"""Take the row changes of a batch apart column by column, with arrays instead of objects.

All rows of a relation are walked in lock step: one array holds where each row's next value stands, and each
step moves all of them past one column.
No value becomes an object; what comes out is where the values are.
See "Logical Replication Message Formats" in PostgreSQL's manual (55.9), TupleData.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trempy_provider.errors import ProtocolError
from trempy_provider.replication.packed_payloads import PackedPayloads

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Offsets = NDArray[np.int32]  # into one batch, which is below 2 GiB: half the memory
Flags = NDArray[np.bool_]

NULL, UNCHANGED, TEXT, BINARY = b"nutb"
INSERT, UPDATE, DELETE = b"IUD"
_NEW, _KEY, _OLD = b"NKO"
_MARKERS = (INSERT, UPDATE, DELETE)
_OID_AT, _TUPLE_KIND_AT, _TUPLE_AT = 1, 5, 6
_COUNT_BYTES, _LENGTH_BYTES = 2, 4
_PADDING = bytes(8)  # a number may be looked at just behind the last payload before it is refused


@dataclass(frozen=True, slots=True)
class Cells:
    """Where values stand: arrays of shape (columns, rows); lengths count where the kind is TEXT or BINARY."""

    kinds: Bytes
    starts: Offsets
    lengths: Offsets

    def take(self, rows: Places | Flags) -> Cells:
        """Return the cells of some rows."""
        return Cells(self.kinds[:, rows], self.starts[:, rows], self.lengths[:, rows])


@dataclass(frozen=True, slots=True)
class RowChanges:
    """The row changes of one relation in stream order.

    `cells` are the row after an insert or update, and what was sent of the row before a delete.
    `old_cells` are what was sent of the row before, for the updates at `old_rows`.
    """

    operations: Bytes
    cells: Cells
    old_rows: Places
    old_cells: Cells

    @property
    def count(self) -> int:
        """The number of changes."""
        return len(self.operations)


class PayloadTable:
    """All payloads of a batch in one buffer, and where each begins and ends."""

    def __init__(self, payloads: Sequence[bytes]) -> None:
        if isinstance(payloads, PackedPayloads):
            bounds: Places = np.asarray(payloads.bounds, np.int64)
            body, sizes = payloads.joined(_PADDING), bounds[1:] - bounds[:-1]
        else:
            body = b"".join((*payloads, _PADDING))
            sizes = np.fromiter(map(len, payloads), np.int64, len(payloads))
        self.buffer: Bytes = np.frombuffer(body, np.uint8)
        self._ends: Places = np.cumsum(sizes)
        self._starts: Places = self._ends - sizes
        self._int16 = numbers_at_any_byte(body, ">u2")
        self._int32 = numbers_at_any_byte(body, ">i4")
        self._oids = numbers_at_any_byte(body, ">u4")
        self.markers: Bytes = self.buffer[self._starts]
        self._rows = np.flatnonzero(np.isin(self.markers, _MARKERS))
        self._relations = self._oids[np.minimum(self._starts[self._rows] + _OID_AT, len(body) - 4)]

    def relation_oids(self) -> list[int]:
        """Return the relations that have row changes, in the order of their first change."""
        oids, first = np.unique(self._relations, return_index=True)
        return [int(oid) for oid in oids[np.argsort(first)]]

    def row_changes(self, oid: int, *, column_count: int) -> RowChanges:
        """Return the row changes of a relation; raise ProtocolError for a payload that is not one."""
        rows = self._rows[self._relations == oid]
        starts, ends = self._starts[rows], self._ends[rows]
        if (starts + _TUPLE_AT > ends).any():
            raise ProtocolError(f"a change of relation {oid} is cut short")
        operations = self.buffer[starts]
        kinds = self.buffer[starts + _TUPLE_KIND_AT]
        places = starts + _TUPLE_AT
        old_rows = np.flatnonzero((operations == UPDATE) & (kinds != _NEW))
        _require(np.isin(kinds[old_rows], (_KEY, _OLD)), oid)
        _require(np.isin(kinds[operations == DELETE], (_KEY, _OLD)), oid)
        _require(kinds[operations == INSERT] == _NEW, oid)
        old_cells, after_old = self._walk(places[old_rows], ends[old_rows], column_count, oid)
        _require(self.buffer[after_old] == _NEW, oid)
        places[old_rows] = after_old + 1
        cells, after = self._walk(places, ends, column_count, oid)
        _require(after == ends, oid)
        lacks_values = (cells.kinds == UNCHANGED).any(axis=0)  # then it was an UPDATE, see Change.operation
        operations = np.where((operations == INSERT) & lacks_values, np.uint8(UPDATE), operations)
        return RowChanges(operations, cells, old_rows, old_cells)

    def _walk(self, places: Places, ends: Places, column_count: int, oid: int) -> tuple[Cells, Places]:
        """Return the cells of the tuples that begin at `places`, and where each tuple ends."""
        shape = (column_count, len(places))
        cells = Cells(np.empty(shape, np.uint8), np.empty(shape, np.int32), np.empty(shape, np.int32))
        _require(places + _COUNT_BYTES <= ends, oid)
        _require(self._int16[places] == column_count, oid)
        at = places + _COUNT_BYTES
        for column in range(column_count):
            _require(at < ends, oid)
            kind = self.buffer[at]
            is_sent = (kind == TEXT) | (kind == BINARY)
            _require(is_sent | (kind == NULL) | (kind == UNCHANGED), oid)
            length = np.where(is_sent, self._int32[at + 1], 0)
            cells.kinds[column], cells.starts[column], cells.lengths[column] = kind, at + 5, length
            at = at + 1 + np.where(is_sent, length + _LENGTH_BYTES, 0)
            _require((length >= 0) & (at <= ends), oid)
        return cells, at


def numbers_at_any_byte(body: bytes, kind: str) -> NDArray[np.int64]:
    """View a body as numbers that begin at each of its bytes."""
    size = np.dtype(kind).itemsize
    numbers: NDArray[np.int64] = np.ndarray((len(body) - size + 1,), dtype=kind, buffer=body, strides=(1,))
    return numbers


def _require(holds: Flags, oid: int) -> None:
    if not holds.all():
        raise ProtocolError(f"a change of relation {oid} is not well formed")

"""The part of a batch that one lane of apply has to do with.

Each lane gets every message, and takes the changes of its tables out of it.
What a message says of its place in the stream stays, so that every lane notices a gap, and has applied a
message of which nothing is for it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trempy_provider.replication import pgoutput
from trempy_provider.replication.batches import Batch, Chunk
from trempy_provider.replication.columnar import numbers_at_any_byte
from trempy_provider.replication.messages import Truncate
from trempy_provider.replication.packed_payloads import PackedPayloads
from trempy_provider.replication.table_facts import is_facts, table_of_facts

_Flags = NDArray[np.bool_]
_Places = NDArray[np.int64]
_PADDING = bytes(4)
_OID_AT, _OID_END = 1, 5
_BEGIN, _COMMIT, _TRUNCATE, _RELATION, _TYPE, _MESSAGE = b"BCTRYM"
_ROW_CHANGES = tuple(b"IUD")
_DESCRIPTIONS = tuple(b"RYM")


@dataclass(frozen=True, slots=True)
class LanePart:
    """The relations of a lane: those with these OIDs, or with `is_rest` all others."""

    oids: frozenset[int]
    is_rest: bool = False

    def has(self, oid: int) -> bool:
        """Tell whether a relation is in it."""
        return (oid in self.oids) is not self.is_rest

    def has_each(self, oids: NDArray[np.int64]) -> _Flags:
        """Tell of many relations whether they are in it."""
        is_listed: _Flags = np.isin(oids, list(self.oids))
        return ~is_listed if self.is_rest else is_listed


def part_of(batch: Batch, part: LanePart) -> Batch:
    """Return a batch with a lane's relations and their changes, and the transactions those are in.

    A truncate names those of the lane only.
    The last transaction is always there: it tells when the batch was committed.
    """
    packed = _Packed(batch.payloads)
    wanted = packed.is_row_change & part.has_each(packed.relations())
    truncates = _truncates(batch.payloads, packed, part)
    wanted[list(truncates)] = True
    change_count = int(np.count_nonzero(wanted))
    wanted |= packed.frames_of(wanted) | _descriptions(batch.payloads, packed, part) | packed.is_unknown
    if wanted.all() and all(batch.payloads[place] == payload for place, payload in truncates.items()):
        return batch
    return replace(
        batch,
        change_count=change_count,
        chunk=None if batch.chunk is None else _moved(batch.chunk, wanted),
        payloads=_with(packed.take(wanted), truncates, wanted),
    )


class _Packed:
    """The payloads of a batch in one buffer."""

    def __init__(self, payloads: Sequence[bytes]) -> None:
        if isinstance(payloads, PackedPayloads):
            bounds: _Places = np.asarray(payloads.bounds, np.int64)
            body = payloads.body
        else:
            sizes = np.fromiter(map(len, payloads), np.int64, len(payloads))
            bounds = np.concatenate(([0], np.cumsum(sizes)))
            body = b"".join(payloads)
        self._body = body + _PADDING
        self._buffer: NDArray[np.uint8] = np.frombuffer(self._body, np.uint8)
        self._starts, self._sizes = bounds[:-1], np.diff(bounds)
        self.markers = np.where(self._sizes > 0, self._buffer[self._starts], 0)
        self.is_row_change: _Flags = np.isin(self.markers, _ROW_CHANGES)
        known = (*_ROW_CHANGES, *_DESCRIPTIONS, _BEGIN, _COMMIT, _TRUNCATE)
        self.is_unknown: _Flags = ~np.isin(self.markers, known)  # left for the reader to refuse

    def relations(self) -> NDArray[np.int64]:
        """Return the relation that each payload names, whatever stands there where one names none."""
        at = np.minimum(self._starts + _OID_AT, len(self._body) - len(_PADDING))
        return numbers_at_any_byte(self._body, ">u4")[at]

    def frames_of(self, changes: _Flags) -> _Flags:
        """Return where transactions with some of the changes begin and end, and the last one of all."""
        frames: _Flags = np.isin(self.markers, (_BEGIN, _COMMIT))
        transaction = np.cumsum(self.markers == _BEGIN)
        has_changes = np.zeros(int(transaction[-1]) + 1 if len(transaction) else 1, np.bool_)
        has_changes[transaction[changes]] = True
        has_changes[-1] = True
        wanted: _Flags = frames & has_changes[transaction]
        return wanted

    def take(self, wanted: _Flags) -> PackedPayloads:
        """Return some of the payloads, copied at once."""
        starts, sizes = self._starts[wanted], self._sizes[wanted]
        ends = np.cumsum(sizes)
        total = int(ends[-1]) if len(ends) else 0
        places = np.arange(total) + np.repeat(starts - (ends - sizes), sizes)
        bounds = array("q", [0])
        bounds.frombytes(ends.astype(np.int64).tobytes())
        return PackedPayloads(self._buffer[places].tobytes(), bounds)


def _truncates(payloads: Sequence[bytes], packed: _Packed, part: LanePart) -> dict[int, bytes]:
    """Return the truncates of the lane's relations by their place."""
    truncates = {}
    for place in map(int, np.flatnonzero(packed.markers == _TRUNCATE)):
        message = pgoutput.decode(payloads[place])
        assert isinstance(message, Truncate)
        oids = tuple(oid for oid in message.relation_oids if part.has(oid))
        if oids:
            truncates[place] = pgoutput.encode_truncate(replace(message, relation_oids=oids))
    return truncates


def _descriptions(payloads: Sequence[bytes], packed: _Packed, part: LanePart) -> _Flags:
    """Return where the lane's relations are described; types belong to the relation that follows."""
    wanted = np.zeros(len(packed.markers), np.bool_)
    types: list[int] = []
    for place in map(int, np.flatnonzero(np.isin(packed.markers, _DESCRIPTIONS))):
        payload = payloads[place]
        if is_facts(payload):
            wanted[place] = part.has(table_of_facts(payload))
        elif payload[0] != _RELATION:
            types.append(place)
        else:
            wanted[[*types, place]] = part.has(int.from_bytes(payload[_OID_AT:_OID_END], "big"))
            types = []
    return wanted


def _moved(chunk: Chunk, wanted: _Flags) -> Chunk:
    """Return a chunk whose subtransactions begin where their payloads are now."""
    before = np.concatenate(([0], np.cumsum(wanted)))
    runs = tuple([(int(before[min(place, len(wanted))]), xid) for place, xid in chunk.subtransactions])
    return replace(chunk, subtransactions=runs)


def _with(payloads: PackedPayloads, truncates: dict[int, bytes], wanted: _Flags) -> Sequence[bytes]:
    if not truncates:
        return payloads
    places = np.flatnonzero(wanted).tolist()
    return tuple([truncates.get(place, payload) for place, payload in zip(places, payloads, strict=True)])

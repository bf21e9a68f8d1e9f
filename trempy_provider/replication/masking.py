"""Mask values in payloads, before anything keeps or sends them.

This is the only place where a value is made in Python: a masked column must not reach the broker, so no
server can do it.
Text is replaced in every tuple of a change; NULL and values that were not sent stay what they are.
The description of the relation then says that a masked column is text, whatever it is on the source.
See "Logical Replication Message Formats" in PostgreSQL's manual (55.9), TupleData.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct

from trempy_provider.errors import ProtocolError
from trempy_provider.replication.messages import Relation
from trempy_provider.replication.payload_cursor import PayloadCursor

Mask = Callable[[bytes], bytes]
MasksOf = Callable[[Relation], Mapping[str, Mask]]

_TEXT_TYPE = Struct("!Ii").pack(25, -1)  # OID and modifier
_LENGTH = Struct("!I")
_NULL, _UNCHANGED, _TEXT = b"nut"
_NEW = b"N"


def no_masks(_: Relation) -> Mapping[str, Mask]:
    """Mask nothing."""
    return {}


@dataclass(frozen=True, slots=True)
class ColumnMasks:
    """A mask, or None, for each column of a relation."""

    masks: tuple[Mask | None, ...]

    def applied_to(self, payload: bytes) -> bytes:
        """Return an Insert, Update or Delete with its values masked.

        Raise ProtocolError for a payload that is not one, or that has a binary value in a masked column.
        """
        cursor = PayloadCursor(payload)
        pieces = [cursor.take(5)]  # message type and relation
        while cursor.position < len(payload):
            kind = cursor.take(1)
            pieces.append(kind)
            self._copy_tuple(cursor, pieces)
            if kind == _NEW:
                break
        cursor.expect_end()
        return b"".join(pieces)

    def _copy_tuple(self, cursor: PayloadCursor, pieces: list[bytes]) -> None:
        count = cursor.take(2)
        if int.from_bytes(count, "big") != len(self.masks):
            raise ProtocolError("a tuple has more or fewer columns than its relation")
        pieces.append(count)
        for mask in self.masks:
            kind = cursor.take(1)
            pieces.append(kind)
            if kind[0] in (_NULL, _UNCHANGED):
                continue
            length = cursor.take(4)
            value = cursor.take(int.from_bytes(length, "big"))
            if mask is not None:
                if kind[0] != _TEXT:
                    raise ProtocolError("a masked column has a value that is not text")
                value = mask(value)
                length = _LENGTH.pack(len(value))
            pieces += (length, value)


def masked_relation(
    payload: bytes, relation: Relation, masks: Mapping[str, Mask]
) -> tuple[bytes, ColumnMasks | None]:
    """Return a relation's description with its masked columns as text, and what masks its changes."""
    if not masks:
        return payload, None
    masked = bytearray(payload)
    cursor = PayloadCursor(payload)
    cursor.take(5)
    cursor.text()
    cursor.text()
    cursor.take(3)  # replica identity and number of columns
    for column in relation.columns:
        cursor.take(1)
        cursor.text()
        if column.name in masks:
            masked[cursor.position : cursor.position + len(_TEXT_TYPE)] = _TEXT_TYPE
        cursor.take(len(_TEXT_TYPE))
    return bytes(masked), ColumnMasks(tuple(masks.get(column.name) for column in relation.columns))

"""How many bytes changes take in a JSON message, without writing one, so that batches end in time."""

from __future__ import annotations

import json
from collections.abc import Callable

from trempy_provider.replication.messages import Relation

Measure = Callable[[bytes], int]
MeasureOf = Callable[[Relation], Measure]

BOUNDS_BYTES = 280  # of a begin and a commit
_CHANGE_BYTES = 90
_COLUMN_BYTES = 6  # quotes, colon and comma
_ESCAPED = bytes(range(32)) + b'"\\'
_ESCAPE_BYTES = 5  # \u0001 in place of one byte


def json_measure(relation: Relation) -> Measure:
    """Return what tells about how many bytes a change of a relation takes, rather too many than too few."""
    of_table = _CHANGE_BYTES + _name_bytes(relation.schema_name) + _name_bytes(relation.table_name)
    of_row = sum(_COLUMN_BYTES + _name_bytes(name) for name in relation.column_names)

    def measure(payload: bytes) -> int:
        escaped = len(payload) - len(payload.translate(None, _ESCAPED))
        row_count = 2 if payload[:1] == b"U" and payload[5:6] != b"N" else 1
        return of_table + row_count * of_row + len(payload) + _ESCAPE_BYTES * escaped

    return measure


def _name_bytes(name: str) -> int:
    return len(json.dumps(name, ensure_ascii=False).encode())

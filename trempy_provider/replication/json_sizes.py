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
    names = (relation.schema_name, relation.table_name, *relation.column_names)
    fixed = _CHANGE_BYTES + sum(len(json.dumps(name, ensure_ascii=False).encode()) for name in names)
    fixed += _COLUMN_BYTES * len(relation.columns)

    def measure(payload: bytes) -> int:
        escaped = len(payload) - len(payload.translate(None, _ESCAPED))
        return fixed + len(payload) + _ESCAPE_BYTES * escaped

    return measure

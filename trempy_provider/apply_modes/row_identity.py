"""What tells the rows of a table apart, across transactions: digests of their key's texts.

Two changes concern the same row of the target when their identities have a digest in common.
That two texts are equal exactly when the target finds the same row is known of some types only; of others,
`1.0` and `1.00` are one key (numeric), or `A` and `a` (citext).
Such an identity is not exact, and nothing may rest on two digests being different.

A row of a table without a key is the text of all its columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from trempy_provider.apply_modes.projection import ProjectedColumn, Projection
from trempy_provider.replication.changes import Change, Operation
from trempy_provider.replication.messages import UNCHANGED, Relation, Tuple, Value

_INTEGERS = frozenset({21, 23, 20})
_TEXTS = frozenset({25, 1043})
_INTEGER_NAMES = frozenset({"smallint", "integer", "bigint"})
_SAME_NAMES = {
    16: "boolean",
    17: "bytea",
    26: "oid",
    1082: "date",
    1114: "timestamp without time zone",
    1184: "timestamp with time zone",
    2950: "uuid",
}
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class RowIdentity:
    """The columns that tell a table's rows apart, as the stream describes them."""

    columns: tuple[str, ...]  # names and types
    positions: tuple[int, ...]
    has_key: bool
    is_exact: bool

    def digests(self, change: Change) -> tuple[bytes, ...]:
        """Return the digests of the row before and after a change: one, or two when they differ."""
        tuples = [change.key_before(self.positions)]
        if change.new is not None:
            tuples.append(change.key_after(self.positions))
        return tuple(dict.fromkeys(map(_digest, tuples)))

    def commutes(self, change: Change) -> bool:
        """Tell whether an earlier change of an equal row may as well come after this one.

        One more row that is equal to others makes no difference to what happens to one of them.
        """
        return not self.has_key and change.operation is Operation.INSERT


def row_identity(relation: Relation, projection: Projection) -> RowIdentity:
    """Return what tells the rows of a relation apart on its target."""
    columns = projection.key or projection.columns
    positions = projection.key_positions or tuple(range(len(relation.columns)))
    described = [relation.columns[position] for position in positions]
    return RowIdentity(
        columns=tuple(f"{column.name}:{column.type_oid}" for column in described),
        positions=positions,
        has_key=bool(projection.key),
        is_exact=all(_is_exact(relation, column) for column in columns),
    )


def _is_exact(relation: Relation, column: ProjectedColumn) -> bool:
    """Tell whether equal values have equal texts, on the source and after their way to the target."""
    if column.position is None or not column.equal_is_identical:
        return False
    source_oid, target_name = relation.columns[column.position].type_oid, column.type_name
    if source_oid in _INTEGERS:
        return target_name in _INTEGER_NAMES
    if source_oid in _TEXTS:
        return target_name == "text" or target_name.startswith("character varying")
    return _SAME_NAMES.get(source_oid) == target_name


def _digest(values: Tuple) -> bytes:
    digest = hashlib.sha256()
    for part in _parts(values):
        digest.update(part)
    return digest.digest()[:_DIGEST_BYTES]


def _parts(values: Iterable[Value]) -> Iterable[bytes]:
    for value in values:
        if value is None or value is UNCHANGED:
            yield b"n" if value is None else b"u"
        else:
            yield b"v%d:" % len(value)
            yield value

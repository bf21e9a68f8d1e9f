"""Changes as plain values for a person to read: names, texts, NULL, and which values were not sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trempy_provider.replication.changes import Change, Operation, Transaction
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import UNCHANGED, BinaryValue, Relation, Tuple, Value

Values = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class ReadableChange:
    """One change; `key` identifies the row before it, `old` is what else was sent of that row.

    `unchanged` are the columns whose values were not sent.
    """

    transaction_id: int
    commit_lsn: Lsn
    committed_at: datetime
    operation: Operation
    table: str
    key: Values
    old: Values
    new: Values
    unchanged: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return {
            "transaction_id": self.transaction_id,
            "commit_lsn": str(self.commit_lsn),
            "committed_at": self.committed_at.isoformat(),
            "operation": self.operation.value,
            "table": self.table,
            "key": self.key,
            "old": self.old,
            "new": self.new,
            "unchanged": list(self.unchanged),
        }


def readable(
    transaction: Transaction, change: Change, *, keys: Mapping[int, Sequence[str]]
) -> ReadableChange:
    """Return a change in a readable form; `keys` are the key columns of tables by OID, where known."""
    relation = change.relation
    key_names = set(keys.get(relation.oid) or [column.name for column in relation.columns if column.is_key])
    key, old, new = _row_values(change, key_names)
    return ReadableChange(
        transaction_id=transaction.xid,
        commit_lsn=transaction.commit_lsn,
        committed_at=transaction.committed_at,
        operation=change.operation,
        table=", ".join(f"{s.relation.schema_name}.{s.relation.table_name}" for s in change.shapes),
        key=key,
        old=old,
        new=new,
        unchanged=_unchanged(relation, change),
    )


def _row_values(change: Change, key_names: set[str]) -> tuple[Values, Values, Values]:
    relation = change.relation
    new = {} if change.new is None else _values(relation, change.new)
    if change.operation is Operation.TRUNCATE:
        return {}, {}, {}
    if change.old is None:
        return {name: value for name, value in new.items() if name in key_names}, {}, new
    before = _values(relation, change.old.values)
    key = {name: value for name, value in before.items() if name in key_names}
    if change.old.is_key_only:
        return key, {}, new
    return key, {name: value for name, value in before.items() if name not in key_names}, new


def _values(relation: Relation, row: Tuple) -> Values:
    pairs = zip(relation.column_names, row, strict=True)
    return {name: _text(value) for name, value in pairs if value is not UNCHANGED}


def _unchanged(relation: Relation, change: Change) -> tuple[str, ...]:
    pairs = zip(relation.column_names, change.new or (), strict=False)
    return tuple(name for name, value in pairs if value is UNCHANGED)


def _text(value: Value) -> str | None:
    if value is None or value is UNCHANGED:
        return None
    if isinstance(value, BinaryValue):
        return f"\\x{value.hex()}"
    return value.decode("utf-8", "backslashreplace")

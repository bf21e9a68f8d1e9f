"""Changes of rows and transactions, as they are applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum

from trempy_provider.errors import ProtocolError
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    UNCHANGED,
    Begin,
    Delete,
    Insert,
    OldTuple,
    Relation,
    Truncate,
    Tuple,
    Update,
)

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)


class Operation(Enum):
    """What a change does."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    TRUNCATE = "truncate"


_OPERATIONS = {
    Insert: Operation.INSERT,
    Update: Operation.UPDATE,
    Delete: Operation.DELETE,
    Truncate: Operation.TRUNCATE,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A relation together with the payloads that describe it (Type messages first)."""

    relation: Relation
    payloads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one row, or a truncate.

    `payload` is its form on the wire, `begin` starts its transaction, `index` counts within that from 0
    (from the start of the chunk in a large transaction).
    """

    message: Insert | Update | Delete | Truncate
    shapes: tuple[Shape, ...]
    payload: bytes
    begin: Begin
    index: int

    @property
    def operation(self) -> Operation:
        """What this change does.

        An INSERT that lacks values was an UPDATE, by which the row came to pass the publication's row filter.
        """
        if isinstance(self.message, Insert) and UNCHANGED in self.message.new:
            return Operation.UPDATE
        return _OPERATIONS[type(self.message)]

    @property
    def relation(self) -> Relation:
        """The table of a row change; of a truncate, its first table."""
        return self.shapes[0].relation

    @property
    def new(self) -> Tuple | None:
        """The row after the change, one value per column; None for a delete."""
        return None if isinstance(self.message, Delete | Truncate) else self.message.new

    @property
    def old(self) -> OldTuple | None:
        """What was sent of the row before the change."""
        return None if isinstance(self.message, Insert | Truncate) else self.message.old

    @property
    def completed(self) -> Tuple:
        """The row after the change, with unchanged values from what was sent of the old row.

        An unchanged value is not NULL: a NULL in its place says that the old value was not sent. This holds
        for a whole old row too: a partition with a key sends only that in the name of its root.
        """
        assert self.new is not None
        if self.old is None or UNCHANGED not in self.new:
            return self.new
        pairs = zip(self.old.values, self.new, strict=True)
        return tuple([old if new is UNCHANGED and old is not None else new for old, new in pairs])

    def key_before(self, positions: tuple[int, ...]) -> Tuple:
        """Return the key's values that identify the row before the change."""
        row = self.old.values if self.old is not None else self.new
        assert row is not None
        return tuple([row[position] for position in positions])

    def key_after(self, positions: tuple[int, ...]) -> Tuple:
        """Return the key's values after the change; an unchanged TOAST value is taken from before."""
        assert self.new is not None
        if self.old is None:
            return tuple([self.new[position] for position in positions])
        before, after = self.old.values, self.new
        return tuple([before[i] if after[i] is UNCHANGED else after[i] for i in positions])


@dataclass(frozen=True, slots=True)
class Transaction:
    """A committed transaction of the source, or one chunk of a large one.

    `end_lsn` is None in every chunk but the last.
    """

    xid: int
    commit_lsn: Lsn
    end_lsn: Lsn | None
    committed_at: datetime
    changes: tuple[Change, ...]


def datetime_of(microseconds: int) -> datetime:
    """Return the aware UTC time of a protocol timestamp (microseconds since 2000-01-01).

    Raise ProtocolError outside the years 1 to 9999.
    """
    try:
        return _POSTGRES_EPOCH + timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise ProtocolError(f"{microseconds} microseconds since 2000-01-01 is no timestamp") from error


def microseconds_of(moment: datetime) -> int:
    """Return the protocol timestamp of an aware time."""
    return (moment - _POSTGRES_EPOCH) // timedelta(microseconds=1)

"""The messages of pgoutput as values.

Timestamps are microseconds since 2000-01-01 00:00 UTC, as the server sends them.
A tuple has one value per column of its relation: text bytes, a BinaryValue, None for NULL, or UNCHANGED
for a TOAST value that the server did not send because it did not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from trempy_provider.replication.lsn import Lsn


class MessageType(IntEnum):
    """The first byte of a payload."""

    BEGIN = ord("B")
    COMMIT = ord("C")
    ORIGIN = ord("O")
    RELATION = ord("R")
    TYPE = ord("Y")
    INSERT = ord("I")
    UPDATE = ord("U")
    DELETE = ord("D")
    TRUNCATE = ord("T")
    MESSAGE = ord("M")
    STREAM_START = ord("S")
    STREAM_STOP = ord("E")
    STREAM_COMMIT = ord("c")
    STREAM_ABORT = ord("A")
    BEGIN_PREPARE = ord("b")
    PREPARE = ord("P")
    COMMIT_PREPARED = ord("K")
    ROLLBACK_PREPARED = ord("r")
    STREAM_PREPARE = ord("p")


class ReplicaIdentity(Enum):
    """What an old row consists of; see REPLICA IDENTITY in ALTER TABLE."""

    DEFAULT = "d"
    NOTHING = "n"
    FULL = "f"
    INDEX = "i"


class Unchanged(Enum):
    """The type of UNCHANGED."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged.UNCHANGED


class BinaryValue(bytes):
    """A value in its type's binary form."""

    __slots__ = ()


Value = bytes | None | Unchanged
Tuple = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A column of a relation as the stream describes it."""

    name: str
    type_oid: int
    type_modifier: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """The shape of a table from here on in the stream."""

    oid: int
    schema_name: str
    table_name: str
    replica_identity: ReplicaIdentity
    columns: tuple[RelationColumn, ...]
    xid: int | None = None

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in the order of every tuple."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Type:
    """The name of a type that is not built in."""

    oid: int
    schema_name: str
    type_name: str
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class OldTuple:
    """The row before the change: all columns, or only the key's (the others are then None)."""

    is_key_only: bool
    values: Tuple


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row."""

    relation_oid: int
    new: Tuple
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """A changed row; `old` is sent when the key changed or the identity is FULL."""

    relation_oid: int
    old: OldTuple | None
    new: Tuple
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """A removed row."""

    relation_oid: int
    old: OldTuple
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class Truncate:
    """Emptied tables."""

    relation_oids: tuple[int, ...]
    cascade: bool
    restart_identity: bool
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class LogicalMessage:
    """A message of pg_logical_emit_message."""

    is_transactional: bool
    lsn: Lsn
    prefix: str
    content: bytes
    xid: int | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """The start of a transaction; `commit_lsn` is where its commit record starts."""

    commit_lsn: Lsn
    committed_at: int
    xid: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The end of a transaction; `end_lsn` is the first byte after its commit record."""

    commit_lsn: Lsn
    end_lsn: Lsn
    committed_at: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a transaction came from when it was itself replicated."""

    commit_lsn: Lsn
    name: str


@dataclass(frozen=True, slots=True)
class StreamStart:
    """The start of a segment of a transaction in progress."""

    xid: int
    is_first_segment: bool


@dataclass(frozen=True, slots=True)
class StreamStop:
    """The end of a segment."""


@dataclass(frozen=True, slots=True)
class StreamCommit:
    """The commit of a streamed transaction."""

    xid: int
    commit_lsn: Lsn
    end_lsn: Lsn
    committed_at: int


@dataclass(frozen=True, slots=True)
class StreamAbort:
    """The roll-back of a streamed transaction, or of one of its subtransactions."""

    xid: int
    subxid: int
    abort_lsn: Lsn | None
    aborted_at: int | None


@dataclass(frozen=True, slots=True)
class BeginPrepare:
    """The start of a prepared transaction."""

    prepare_lsn: Lsn
    end_lsn: Lsn
    prepared_at: int
    xid: int
    gid: str


@dataclass(frozen=True, slots=True)
class Prepare:
    """The end of a prepared transaction."""

    prepare_lsn: Lsn
    end_lsn: Lsn
    prepared_at: int
    xid: int
    gid: str


@dataclass(frozen=True, slots=True)
class StreamPrepare:
    """The end of a streamed prepared transaction."""

    prepare_lsn: Lsn
    end_lsn: Lsn
    prepared_at: int
    xid: int
    gid: str


@dataclass(frozen=True, slots=True)
class CommitPrepared:
    """COMMIT PREPARED."""

    commit_lsn: Lsn
    end_lsn: Lsn
    committed_at: int
    xid: int
    gid: str


@dataclass(frozen=True, slots=True)
class RollbackPrepared:
    """ROLLBACK PREPARED."""

    prepare_end_lsn: Lsn
    rollback_end_lsn: Lsn
    prepared_at: int
    rolled_back_at: int
    xid: int
    gid: str


Message = (
    Begin
    | Commit
    | Origin
    | Relation
    | Type
    | Insert
    | Update
    | Delete
    | Truncate
    | LogicalMessage
    | StreamStart
    | StreamStop
    | StreamCommit
    | StreamAbort
    | BeginPrepare
    | Prepare
    | CommitPrepared
    | RollbackPrepared
    | StreamPrepare
)

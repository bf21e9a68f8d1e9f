"""Decode the payloads of the output plugin pgoutput.

Every message of protocol versions 1 to 4 is known, streamed and two-phase transactions included.
Column values stay bytes in the form in which the server wrote them.
A payload that is cut short, too long or unknown raises ProtocolError; no input makes the decoder hang.
See "Logical Replication Message Formats" in PostgreSQL's manual (55.9).
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as struct_error

from trempy_provider.errors import ProtocolError
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.messages import (
    UNCHANGED,
    Begin,
    BeginPrepare,
    BinaryValue,
    Commit,
    CommitPrepared,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    MessageType,
    OldTuple,
    Origin,
    Prepare,
    Relation,
    RelationColumn,
    ReplicaIdentity,
    RollbackPrepared,
    StreamAbort,
    StreamCommit,
    StreamPrepare,
    StreamStart,
    StreamStop,
    Truncate,
    Tuple,
    Type,
    Update,
    Value,
)
from trempy_provider.replication.payload_cursor import PayloadCursor

_INT32 = Struct("!I")
_BEGIN = Struct("!cQqI")
_COMMIT = Struct("!cBQQq")
_LOGICAL_MESSAGE = Struct("!cBQ")
_TRUNCATE_CASCADE = 1
_TRUNCATE_RESTART_IDENTITY = 2


def decode(payload: bytes, *, streamed: bool = False) -> Message:
    """Return the message a payload holds.

    `streamed` says that the payload stands between a Stream Start and its Stream Stop: there, changes
    carry the xid of their (sub)transaction first.
    Raise ProtocolError with the byte position for anything that is not a whole, known message.
    """
    cursor = PayloadCursor(payload)
    try:
        message = _decode(cursor, streamed=streamed)
    except struct_error as error:
        raise ProtocolError(
            f"pgoutput message {payload[:1]!r} is cut short at byte {cursor.position} of {len(payload)}"
        ) from error
    cursor.expect_end()
    return message


def encode_begin(begin: Begin) -> bytes:
    """Return the payload of a Begin."""
    return _BEGIN.pack(b"B", begin.commit_lsn, begin.committed_at, begin.xid)


def encode_commit(commit: Commit) -> bytes:
    """Return the payload of a Commit."""
    return _COMMIT.pack(b"C", 0, commit.commit_lsn, commit.end_lsn, commit.committed_at)


def encode_truncate(message: Truncate) -> bytes:
    """Return the payload of a truncate."""
    options = message.cascade * _TRUNCATE_CASCADE | message.restart_identity * _TRUNCATE_RESTART_IDENTITY
    head = b"T" + _INT32.pack(len(message.relation_oids)) + bytes([options])
    return head + b"".join(map(_INT32.pack, message.relation_oids))


def encode_logical_message(message: LogicalMessage) -> bytes:
    """Return the payload of a logical message."""
    head = _LOGICAL_MESSAGE.pack(b"M", message.is_transactional, message.lsn)
    size = _INT32.pack(len(message.content))
    return b"".join((head, message.prefix.encode(), b"\0", size, message.content))


def _decode(cursor: PayloadCursor, *, streamed: bool) -> Message:
    marker = cursor.byte()
    try:
        message_type = MessageType(marker)
    except ValueError as error:
        raise ProtocolError(f"unknown pgoutput message {bytes([marker])!r} at byte 0") from error
    decode_body = _CARRIES_XID.get(message_type)
    if decode_body is None:
        return _PLAIN[message_type](cursor)
    return decode_body(cursor, cursor.int32() if streamed else None)


def _decode_begin(cursor: PayloadCursor) -> Begin:
    _, commit_lsn, committed_at, xid = _BEGIN.unpack_from(cursor.payload)
    cursor.position = _BEGIN.size
    return Begin(Lsn(commit_lsn), committed_at, xid)


def _decode_commit(cursor: PayloadCursor) -> Commit:
    _, _, commit_lsn, end_lsn, committed_at = _COMMIT.unpack_from(cursor.payload)  # the flags are unused
    cursor.position = _COMMIT.size
    return Commit(Lsn(commit_lsn), Lsn(end_lsn), committed_at)


def _decode_origin(cursor: PayloadCursor) -> Origin:
    return Origin(commit_lsn=cursor.lsn(), name=cursor.text())


def _decode_relation(cursor: PayloadCursor, xid: int | None) -> Relation:
    oid = cursor.int32()
    schema_name = cursor.text() or "pg_catalog"
    table_name = cursor.text()
    identity = _decode_identity(cursor)
    columns = tuple(_decode_relation_column(cursor) for _ in range(cursor.int16()))
    return Relation(
        oid=oid,
        schema_name=schema_name,
        table_name=table_name,
        replica_identity=identity,
        columns=columns,
        xid=xid,
    )


def _decode_identity(cursor: PayloadCursor) -> ReplicaIdentity:
    marker = cursor.byte()
    try:
        return ReplicaIdentity(chr(marker))
    except ValueError as error:
        raise ProtocolError(
            f"unknown replica identity {bytes([marker])!r} at byte {cursor.position - 1}"
        ) from error


def _decode_relation_column(cursor: PayloadCursor) -> RelationColumn:
    flags = cursor.byte()
    return RelationColumn(
        name=cursor.text(),
        type_oid=cursor.int32(),
        type_modifier=_signed(cursor.int32()),
        is_key=bool(flags & 1),
    )


def _signed(number: int) -> int:
    return number - (1 << 32) if number & (1 << 31) else number


def _decode_type(cursor: PayloadCursor, xid: int | None) -> Type:
    return Type(oid=cursor.int32(), schema_name=cursor.text(), type_name=cursor.text(), xid=xid)


def _decode_insert(cursor: PayloadCursor, xid: int | None) -> Insert:
    relation_oid = cursor.int32()
    _expect(cursor, b"N")
    return Insert(relation_oid=relation_oid, new=_decode_tuple(cursor), xid=xid)


def _decode_update(cursor: PayloadCursor, xid: int | None) -> Update:
    relation_oid = cursor.int32()
    marker = cursor.byte()
    old = None
    if marker in b"KO":
        old = OldTuple(is_key_only=marker == ord("K"), values=_decode_tuple(cursor))
        marker = cursor.byte()
    _check(cursor, marker, b"N")
    return Update(relation_oid=relation_oid, old=old, new=_decode_tuple(cursor), xid=xid)


def _decode_delete(cursor: PayloadCursor, xid: int | None) -> Delete:
    relation_oid = cursor.int32()
    marker = cursor.byte()
    _check(cursor, marker, b"KO")
    old = OldTuple(is_key_only=marker == ord("K"), values=_decode_tuple(cursor))
    return Delete(relation_oid=relation_oid, old=old, xid=xid)


def _expect(cursor: PayloadCursor, markers: bytes) -> None:
    _check(cursor, cursor.byte(), markers)


def _check(cursor: PayloadCursor, marker: int, markers: bytes) -> None:
    if marker not in markers:
        raise ProtocolError(
            f"expected one of {markers!r} at byte {cursor.position - 1} of pgoutput message "
            f"{cursor.payload[:1]!r}, seen {bytes([marker])!r}"
        )


def _decode_tuple(cursor: PayloadCursor) -> Tuple:
    payload, position = cursor.payload, cursor.position + 2
    values: list[Value] = []
    for _ in range(cursor.int16()):
        kind = payload[position : position + 1]
        position += 1
        if kind in _SIZED:
            (size,) = _INT32.unpack_from(payload, position)
            position += 4
            cursor.position = position
            values.append(_SIZED[kind](cursor.take(size)))
            position += size
        else:
            values.append(_decode_absent(kind, position - 1))
    cursor.position = position
    return tuple(values)


def _decode_absent(kind: bytes, position: int) -> Value:
    if kind == b"n":
        return None
    if kind == b"u":
        return UNCHANGED
    raise ProtocolError(f"unknown kind of value {kind!r} at byte {position}")


_SIZED: dict[bytes, type[bytes]] = {b"t": bytes, b"b": BinaryValue}


def _decode_truncate(cursor: PayloadCursor, xid: int | None) -> Truncate:
    count = cursor.int32()
    options = cursor.byte()
    if count * _INT32.size > len(cursor.payload):
        raise ProtocolError(f"pgoutput truncate of {count} relations exceeds the message")
    return Truncate(
        relation_oids=tuple(cursor.int32() for _ in range(count)),
        cascade=bool(options & _TRUNCATE_CASCADE),
        restart_identity=bool(options & _TRUNCATE_RESTART_IDENTITY),
        xid=xid,
    )


def _decode_logical_message(cursor: PayloadCursor, xid: int | None) -> LogicalMessage:
    flags = cursor.byte()
    lsn, prefix = cursor.lsn(), cursor.text()
    return LogicalMessage(
        is_transactional=bool(flags & 1), lsn=lsn, prefix=prefix, content=cursor.take(cursor.int32()), xid=xid
    )


def _decode_stream_start(cursor: PayloadCursor) -> StreamStart:
    return StreamStart(xid=cursor.int32(), is_first_segment=bool(cursor.byte()))


def _decode_stream_stop(_cursor: PayloadCursor) -> StreamStop:
    return StreamStop()


def _decode_stream_commit(cursor: PayloadCursor) -> StreamCommit:
    xid = cursor.int32()
    cursor.byte()  # flags, unused
    return StreamCommit(
        xid=xid, commit_lsn=cursor.lsn(), end_lsn=cursor.lsn(), committed_at=cursor.timestamp()
    )


def _decode_stream_abort(cursor: PayloadCursor) -> StreamAbort:
    xid, subxid = cursor.int32(), cursor.int32()
    if cursor.position == len(cursor.payload):
        return StreamAbort(xid=xid, subxid=subxid, abort_lsn=None, aborted_at=None)
    return StreamAbort(xid=xid, subxid=subxid, abort_lsn=cursor.lsn(), aborted_at=cursor.timestamp())


def _decode_begin_prepare(cursor: PayloadCursor) -> BeginPrepare:
    return BeginPrepare(
        prepare_lsn=cursor.lsn(),
        end_lsn=cursor.lsn(),
        prepared_at=cursor.timestamp(),
        xid=cursor.int32(),
        gid=cursor.text(),
    )


def _decode_prepare(cursor: PayloadCursor) -> Prepare:
    cursor.byte()  # flags, unused
    return Prepare(
        prepare_lsn=cursor.lsn(),
        end_lsn=cursor.lsn(),
        prepared_at=cursor.timestamp(),
        xid=cursor.int32(),
        gid=cursor.text(),
    )


def _decode_stream_prepare(cursor: PayloadCursor) -> StreamPrepare:
    cursor.byte()  # flags, unused
    return StreamPrepare(
        prepare_lsn=cursor.lsn(),
        end_lsn=cursor.lsn(),
        prepared_at=cursor.timestamp(),
        xid=cursor.int32(),
        gid=cursor.text(),
    )


def _decode_commit_prepared(cursor: PayloadCursor) -> CommitPrepared:
    cursor.byte()  # flags, unused
    return CommitPrepared(
        commit_lsn=cursor.lsn(),
        end_lsn=cursor.lsn(),
        committed_at=cursor.timestamp(),
        xid=cursor.int32(),
        gid=cursor.text(),
    )


def _decode_rollback_prepared(cursor: PayloadCursor) -> RollbackPrepared:
    cursor.byte()  # flags, unused
    return RollbackPrepared(
        prepare_end_lsn=cursor.lsn(),
        rollback_end_lsn=cursor.lsn(),
        prepared_at=cursor.timestamp(),
        rolled_back_at=cursor.timestamp(),
        xid=cursor.int32(),
        gid=cursor.text(),
    )


_PLAIN: dict[MessageType, Callable[[PayloadCursor], Message]] = {
    MessageType.BEGIN: _decode_begin,
    MessageType.COMMIT: _decode_commit,
    MessageType.ORIGIN: _decode_origin,
    MessageType.STREAM_START: _decode_stream_start,
    MessageType.STREAM_STOP: _decode_stream_stop,
    MessageType.STREAM_COMMIT: _decode_stream_commit,
    MessageType.STREAM_ABORT: _decode_stream_abort,
    MessageType.BEGIN_PREPARE: _decode_begin_prepare,
    MessageType.PREPARE: _decode_prepare,
    MessageType.COMMIT_PREPARED: _decode_commit_prepared,
    MessageType.ROLLBACK_PREPARED: _decode_rollback_prepared,
    MessageType.STREAM_PREPARE: _decode_stream_prepare,
}

# These carry the xid first when they stand in a streamed block.
_CARRIES_XID: dict[MessageType, Callable[[PayloadCursor, int | None], Message]] = {
    MessageType.RELATION: _decode_relation,
    MessageType.TYPE: _decode_type,
    MessageType.INSERT: _decode_insert,
    MessageType.UPDATE: _decode_update,
    MessageType.DELETE: _decode_delete,
    MessageType.TRUNCATE: _decode_truncate,
    MessageType.MESSAGE: _decode_logical_message,
}

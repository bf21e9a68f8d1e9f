"""Write pgoutput messages as a walsender does; only tests need to.

The xid of a message that has one is written, as inside a streamed block.
See "Logical Replication Message Formats" in PostgreSQL's manual (55.9).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

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
    OldTuple,
    Origin,
    Prepare,
    Relation,
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


def encode(message: Message) -> bytes:
    """Return the payload of any message."""
    return _ENCODERS[type(message)](message)


def encode_tuple(values: Tuple) -> bytes:
    """Return a tuple as it stands in a payload."""
    return struct.pack("!H", len(values)) + b"".join(map(_value, values))


def _value(value: Value) -> bytes:
    if value is None:
        return b"n"
    if value is UNCHANGED:
        return b"u"
    kind = b"b" if isinstance(value, BinaryValue) else b"t"
    return kind + struct.pack("!I", len(value)) + value


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _head(marker: bytes, xid: int | None) -> bytes:
    return marker if xid is None else marker + struct.pack("!I", xid)


def _old(old: OldTuple) -> bytes:
    return (b"K" if old.is_key_only else b"O") + encode_tuple(old.values)


def _begin(message: Begin) -> bytes:
    return struct.pack("!cQqI", b"B", message.commit_lsn, message.committed_at, message.xid)


def _commit(message: Commit) -> bytes:
    return struct.pack("!cBQQq", b"C", 0, message.commit_lsn, message.end_lsn, message.committed_at)


def _origin(message: Origin) -> bytes:
    return struct.pack("!cQ", b"O", message.commit_lsn) + _text(message.name)


def _relation(message: Relation) -> bytes:
    columns = [
        struct.pack("!B", column.is_key)
        + _text(column.name)
        + struct.pack("!Ii", column.type_oid, column.type_modifier)
        for column in message.columns
    ]
    return b"".join(
        [
            _head(b"R", message.xid),
            struct.pack("!I", message.oid),
            _text(message.schema_name),
            _text(message.table_name),
            message.replica_identity.value.encode(),
            struct.pack("!H", len(columns)),
            *columns,
        ]
    )


def _type(message: Type) -> bytes:
    names = _text(message.schema_name) + _text(message.type_name)
    return _head(b"Y", message.xid) + struct.pack("!I", message.oid) + names


def _insert(message: Insert) -> bytes:
    relation = struct.pack("!I", message.relation_oid)
    return _head(b"I", message.xid) + relation + b"N" + encode_tuple(message.new)


def _update(message: Update) -> bytes:
    old = b"" if message.old is None else _old(message.old)
    relation = struct.pack("!I", message.relation_oid)
    return _head(b"U", message.xid) + relation + old + b"N" + encode_tuple(message.new)


def _delete(message: Delete) -> bytes:
    return _head(b"D", message.xid) + struct.pack("!I", message.relation_oid) + _old(message.old)


def _truncate(message: Truncate) -> bytes:
    oids = message.relation_oids
    options = message.cascade | message.restart_identity << 1
    return _head(b"T", message.xid) + struct.pack(f"!IB{len(oids)}I", len(oids), options, *oids)


def _logical_message(message: LogicalMessage) -> bytes:
    head = struct.pack("!BQ", message.is_transactional, message.lsn)
    content = struct.pack("!I", len(message.content)) + message.content
    return _head(b"M", message.xid) + head + _text(message.prefix) + content


def _stream_start(message: StreamStart) -> bytes:
    return struct.pack("!cIB", b"S", message.xid, message.is_first_segment)


def _stream_stop(_message: StreamStop) -> bytes:
    return b"E"


def _stream_commit(message: StreamCommit) -> bytes:
    times = (message.commit_lsn, message.end_lsn, message.committed_at)
    return struct.pack("!cIBQQq", b"c", message.xid, 0, *times)


def _stream_abort(message: StreamAbort) -> bytes:
    head = struct.pack("!cII", b"A", message.xid, message.subxid)
    if message.abort_lsn is None:
        return head
    return head + struct.pack("!Qq", message.abort_lsn, message.aborted_at)


def _begin_prepare(message: BeginPrepare) -> bytes:
    return b"b" + _prepared(message)


def _prepare(message: Prepare) -> bytes:
    return b"P\0" + _prepared(message)


def _stream_prepare(message: StreamPrepare) -> bytes:
    return b"p\0" + _prepared(message)


def _prepared(message: BeginPrepare | Prepare | StreamPrepare) -> bytes:
    times = (message.prepare_lsn, message.end_lsn, message.prepared_at)
    return struct.pack("!QQqI", *times, message.xid) + _text(message.gid)


def _commit_prepared(message: CommitPrepared) -> bytes:
    times = (message.commit_lsn, message.end_lsn, message.committed_at)
    return b"K\0" + struct.pack("!QQqI", *times, message.xid) + _text(message.gid)


def _rollback_prepared(message: RollbackPrepared) -> bytes:
    lsns = (message.prepare_end_lsn, message.rollback_end_lsn)
    times = (message.prepared_at, message.rolled_back_at)
    return b"r\0" + struct.pack("!QQqqI", *lsns, *times, message.xid) + _text(message.gid)


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Begin: _begin,
    Commit: _commit,
    Origin: _origin,
    Relation: _relation,
    Type: _type,
    Insert: _insert,
    Update: _update,
    Delete: _delete,
    Truncate: _truncate,
    LogicalMessage: _logical_message,
    StreamStart: _stream_start,
    StreamStop: _stream_stop,
    StreamCommit: _stream_commit,
    StreamAbort: _stream_abort,
    BeginPrepare: _begin_prepare,
    Prepare: _prepare,
    CommitPrepared: _commit_prepared,
    RollbackPrepared: _rollback_prepared,
    StreamPrepare: _stream_prepare,
}

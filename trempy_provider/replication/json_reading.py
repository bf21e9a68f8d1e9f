"""Read payloads from the JSON objects that `json_writing.py` writes."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from trempy_provider.errors import WireFormatError
from trempy_provider.replication.changes import microseconds_of
from trempy_provider.replication.messages import Begin, Commit, LogicalMessage, ReplicaIdentity
from trempy_provider.replication.pgoutput import encode_begin, encode_commit, encode_logical_message
from trempy_provider.replication.table_facts import facts_from
from trempy_provider.replication.wire_header import count, field, lsn

_CATALOG = "pg_catalog"
_UNCHANGED = {"unchanged": True}
_NUMBER_MAX = 2**32 - 1
_TUPLE_KINDS = {"new": b"N", "old": b"O", "key": b"K"}
_KINDS_OF_BYTES = {"bytes": b"t", "binary": b"b"}


class JsonReader:
    """The objects of one batch in order: changes have the columns of relations described before."""

    def __init__(self) -> None:
        self._columns: dict[int, list[str]] = {}

    def payload(self, message: object) -> bytes:
        """Return the payload that an object says; raise WireFormatError naming what is wrong."""
        if not isinstance(message, dict):
            raise WireFormatError("it is not a JSON object")
        kind = field(message, "type", str)
        match kind:
            case "insert":
                return self._change(b"I", message, "new")
            case "update":
                before = [name for name in ("key", "old") if name in message]
                if len(before) > 1:
                    raise WireFormatError("an update has both fields 'key' and 'old'")
                return self._change(b"U", message, *before, "new")
            case "delete":
                return self._change(b"D", message, "key" if "key" in message else "old")
            case "relation":
                return self._describe(message)
        read = _OF_NO_COLUMNS.get(kind)
        if read is None:
            raise WireFormatError(f"type {kind!r} is none that this version knows")
        return read(message)

    def _describe(self, message: dict[str, Any]) -> bytes:
        oid, columns = _oid(message), field(message, "columns", list)
        if not all(isinstance(column, dict) for column in columns):
            raise WireFormatError("field 'columns' is not a list of JSON objects")
        names = [field(column, "name", str) for column in columns]
        if len(set(names)) < len(names):
            raise WireFormatError("two columns have one name")
        schema_name = field(message, "schema_name", str)
        payload = b"".join(
            (
                struct.pack("!cI", b"R", oid),
                _text("" if schema_name == _CATALOG else schema_name),
                _text(field(message, "table_name", str)),
                _identity(message),
                struct.pack("!H", len(columns)),
                *map(_column, columns),
            )
        )
        self._columns[oid] = names
        return payload

    def _change(self, marker: bytes, message: dict[str, Any], *tuples: str) -> bytes:
        oid = _oid(message)
        columns = self._columns.get(oid)
        if columns is None:
            raise WireFormatError(f"relation {oid} is not described before its change")
        parts = [_TUPLE_KINDS[name] + _tuple(columns, message, name) for name in tuples]
        return b"".join((struct.pack("!cI", marker, oid), *parts))


def read_time(message: Mapping[str, Any], name: str) -> int:
    """Return a time as a protocol timestamp; raise WireFormatError."""
    try:
        moment = datetime.fromisoformat(field(message, name, str))
        return microseconds_of(moment)
    except (ValueError, TypeError, OverflowError) as error:
        raise WireFormatError(f"field {name!r} is not a time with its offset from UTC") from error


def _tuple(columns: list[str], message: dict[str, Any], name: str) -> bytes:
    values = field(message, name, dict)
    if name == "key":
        values = dict.fromkeys(columns) | values
    if len(values) != len(columns):
        raise WireFormatError(f"field {name!r} has {len(values)} columns, the relation {len(columns)}")
    try:
        written = [_value(values[column]) for column in columns]
    except KeyError as error:
        raise WireFormatError(f"field {name!r} lacks the column {error.args[0]!r}") from error
    return struct.pack("!H", len(written)) + b"".join(written)


def _value(value: object) -> bytes:
    if value is None:
        return b"n"
    if isinstance(value, str):
        return _sized(b"t", value.encode())
    if value == _UNCHANGED:
        return b"u"
    kind, content = _bytes(value)
    return _sized(kind, content)


def _bytes(value: object) -> tuple[bytes, bytes]:
    if isinstance(value, dict) and len(value) == 1:
        ((name, text),) = value.items()
        if name in _KINDS_OF_BYTES and isinstance(text, str):
            try:
                return _KINDS_OF_BYTES[name], b64decode(text, validate=True)
            except ValueError as error:
                raise WireFormatError(f"a value in {name!r} is not base64") from error
    raise WireFormatError("a value is none of text, null, unchanged, bytes, binary")


def _sized(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!I", len(content)) + content


def _begin(message: dict[str, Any]) -> bytes:
    xid = count(message, "transaction_id", at_most=_NUMBER_MAX)
    return encode_begin(Begin(lsn(message, "commit_lsn"), read_time(message, "committed_at"), xid))


def _commit(message: dict[str, Any]) -> bytes:
    committed_at = read_time(message, "committed_at")
    return encode_commit(Commit(lsn(message, "commit_lsn"), lsn(message, "end_lsn"), committed_at))


def _type(message: dict[str, Any]) -> bytes:
    oid = count(message, "type_oid", at_most=_NUMBER_MAX)
    names = (field(message, "schema_name", str), field(message, "type_name", str))
    return struct.pack("!cI", b"Y", oid) + b"".join(map(_text, names))


def _facts(message: dict[str, Any]) -> bytes:
    return facts_from(_oid(message), lsn(message, "lsn"), message.get("facts"))


def _message(message: dict[str, Any]) -> bytes:
    content = message.get("content")
    _, written = (b"", content.encode()) if isinstance(content, str) else _bytes(content)
    prefix = field(message, "prefix", str)
    _text(prefix)
    is_transactional = field(message, "is_transactional", bool)
    return encode_logical_message(
        LogicalMessage(is_transactional, lsn(message, "lsn"), prefix=prefix, content=written)
    )


def _truncate(message: dict[str, Any]) -> bytes:
    tables = field(message, "tables", list)
    if not all(isinstance(table, dict) for table in tables):
        raise WireFormatError("field 'tables' is not a list of JSON objects")
    oids = list(map(_oid, tables))
    options = field(message, "cascade", bool) | field(message, "restart_identity", bool) << 1
    return struct.pack(f"!cIB{len(oids)}I", b"T", len(oids), options, *oids)


_OF_NO_COLUMNS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "begin": _begin,
    "commit": _commit,
    "type": _type,
    "facts": _facts,
    "message": _message,
    "truncate": _truncate,
}


def _oid(message: Mapping[str, Any]) -> int:
    return count(message, "relation_oid", at_most=_NUMBER_MAX)


def _identity(message: dict[str, Any]) -> bytes:
    name = field(message, "replica_identity", str)
    try:
        return ReplicaIdentity[name.upper()].value.encode()
    except KeyError as error:
        raise WireFormatError("field 'replica_identity' is none of default, nothing, full, index") from error


def _column(column: dict[str, Any]) -> bytes:
    numbers = struct.pack("!Ii", field(column, "type_oid", int), field(column, "type_modifier", int))
    return bytes([field(column, "is_key", bool)]) + _text(field(column, "name", str)) + numbers


def _text(text: str) -> bytes:
    if "\0" in text:
        raise WireFormatError("a name has a NUL character")
    return text.encode() + b"\0"

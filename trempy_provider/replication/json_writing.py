"""Write payloads as JSON objects."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from trempy_provider.errors import ProtocolError
from trempy_provider.replication import pgoutput
from trempy_provider.replication.changes import datetime_of
from trempy_provider.replication.messages import (
    UNCHANGED,
    Begin,
    BinaryValue,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    OldTuple,
    Relation,
    Truncate,
    Tuple,
    Type,
    Update,
    Value,
)
from trempy_provider.replication.table_facts import facts_of

JsonObject = dict[str, Any]
_UNCHANGED: JsonObject = {"unchanged": True}


class JsonWriter:
    """The payloads of one batch in stream order: changes name the columns of relations described before."""

    def __init__(self) -> None:
        self._relations: dict[int, Relation] = {}

    def message(self, payload: bytes) -> JsonObject:
        """Return a payload; raise ProtocolError for one that no batch has."""
        message = pgoutput.decode(payload)
        match message:
            case Insert(relation_oid=oid, new=new):
                relation = self._relation(oid)
                return {"type": "insert", **_table(relation), "new": _row(relation, new)}
            case Update(relation_oid=oid, old=old, new=new):
                relation = self._relation(oid)
                before = {} if old is None else _before(relation, old)
                return {"type": "update", **_table(relation), **before, "new": _row(relation, new)}
            case Delete(relation_oid=oid, old=old):
                relation = self._relation(oid)
                return {"type": "delete", **_table(relation), **_before(relation, old)}
            case Truncate():
                return self._truncate(message)
            case Relation():
                return self._describe(message)
            case _:
                return _of_no_table(message, payload)

    def _relation(self, oid: int) -> Relation:
        try:
            return self._relations[oid]
        except KeyError as error:
            raise ProtocolError(f"relation {oid} is not described before its change") from error

    def _truncate(self, message: Truncate) -> JsonObject:
        return {
            "type": "truncate",
            "tables": [_table(self._relation(oid)) for oid in message.relation_oids],
            "cascade": message.cascade,
            "restart_identity": message.restart_identity,
        }

    def _describe(self, relation: Relation) -> JsonObject:
        if len(set(relation.column_names)) < len(relation.columns):
            raise ProtocolError(f"relation {relation.oid} has two columns of one name")
        self._relations[relation.oid] = relation
        return {
            "type": "relation",
            **_table(relation),
            "replica_identity": relation.replica_identity.name.lower(),
            "columns": [
                {
                    "name": column.name,
                    "type_oid": column.type_oid,
                    "type_modifier": column.type_modifier,
                    "is_key": column.is_key,
                }
                for column in relation.columns
            ],
        }


def time_text(microseconds: int) -> str:
    """Return a protocol timestamp as text; raise ProtocolError outside the years 1 to 9999."""
    return datetime_of(microseconds).isoformat(timespec="microseconds")


def _of_no_table(message: Message, payload: bytes) -> JsonObject:
    match message:
        case Begin():
            return {
                "type": "begin",
                "transaction_id": message.xid,
                "commit_lsn": str(message.commit_lsn),
                "committed_at": time_text(message.committed_at),
            }
        case Commit():
            return {
                "type": "commit",
                "commit_lsn": str(message.commit_lsn),
                "end_lsn": str(message.end_lsn),
                "committed_at": time_text(message.committed_at),
            }
        case Type():
            return {
                "type": "type",
                "type_oid": message.oid,
                "schema_name": message.schema_name,
                "type_name": message.type_name,
            }
        case LogicalMessage():
            return _facts(message, payload)
        case _:
            raise ProtocolError(f"a batch has no {type(message).__name__}")


def _facts(message: LogicalMessage, payload: bytes) -> JsonObject:
    """Return what is told of a table as the JSON it is, any other logical message as bytes."""
    facts = facts_of(payload)
    if facts is not None:
        oid, content = facts
        return {"type": "facts", "relation_oid": oid, "lsn": str(message.lsn), "facts": content}
    return {
        "type": "message",
        "is_transactional": message.is_transactional,
        "lsn": str(message.lsn),
        "prefix": message.prefix,
        "content": _value(message.content),
    }


def _table(relation: Relation) -> JsonObject:
    return {
        "relation_oid": relation.oid,
        "schema_name": relation.schema_name,
        "table_name": relation.table_name,
    }


def _row(relation: Relation, row: Tuple) -> JsonObject:
    if len(row) != len(relation.columns):
        raise ProtocolError(f"a row of relation {relation.oid} has {len(row)} values")
    return {
        column.name: value.decode() if type(value) is bytes and value.isascii() else _value(value)
        for column, value in zip(relation.columns, row, strict=True)
    }


def _before(relation: Relation, old: OldTuple) -> JsonObject:
    values = _row(relation, old.values)
    if not old.is_key_only:
        return {"old": values}
    keys = {column.name for column in relation.columns if column.is_key}
    return {"key": {name: value for name, value in values.items() if value is not None or name in keys}}


def _value(value: Value) -> str | JsonObject | None:
    if value is None:
        return None
    if value is UNCHANGED:
        return _UNCHANGED
    if isinstance(value, BinaryValue):
        return {"binary": b64encode(value).decode()}
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"bytes": b64encode(value).decode()}

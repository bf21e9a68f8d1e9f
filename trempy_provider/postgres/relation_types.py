"""The types of a relation's columns, from the stream's description of it to the target's names for them."""

from __future__ import annotations

from trempy_provider.config.value_types import TEXT, ValueType
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.replication import pgoutput
from trempy_provider.replication.changes import Shape
from trempy_provider.replication.messages import Type


def read_relation_types(target: Session, shape: Shape) -> tuple[ValueType, ...]:
    """Return a type for each column of a relation.

    Built-in types have the same OID on every server; others the stream names, a domain by what it rests on.
    A type that the target does not know travels as text.
    """
    columns = shape.relation.columns
    named = {entry.oid: entry for entry in _types(shape)}
    names = [named.get(column.type_oid) for column in columns]
    parameters = {
        "oids": [column.type_oid for column in columns],
        "modifiers": [column.type_modifier for column in columns],
        "schemas": [None if name is None else name.schema_name or "pg_catalog" for name in names],
        "names": [None if name is None else name.type_name for name in names],
    }
    rows = target.fetch_all(static_sql("relation_types"), parameters)
    return tuple(TEXT if row[2] is None else ValueType(*row) for row in rows)


def _types(shape: Shape) -> list[Type]:
    messages = [pgoutput.decode(payload) for payload in shape.payloads]
    return [message for message in messages if isinstance(message, Type)]

"""What the source's catalog says of a table, on its way to apply.

pgoutput describes a table by names and types only, and sends no DDL.
So capture reads the rest from the catalog whenever the stream describes a table, and puts it before that
description as a logical message of our own, which any reader of pgoutput passes over.

The catalog may be newer than the stream: facts hold for the moment at `lsn`, not for that of the change.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trempy_provider.errors import WireFormatError
from trempy_provider.postgres.tables import Column, QualifiedName
from trempy_provider.postgres.types import UserType
from trempy_provider.replication.lsn import Lsn
from trempy_provider.replication.table_facts import (
    decode_facts,
    encode_facts,
    is_facts,
    pack_facts,
    unpack_facts,
)

_VERSION = 1
_USUAL = Column(name="", position=0, type_oid=0, type_name="", base_type_oid=0, type_schema="")


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column that is there: what the catalog says, and the value of rows older than the column.

    `changed_by` is the transaction that changed the column's definition last.
    `missing` None: older rows have NULL, unless the table was rewritten since.
    `missing_differs`: not the same in all partitions.
    """

    column: Column
    type_modifier: int
    changed_by: int = 0
    missing: str | None = None
    missing_differs: bool = False

    @property
    def attnum(self) -> int:
        """The number that stays with the column whatever its name."""
        return self.column.position


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A table on the source, as its catalog has it.

    `name` None: it is no longer there.
    `columns` are those the settings choose, `hidden` the numbers of the others, `dropped` of those dropped,
    `published` of those published, None for all.
    `storage` is the file of the table or of each partition, by OID: another file holds rows written anew.
    `includes_transaction`: what the transaction did in whose stream the table is described is in the facts.
    `is_older`: the table was changed last before that transaction.
    """

    oid: int
    lsn: Lsn
    name: QualifiedName | None = None
    columns: tuple[SourceColumn, ...] = ()
    hidden: frozenset[int] = frozenset()
    dropped: frozenset[int] = frozenset()
    attribute_count: int = 0
    storage: Mapping[int, int] = field(default_factory=dict)
    published: frozenset[int] | None = None
    key_columns: tuple[str, ...] = ()
    types: tuple[UserType, ...] = ()
    includes_transaction: bool = True
    is_older: bool = False

    def column(self, attnum: int) -> SourceColumn | None:
        """Return a column by its number, None when it is not there."""
        return next((column for column in self.columns if column.attnum == attnum), None)


def facts_payload(facts: SourceFacts) -> bytes:
    """Return facts as a payload."""
    return encode_facts(facts.oid, facts.lsn, pack_facts(_as_json(facts)))


def read_facts_payload(payload: bytes) -> SourceFacts | None:
    """Return the facts in a payload, None when it holds none that this version knows."""
    if not is_facts(payload):
        return None
    lsn, content = decode_facts(payload)
    try:
        return _facts(unpack_facts(content), lsn)
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error) as error:
        raise WireFormatError("a table's facts are not readable") from error


def column_as_json(column: Column) -> dict[str, Any]:
    """Return a column as JSON values, without what is as usual."""
    usual = asdict(_USUAL)
    return {name: value for name, value in asdict(column).items() if value != usual[name]}


def column_from_json(fields: Mapping[str, Any]) -> Column:
    """Return the column in JSON values."""
    given = asdict(_USUAL) | {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    if given["sequence"] is not None:
        given["sequence"] = QualifiedName(**given["sequence"])
    return Column(**given)


def storage_from_json(storage: Mapping[str, int]) -> dict[int, int]:
    """Return files by OID; JSON's keys are text."""
    return {int(oid): int(file) for oid, file in storage.items()}


def _as_json(facts: SourceFacts) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "oid": facts.oid,
        "name": None if facts.name is None else [facts.name.schema_name, facts.name.table_name],
        "columns": [_column_as_json(column) for column in facts.columns],
        "hidden": sorted(facts.hidden),
        "dropped": sorted(facts.dropped),
        "attribute_count": facts.attribute_count,
        "storage": facts.storage,
        "published": None if facts.published is None else sorted(facts.published),
        "key_columns": facts.key_columns,
        "types": [asdict(entry) for entry in facts.types],
        "includes_transaction": facts.includes_transaction,
        "is_older": facts.is_older,
    }


def _column_as_json(column: SourceColumn) -> dict[str, Any]:
    fields = column_as_json(column.column)
    fields |= {"type_modifier": column.type_modifier, "changed_by": column.changed_by}
    if column.missing is not None:
        fields["missing"] = column.missing
    if column.missing_differs:
        fields["missing_differs"] = True
    return fields


def _facts(fields: dict[str, Any], lsn: Lsn) -> SourceFacts | None:
    if fields["version"] != _VERSION:
        return None
    return SourceFacts(
        oid=fields["oid"],
        lsn=lsn,
        name=None if fields["name"] is None else QualifiedName(*fields["name"]),
        columns=tuple(map(_column, fields["columns"])),
        hidden=frozenset(fields["hidden"]),
        dropped=frozenset(fields["dropped"]),
        attribute_count=fields["attribute_count"],
        storage=storage_from_json(fields["storage"]),
        published=None if fields["published"] is None else frozenset(fields["published"]),
        key_columns=tuple(fields["key_columns"]),
        types=tuple(map(_user_type, fields["types"])),
        includes_transaction=fields["includes_transaction"],
        is_older=fields["is_older"],
    )


def _column(fields: dict[str, Any]) -> SourceColumn:
    own = {"type_modifier", "changed_by", "missing", "missing_differs"}
    return SourceColumn(
        column_from_json({name: value for name, value in fields.items() if name not in own}),
        **{name: value for name, value in fields.items() if name in own},
    )


def _user_type(fields: dict[str, Any]) -> UserType:
    tuples = {name: tuple(fields[name]) for name in ("labels", "constraints")}
    attributes = tuple((name, type_name) for name, type_name in fields["attributes"])
    return UserType(**(fields | tuples | {"name": QualifiedName(**fields["name"]), "attributes": attributes}))

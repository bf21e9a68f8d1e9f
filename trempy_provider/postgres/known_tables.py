"""The source's tables as apply knows them: as they were at the changes applied last.

Written in the transaction that applies those changes, so that DDL is found and followed exactly once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from trempy_provider.postgres.metadata import schema_required
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.source_facts import (
    SourceFacts,
    column_as_json,
    column_from_json,
    storage_from_json,
)
from trempy_provider.postgres.tables import Column, QualifiedName, Table
from trempy_provider.replication.lsn import Lsn


@dataclass(frozen=True, slots=True)
class KnownColumn:
    """A column of the source; `alias` is the name under which it is replicated, None: it is not.

    `changed_by` is the transaction that changed its definition last.
    """

    column: Column
    type_modifier: int
    alias: str | None
    changed_by: int = 0

    @property
    def attnum(self) -> int:
        """The number that stays with the column whatever its name."""
        return self.column.position


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was read from the catalog before the stream got there; it holds for changes from `lsn` on."""

    lsn: Lsn
    attribute_count: int
    dropped: frozenset[int]
    not_null: frozenset[int]
    storage: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class KnownTable:
    """A table of the source at some moment.

    `attribute_count` counts all columns there had been, dropped ones too.
    `storage` are its files, none newer than that moment.
    `target_numbers` are the numbers of the target's columns by name: they tell whether one was made anew.
    """

    name: QualifiedName
    columns: tuple[KnownColumn, ...]
    attribute_count: int
    storage: Mapping[int, int] = field(default_factory=dict)
    target_numbers: Mapping[str, int] = field(default_factory=dict)
    ahead: Ahead | None = None

    @property
    def travelling_names(self) -> tuple[str, ...]:
        """Return the names of the columns that the stream describes, in their order."""
        return tuple(entry.column.name for entry in self.columns if not entry.column.generated)

    @property
    def not_null(self) -> frozenset[int]:
        """Return the numbers of the columns that refuse NULL."""
        return frozenset(entry.attnum for entry in self.columns if entry.column.not_null)

    def column(self, attnum: int) -> KnownColumn | None:
        """Return a column by its number, None when it is not known."""
        return next((column for column in self.columns if column.attnum == attnum), None)

    def on_target(self, target: Table) -> KnownTable:
        """Return the table with its target's columns as they are numbered now."""
        return replace(self, target_numbers={column.name: column.position for column in target.columns})

    def replicated(self, oid: int, name: QualifiedName) -> Table:
        """Return the table as the settings see it, under the name they know it by."""
        columns = [
            replace(known.column, name=known.alias) for known in self.columns if known.alias is not None
        ]
        return Table(oid=oid, name=name, kind="r", columns=tuple(columns))


def known_from_facts(facts: SourceFacts) -> KnownTable:
    """Return a table as known from a catalog that is not newer than its changes."""
    assert facts.name is not None
    return KnownTable(
        name=facts.name,
        columns=tuple(
            KnownColumn(entry.column, entry.type_modifier, entry.column.name, entry.changed_by)
            for entry in facts.columns
            if facts.published is None or entry.attnum in facts.published or entry.column.generated
        ),
        attribute_count=facts.attribute_count,
        storage=facts.storage,
    )


def read_known_tables(session: Session, task_name: str) -> dict[int, KnownTable]:
    """Return the tables of a task by the OID they have on the source."""
    with schema_required():
        rows = session.fetch_all(static_sql("read_known_tables"), {"task_name": task_name})
    return {oid: _known_table(fields) for oid, fields in rows}


def write_known_table(session: Session, task_name: str, source_oid: int, known: KnownTable) -> None:
    """Record a table; call it in the transaction that applies its changes."""
    parameters = {
        "task_name": task_name,
        "source_oid": source_oid,
        "description": json.dumps(_as_json(known)),
    }
    with schema_required():
        session.execute(static_sql("write_known_table"), parameters)


def _as_json(known: KnownTable) -> dict[str, Any]:
    ahead = known.ahead
    return {
        "name": asdict(known.name),
        "columns": [
            {
                "column": column_as_json(entry.column),
                "type_modifier": entry.type_modifier,
                "alias": entry.alias,
                "changed_by": entry.changed_by,
            }
            for entry in known.columns
        ],
        "attribute_count": known.attribute_count,
        "storage": dict(known.storage),
        "target_numbers": dict(known.target_numbers),
        "ahead": None
        if ahead is None
        else {
            "lsn": str(ahead.lsn),
            "attribute_count": ahead.attribute_count,
            "dropped": sorted(ahead.dropped),
            "not_null": sorted(ahead.not_null),
            "storage": dict(ahead.storage),
        },
    }


def _known_table(fields: dict[str, Any]) -> KnownTable:
    return KnownTable(
        name=QualifiedName(**fields["name"]),
        columns=tuple(
            KnownColumn(
                column_from_json(entry["column"]),
                entry["type_modifier"],
                entry["alias"],
                entry.get("changed_by", 0),
            )
            for entry in fields["columns"]
        ),
        attribute_count=fields["attribute_count"],
        storage=storage_from_json(fields["storage"]),
        target_numbers=fields["target_numbers"],
        ahead=_ahead(fields["ahead"]),
    )


def _ahead(fields: dict[str, Any] | None) -> Ahead | None:
    if fields is None:
        return None
    return Ahead(
        lsn=Lsn.parse(fields["lsn"]),
        attribute_count=fields["attribute_count"],
        dropped=frozenset(fields["dropped"]),
        not_null=frozenset(fields["not_null"]),
        storage=storage_from_json(fields["storage"]),
    )

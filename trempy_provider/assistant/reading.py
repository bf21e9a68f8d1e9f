"""Read a source's catalogue and statistics; nothing is changed, and no table is scanned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from trempy_provider.assistant.catalogue import Catalogue, ColumnFacts, TableFacts
from trempy_provider.errors import TrempyError
from trempy_provider.postgres.catalog import read_tables
from trempy_provider.postgres.findings import Severity
from trempy_provider.postgres.preflight_server import (
    SlotNeeds,
    check_replication,
    read_server_facts,
)
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.table_plan import value_type
from trempy_provider.postgres.tables import Column, QualifiedName, Table
from trempy_provider.postgres.toast import read_unsendable_columns

_REPLICABLE_KINDS = ("r", "p")


def read_catalogue(source: Endpoint, *, target: Endpoint | None = None, allow_values: bool) -> Catalogue:
    """Return what the assistant may know of the source.

    With `allow_values`, the most common values of columns are read from the statistics too.
    A target that cannot be asked is left out: only what is there already stays unknown.
    """
    with source.connect("suggest") as session, session.transaction(read_only=True):
        tables = _read_tables(session)
        reader = _FactsReader(session, tables, allow_values=allow_values)
        return Catalogue(
            tables=tuple(reader.facts_of(table) for table in tables),
            obstacles_to_capture=_obstacles_to_capture(session),
            present_on_target=_present_on_target(target),
            includes_values=allow_values,
        )


def _read_tables(session: Session) -> tuple[Table, ...]:
    names = [
        QualifiedName(schema, name)
        for schema, name, kind, persistence, is_partition in session.fetch_all(static_sql("table_names"))
        if kind in _REPLICABLE_KINDS and persistence != "t" and not is_partition
    ]
    return read_tables(session, names)


def _obstacles_to_capture(session: Session) -> tuple[str, ...]:
    facts = read_server_facts(session)
    findings = check_replication(facts, "source", SlotNeeds(slots=1, walsenders=2))
    return tuple(finding.what for finding in findings if finding.severity is Severity.ERROR)


def _present_on_target(target: Endpoint | None) -> frozenset[QualifiedName] | None:
    if target is None:
        return None
    try:
        with target.connect("suggest") as session:
            rows = session.fetch_all(static_sql("table_names"))
    except TrempyError:
        return None
    return frozenset(QualifiedName(row[0], row[1]) for row in rows)


class _FactsReader:
    """The statistics, comments and references of tables, read at once."""

    def __init__(self, session: Session, tables: Sequence[Table], *, allow_values: bool) -> None:
        oids = {"oids": [table.oid for table in tables]}
        self._names = {table.oid: table.name for table in tables}
        self._unsendable = read_unsendable_columns(session, tables)
        self._comments: Mapping[int, str] = dict(session.fetch_all(static_sql("table_comments"), oids))
        self._columns = {
            (oid, name): facts
            for oid, name, *facts in session.fetch_all(static_sql("column_statistics"), oids)
        }
        self._references: dict[int, list[int]] = defaultdict(list)
        for oid, referenced in session.fetch_all(static_sql("foreign_keys"), oids):
            self._references[oid].append(referenced)
        self._values: dict[tuple[int, str], list[str]] = {}
        if allow_values:
            values = session.fetch_all(static_sql("common_values"), oids)
            self._values = {(oid, name): listed for oid, name, listed in values}

    def facts_of(self, table: Table) -> TableFacts:
        """Return what is known of a table."""
        unsendable = self._unsendable.get(table.oid, frozenset())
        references = [self._names[oid] for oid in self._references[table.oid] if oid in self._names]
        return TableFacts(
            name=table.name,
            columns=tuple(self._column(table.oid, column, unsendable) for column in table.columns),
            primary_key=table.primary_key,
            identifies_rows=_identifies_rows(table),
            is_logged=table.persistence == "p",
            estimated_rows=table.estimated_rows,
            size_bytes=table.size_bytes,
            references=tuple(name for name in references if name != table.name),
            comment=self._comments.get(table.oid),
        )

    def _column(self, oid: int, column: Column, unsendable: frozenset[str]) -> ColumnFacts:
        facts: Sequence[Any] = self._columns.get((oid, column.name), (None, None, None, None))
        comment, average_bytes, null_fraction, distinct_count = facts
        return ColumnFacts(
            name=column.name,
            type_name=column.type_name,
            is_not_null=column.not_null,
            is_generated=bool(column.generated),
            may_be_unsent=column.name in unsendable,
            comment=comment,
            average_bytes=average_bytes,
            null_fraction=null_fraction,
            distinct_count=distinct_count,
            common_values=tuple(self._values.get((oid, column.name), ())),
            value_type=value_type(column),
        )


def _identifies_rows(table: Table) -> bool:
    if table.partitions:
        return all(leaf.replica_identity == "f" or leaf.identity_columns for leaf in table.partitions)
    return table.identity_columns != ()

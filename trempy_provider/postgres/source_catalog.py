"""Read from the source's catalog what the stream does not tell of a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import read_table, selection_of
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.source_facts import SourceColumn, SourceFacts, storage_from_json
from trempy_provider.postgres.tables import Column, QualifiedName, Table
from trempy_provider.postgres.types import read_user_types
from trempy_provider.replication.lsn import NO_LSN, Lsn


def read_source_facts(
    session: Session, task: ReplicationTask, oid: int, *, xid: int | None = None
) -> SourceFacts:
    """Return what the catalog says of a table now; in an open transaction, what its snapshot says.

    `xid` is the transaction in whose stream the table is described.
    Of columns that the settings keep on the source, only the numbers are read.
    """
    if session.in_transaction:
        return _read(session, task, oid, xid)
    with session.transaction(isolation="repeatable read", read_only=True):
        return _read(session, task, oid, xid)


def _read(session: Session, task: ReplicationTask, oid: int, xid: int | None) -> SourceFacts:
    row = session.fetch_one(static_sql("relation_facts"), {"oid": oid, "publication": task.publication_name})
    facts = SourceFacts(oid=oid, lsn=NO_LSN) if row is None else _describe(session, task, oid, row)
    position = session.fetch_one(static_sql("catalog_position"), {"oid": oid, "xid": xid})
    assert position is not None
    lsn, is_seen, is_older = position
    return replace(
        facts,
        lsn=Lsn.parse(lsn),
        includes_transaction=xid is None or bool(is_seen),
        is_older=xid is None or bool(is_older),
    )


def _describe(session: Session, task: ReplicationTask, oid: int, row: tuple[Any, ...]) -> SourceFacts:
    schema_name, table_name, attribute_count, storage, is_published, published = row
    name = QualifiedName(schema_name, table_name)
    published = None if published is None else frozenset(published)
    table = read_table(session, name)
    assert table is not None
    rows = session.fetch_all(static_sql("attribute_facts"), {"oid": oid})
    chosen = _chosen(task, table, published)
    columns = tuple(
        SourceColumn(chosen[attnum], modifier, missing, differs)
        for attnum, _, modifier, missing, differs in rows
        if attnum in chosen
    )
    dropped = frozenset(attnum for attnum, is_dropped, *_ in rows if is_dropped)
    return SourceFacts(
        oid=oid,
        lsn=NO_LSN,
        name=name,
        columns=columns,
        hidden=frozenset(attnum for attnum, *_ in rows) - dropped - chosen.keys(),
        dropped=dropped,
        attribute_count=attribute_count,
        storage=storage_from_json(storage or {}),
        is_published=is_published,
        published=published,
        key_columns=table.key_columns,
        types=read_user_types(session, [column.column for column in columns]),
    )


def _chosen(task: ReplicationTask, table: Table, published: frozenset[int] | None) -> dict[int, Column]:
    """Return the columns that may leave the source, by number.

    The settings may know the table by a former name; the publication's list of columns goes with the table.
    """
    selection = selection_of(task, table.name)
    return {
        column.position: column
        for column in table.columns
        if published is None
        or column.position in published
        or (selection is not None and selection.selects_column(column.name))
    }

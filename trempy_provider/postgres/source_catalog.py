"""Read from the source's catalog what the stream does not tell of a table."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import read_columns_and_keys, selection_of
from trempy_provider.postgres.fact_masks import FactMasks
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.source_facts import SourceColumn, SourceFacts, storage_from_json
from trempy_provider.postgres.tables import Column, QualifiedName, Table
from trempy_provider.postgres.translation import SourceStatementError
from trempy_provider.postgres.types import read_user_types
from trempy_provider.replication.lsn import NO_LSN, Lsn

_LOCK_TIMEOUT = "50ms"
_FILES_LIMIT = 200
_LOCK_NOT_AVAILABLE = "55P03"


def read_source_facts(
    session: Session,
    task: ReplicationTask,
    oid: int,
    *,
    xid: int | None = None,
    masks: FactMasks | None = None,
) -> SourceFacts:
    """Return what the catalog says of a table now; in an open transaction, what its snapshot says.

    `xid` is the transaction in whose stream the table is described.
    Nothing waits for a lock on the table: it may be that transaction's.
    Of columns that the settings keep on the source, only the numbers are read; masked ones are told as the
    stream has them.
    """
    masks = masks or FactMasks(task)
    if session.in_transaction:
        return masks.applied_to(_read(session, task, oid, xid))
    with session.transaction(isolation="repeatable read", read_only=True):
        return masks.applied_to(_read(session, task, oid, xid))


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
    schema_name, table_name, identity, attribute_count, storage, published = row
    name = QualifiedName(schema_name, table_name)
    published = None if published is None else frozenset(published)
    columns, keys = read_columns_and_keys(session, oid)
    columns = _with_expressions(session, oid, columns)
    table = Table(oid=oid, name=name, kind="r", replica_identity=identity, columns=columns, keys=keys)
    rows = session.fetch_all(static_sql("attribute_facts"), {"oid": oid})
    chosen = _chosen(task, table, published)
    described = tuple(
        SourceColumn(chosen[attnum], modifier, changed_by, missing, differs)
        for attnum, _, modifier, changed_by, missing, differs in rows
        if attnum in chosen
    )
    described = _without_defaults(task, name, described)
    dropped = frozenset(attnum for attnum, is_dropped, *_ in rows if is_dropped)
    return SourceFacts(
        oid=oid,
        lsn=NO_LSN,
        name=name,
        columns=described,
        hidden=frozenset(attnum for attnum, *_ in rows) - dropped - chosen.keys(),
        dropped=dropped,
        attribute_count=attribute_count,
        storage=_brief(storage_from_json(storage or {})),
        published=published,
        key_columns=table.key_columns,
        types=read_user_types(session, [column.column for column in described]),
    )


def _brief(storage: dict[int, int]) -> dict[int, int]:
    """Return the files of a table, of one with many partitions only what tells them from others."""
    if len(storage) <= _FILES_LIMIT:
        return storage
    return {0: zlib.crc32(repr(sorted(storage.items())).encode())}


def _without_defaults(
    task: ReplicationTask, name: QualifiedName, columns: tuple[SourceColumn, ...]
) -> tuple[SourceColumn, ...]:
    """Leave out the defaults where the settings do not know the table: nobody can say what they mask."""
    if selection_of(task, name) is not None:
        return columns
    return tuple(
        replace(
            entry,
            column=entry.column if entry.column.generated else replace(entry.column, default_sql=None),
            missing=None,
            missing_differs=entry.missing is not None,
        )
        for entry in columns
    )


def _with_expressions(session: Session, oid: int, columns: Sequence[Column]) -> tuple[Column, ...]:
    """Add what generated columns are computed from, unless somebody keeps the table locked."""
    if not any(column.generated for column in columns):
        return tuple(columns)
    expressions: dict[int, str] = {}
    try:
        with session.savepoint("trempy_expressions"):
            session.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
            expressions = dict(session.fetch_all(static_sql("generated_expressions"), {"oid": oid}))
    except SourceStatementError as error:
        if error.sqlstate != _LOCK_NOT_AVAILABLE:
            raise
    return tuple(
        replace(column, default_sql=expressions.get(column.position)) if column.generated else column
        for column in columns
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

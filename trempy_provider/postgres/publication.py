"""The publication of a task: exactly its tables, columns and operations.

PostgreSQL keeps the operations per publication, the settings per table: the publication has the union, and
apply leaves out what a table does not take part in.
A partitioned table is published as itself, whatever partition a row is in (`publish_via_partition_root`).
PostgreSQL keeps a row filter parsed; the publication's comment tells from which filters of the settings.
See "CREATE PUBLICATION" in PostgreSQL's manual.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from psycopg2 import sql

from trempy_provider.config.choices import OperationName
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import operations_of, selected_columns, selection_of
from trempy_provider.postgres.row_filters import PushDown, RowFilter, digest_of, push_down
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import QualifiedName, Table

_COMMENT_PREFIX = "trempy row filters: "
_UNKNOWN_DIGEST = ""  # of a row filter that somebody else has set


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table in a publication; `columns` None: all columns, also those added later."""

    oid: int
    name: QualifiedName
    columns: frozenset[str] | None = None
    row_filter: RowFilter | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """What a publication publishes; equal publications need no change."""

    name: str
    tables: frozenset[PublishedTable]
    operations: frozenset[OperationName]
    via_root: bool = True
    covers_more: bool = False  # all tables or whole schemas


def wanted_publication(task: ReplicationTask, tables: Iterable[Table]) -> Publication:
    """Return the publication the settings ask for."""
    chosen = tuple(tables)
    operations = frozenset[OperationName]().union(*(operations_of(task, table) for table in chosen))
    operations = operations or frozenset(OperationName)
    return Publication(
        name=task.publication_name,
        tables=frozenset(_published(task, table, operations) for table in chosen),
        operations=operations,
    )


def pushed_filters(task: ReplicationTask, tables: Iterable[Table]) -> Iterator[tuple[Table, PushDown]]:
    """Yield the tables that have filters, with those that the publication will have and those it cannot."""
    chosen = tuple(tables) if task.captures_changes else ()
    operations = wanted_publication(task, chosen).operations
    for table in chosen:
        filters = push_down(task, table, operations)
        if filters.pushed or filters.kept:
            yield table, filters


def read_publication(session: Session, name: str) -> Publication | None:
    """Return the publication as it is, None when there is none."""
    row = session.fetch_one(static_sql("read_publication"), {"name": name})
    if row is None:
        return None
    all_tables, *flags, via_root, has_schemas, comment = row
    operations = (operation for operation, is_on in zip(OperationName, flags, strict=True) if is_on)
    tables = session.fetch_all(static_sql("read_publication_tables"), {"name": name})
    digests = _digests_of(comment)
    return Publication(
        name=name,
        tables=frozenset(
            PublishedTable(
                oid=oid,
                name=QualifiedName(schema, table),
                columns=None if columns is None else frozenset(columns),
                row_filter=None if condition is None else _known_filter(condition, digests.get(str(oid))),
            )
            for oid, schema, table, columns, condition in tables
        ),
        operations=frozenset(operations),
        via_root=via_root,
        covers_more=all_tables or has_schemas,
    )


def ensure_publication(session: Session, wanted: Publication) -> bool:
    """Bring the publication to the wanted state; return whether anything had to be done.

    An existing one that covers all tables or whole schemas is dropped first: it cannot be narrowed.
    """
    present = read_publication(session, wanted.name)
    if present == wanted:
        return False

    def bring() -> None:
        if present is not None and present.covers_more:
            session.execute(drop_publication_sql(wanted.name))
            _bring_to(session, wanted, None)
        else:
            _bring_to(session, wanted, present)

    session.transact(bring)
    return True


def publish_whole(session: Session, task: ReplicationTask, tables: Iterable[Table]) -> bool:
    """Let the task's publication have all columns and rows chosen of these tables; return whether it had not.

    A load does so before its snapshot: what is not published then is missing from the changes after it.
    """
    present = read_publication(session, task.publication_name)
    if present is None:
        return False
    missing = {_published(task, table, present.operations) for table in tables} - present.tables
    if not missing:
        return False
    replaced = {entry.oid for entry in missing}
    kept = {entry for entry in present.tables if entry.oid not in replaced}
    wanted = replace(present, tables=frozenset(kept | missing))
    session.transact(lambda: _bring_to(session, wanted, present))
    return True


def rewrite_publication(session: Session, name: str) -> None:
    """Write the publication into the catalog again as it is; one that another role owns is left alone."""
    present = read_publication(session, name)
    if present is None or not session.fetch_value(static_sql("publication_owner"), {"name": name}):
        return
    session.execute(
        sql.SQL("alter publication {} set ({})").format(sql.Identifier(name), _options_sql(present))
    )


def drop_publication(session: Session, name: str) -> bool:
    """Drop the publication; return whether there was one."""
    if read_publication(session, name) is None:
        return False
    session.execute(drop_publication_sql(name))
    return True


def publication_sql(wanted: Publication, present: Publication | None) -> list[sql.Composed]:
    """Compose the statements that make `present` into `wanted`."""
    name = sql.Identifier(wanted.name)
    if present is None:
        tables = sql.SQL(" for table {}").format(_tables_sql(wanted)) if wanted.tables else sql.SQL("")
        return [
            sql.SQL("create publication {name}{tables} with ({options})").format(
                name=name, tables=tables, options=_options_sql(wanted)
            )
        ]
    statements = []
    if (wanted.operations, wanted.via_root) != (present.operations, present.via_root):
        statements.append(sql.SQL("alter publication {} set ({})").format(name, _options_sql(wanted)))
    if wanted.tables != present.tables:
        statements += _alter_tables_sql(wanted, present)
    return statements


def drop_publication_sql(name: str) -> sql.Composed:
    """Compose the drop of a publication that may be missing."""
    return sql.SQL("drop publication if exists {}").format(sql.Identifier(name))


def _bring_to(session: Session, wanted: Publication, present: Publication | None) -> None:
    for statement in publication_sql(wanted, present):
        session.execute(statement)
    row_filters = {table.oid: table.row_filter for table in wanted.tables if table.row_filter is not None}
    if not row_filters:
        return
    conditions = session.fetch_all(static_sql("read_publication_tables"), {"name": wanted.name})
    digests = {
        oid: [digest_of(condition), row_filters[oid].digest]
        for oid, *_, condition in conditions
        if oid in row_filters
    }
    comment = sql.Literal(_COMMENT_PREFIX + json.dumps(digests))
    name = sql.Identifier(wanted.name)
    session.execute(sql.SQL("comment on publication {} is {}").format(name, comment))


def _digests_of(comment: str | None) -> Mapping[str, Any]:
    """Return by table the digests of its row filter as PostgreSQL writes it, and as the settings have it."""
    if comment is None or not comment.startswith(_COMMENT_PREFIX):
        return {}
    try:
        digests = json.loads(comment.removeprefix(_COMMENT_PREFIX))
    except ValueError:
        return {}
    return digests if isinstance(digests, dict) else {}


def _known_filter(condition: str, digests: Any) -> RowFilter:
    match digests:
        case [written, wanted] if written == digest_of(condition):
            return RowFilter(str(wanted), sql.SQL(condition))
        case _:
            return RowFilter(_UNKNOWN_DIGEST, sql.SQL(condition))


def _published(task: ReplicationTask, table: Table, operations: frozenset[OperationName]) -> PublishedTable:
    row_filter = push_down(task, table, operations).row_filter
    selection = selection_of(task, table.name)
    if selection is None or (selection.columns is None and not selection.exclude_columns):
        return PublishedTable(table.oid, table.name, row_filter=row_filter)
    columns = frozenset(column.name for column in selected_columns(task, table))
    return PublishedTable(table.oid, table.name, columns, row_filter)


def _alter_tables_sql(wanted: Publication, present: Publication) -> list[sql.Composed]:
    name = sql.Identifier(wanted.name)
    if wanted.tables:
        return [sql.SQL("alter publication {} set table {}").format(name, _tables_sql(wanted))]
    removed = sql.SQL(", ").join(sql.SQL("only {}").format(table.name.identifier) for table in present.tables)
    return [sql.SQL("alter publication {} drop table {}").format(name, removed)]


def _tables_sql(publication: Publication) -> sql.Composed:
    return sql.SQL(", ").join(
        _table_sql(table) for table in sorted(publication.tables, key=lambda table: table.name)
    )


def _table_sql(table: PublishedTable) -> sql.Composed:
    """Compose one table; ONLY keeps tables that inherit from it out."""
    entry = sql.SQL("only {}").format(table.name.identifier)
    if table.columns is not None:
        columns = sql.SQL(", ").join(map(sql.Identifier, sorted(table.columns)))
        entry = sql.SQL("{} ({})").format(entry, columns)
    if table.row_filter is not None:
        entry = sql.SQL("{} where ({})").format(entry, table.row_filter.condition)
    return entry


def _options_sql(publication: Publication) -> sql.Composed:
    operations = ", ".join(operation for operation in OperationName if operation in publication.operations)
    return sql.SQL("publish = {}, publish_via_partition_root = {}").format(
        sql.Literal(operations), sql.SQL("true" if publication.via_root else "false")
    )

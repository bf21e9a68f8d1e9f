"""Pre-flight checks of a task's tables on the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trempy_provider.config.choices import OperationName
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import (
    list_tables,
    operations_of,
    read_tables,
    selected_columns,
    selection_of,
)
from trempy_provider.postgres.findings import Finding, error, warning
from trempy_provider.postgres.preflight_server import ServerFacts
from trempy_provider.postgres.publication import read_publication, wanted_publication
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import Partition, QualifiedName, Table, quote_name

_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence"}
_NEED_IDENTITY = (OperationName.UPDATE, OperationName.DELETE)


@dataclass(frozen=True, slots=True)
class TableRights:
    """What the role may do with a table."""

    may_use_schema: bool
    may_create_in_schema: bool
    may_select: bool
    may_insert: bool
    may_update: bool
    may_delete: bool
    may_truncate: bool
    owns: bool
    hides_rows: bool
    has_triggers: bool
    has_foreign_keys: bool


def read_rights(session: Session, oids: Sequence[int]) -> dict[int, TableRights]:
    """Return what the role may do with each table."""
    rows = session.fetch_all(static_sql("table_rights"), {"oids": list(oids)})
    return {oid: TableRights(*rights) for oid, *rights in rows}


def find_tables_with_findings(
    session: Session, task: ReplicationTask
) -> tuple[tuple[Table, ...], tuple[Finding, ...]]:
    """Return the tables that can be replicated, and findings about the others."""
    names, missing = list_tables(session, task)
    findings = [
        error(f"source table {name}", "it does not exist", "Correct tables[]: capitals and spaces count.")
        for name in missing
    ]
    if not names and not missing:
        findings.append(error("source", "no table matches tables[]", "Correct the patterns."))
    tables = read_tables(session, names)
    for table in tables:
        findings += _check_kind(task, table)
    return tuple(table for table in tables if table.kind in "rp"), tuple(findings)


def check_source_tables(
    session: Session, task: ReplicationTask, facts: ServerFacts, tables: Sequence[Table]
) -> Iterator[Finding]:
    """Find what keeps tables from being read and published."""
    oids = [table.oid for table in tables] + [leaf.oid for table in tables for leaf in table.partitions]
    rights = read_rights(session, oids)
    for table in tables:
        yield from _check_columns(task, table)
        yield from _check_reading(session, task, facts, table, rights[table.oid])
        for leaf in table.partitions:
            yield from _check_leaf(facts, table, leaf, rights[leaf.oid])
        yield from _check_relatives(table, tables)
    if task.captures_changes:
        yield from _check_identities(task, tables)
        yield from _check_publishing(session, task, facts, tables, rights)


def _check_kind(task: ReplicationTask, table: Table) -> Iterator[Finding]:
    where = f"source table {table.name}"
    if table.kind in _KINDS:
        yield error(
            where, f"it is {_KINDS[table.kind]}; only tables are replicated", "Take it out of tables[]."
        )
    elif table.persistence == "t":
        yield error(where, "it is a temporary table", "Take it out of tables[].")
    elif table.persistence == "u" and task.captures_changes:
        yield error(
            where,
            "it is unlogged: its changes are not in the WAL",
            f"alter table {table.name} set logged; or take it out of tables[].",
        )


def _check_columns(task: ReplicationTask, table: Table) -> Iterator[Finding]:
    where = f"source table {table.name}"
    selection = selection_of(task, table.name)
    if selection is None:
        return
    named = (*(selection.columns or ()), *selection.exclude_columns)
    unknown = [name for name in named if name not in {column.name for column in table.columns}]
    if unknown and not selection.is_pattern:
        listed = ", ".join(map(quote_name, unknown))
        yield error(
            where, f"it has no column {listed}", "Correct columns or exclude_columns in the settings."
        )
    chosen = {column.name for column in selected_columns(task, table)}
    if table.columns and not chosen:
        yield error(where, "no column is left to replicate", "Correct columns or exclude_columns.")
    outside = [name for name in table.key_columns if name not in chosen]
    if chosen and outside and task.captures_changes:
        yield error(
            where,
            f"its key has the column {quote_name(outside[0])}, which is not replicated",
            "Add the key's columns to columns, or take them out of exclude_columns; a generated column "
            "cannot be in the key.",
        )


def _check_reading(
    session: Session, task: ReplicationTask, facts: ServerFacts, table: Table, rights: TableRights
) -> Iterator[Finding]:
    where, role = f"source table {table.name}", quote_name(facts.role)
    if not rights.may_use_schema:
        schema = quote_name(table.name.schema_name)
        yield error(
            where, f"the role {role} may not use its schema", f"grant usage on schema {schema} to {role};"
        )
    if not rights.may_select and (unreadable := _unreadable(session, task, table)):
        yield error(
            where,
            f"the role {role} may not read {', '.join(map(quote_name, unreadable))}",
            f"grant select on {table.name} to {role};",
        )
    if rights.hides_rows:
        yield error(
            where,
            f"row-level security hides rows from the role {role}",
            f"As a superuser: alter role {role} bypassrls; (the owner can also: alter table {table.name} "
            "no force row level security;)",
        )


def _unreadable(session: Session, task: ReplicationTask, table: Table) -> list[str]:
    names = [column.name for column in selected_columns(task, table)]
    rows = session.fetch_all(static_sql("unreadable_columns"), {"oid": table.oid, "columns": names})
    return [name for (name,) in rows]


def _check_leaf(facts: ServerFacts, table: Table, leaf: Partition, rights: TableRights) -> Iterator[Finding]:
    where, role = f"source table {leaf.name} (a partition of {table.name})", quote_name(facts.role)
    if leaf.kind != "r" or leaf.persistence != "p":
        yield error(
            where,
            "it is a foreign table or unlogged: its changes are not in this server's WAL",
            f"Detach it, or name the other partitions of {table.name} in tables[] one by one.",
        )
    elif not (rights.may_select and rights.may_use_schema):
        schema = quote_name(leaf.name.schema_name)
        yield error(
            where,
            f"the role {role} may not read it",
            f"grant usage on schema {schema} to {role}; grant select on {leaf.name} to {role};",
        )


def _check_relatives(table: Table, tables: Sequence[Table]) -> Iterator[Finding]:
    where = f"source table {table.name}"
    roots = [root.name for root in tables if any(leaf.oid == table.oid for leaf in root.partitions)]
    if roots:
        yield error(
            where,
            f"it is a partition of {roots[0]}, which is in the task too: its rows would arrive twice",
            "Take one of the two out of tables[].",
        )
    if table.has_inheritance_children:
        yield warning(
            where,
            "other tables inherit from it: only its own rows are replicated, not theirs",
            "Name the inheriting tables in tables[] too if their rows are wanted.",
        )


def _check_identities(task: ReplicationTask, tables: Sequence[Table]) -> Iterator[Finding]:
    published = frozenset[OperationName]().union(*(operations_of(task, table) for table in tables))
    needing = [operation for operation in _NEED_IDENTITY if operation in published]
    if not needing:
        return
    words = " and ".join(operation.upper() for operation in needing)
    for table in tables:
        yield from _check_identity(task, table, words)
        for leaf in table.partitions:
            yield from _check_leaf_identity(table, leaf, words)


def _check_identity(task: ReplicationTask, table: Table, words: str) -> Iterator[Finding]:
    where = f"source table {table.name}"
    chosen = {column.name for column in selected_columns(task, table)}
    if table.identity_columns == () and not table.partitions:
        yield error(
            where, f"{words} on it would fail once published: {_identity_reason(table)}", _choices(table)
        )
    if table.identity_columns is None and any(c.name not in chosen for c in table.columns if not c.generated):
        yield error(
            where,
            f"it has REPLICA IDENTITY FULL, which forbids a selection of columns: {words} on it would fail",
            f"alter table {table.name} replica identity default; (it takes a primary key), "
            "or replicate all columns.",
        )


def _check_leaf_identity(table: Table, leaf: Partition, words: str) -> Iterator[Finding]:
    if leaf.replica_identity == "f":
        return
    where = f"source table {leaf.name} (a partition of {table.name})"
    if not leaf.identity_columns:
        yield error(
            where,
            f"{words} on it would fail once published: it has no usable replica identity",
            f"alter table {leaf.name} replica identity full; or give {table.name} a primary key.",
        )
    elif not table.key_columns or not set(table.key_columns) <= set(leaf.identity_columns):
        yield error(
            where,
            f"its replica identity is not the one of {table.name}, so that rows could not be found by it",
            f"alter table {leaf.name} replica identity full;",
        )


def _identity_reason(table: Table) -> str:
    if table.replica_identity == "n":
        return "its replica identity is NOTHING"
    if table.primary_key:
        return "its primary key is deferrable or not its replica identity"
    return "it has no primary key"


def _choices(table: Table) -> str:
    usable = [
        key
        for key in table.keys
        if key.is_immediate and key.is_not_null and not (key.is_primary and table.replica_identity == "d")
    ]
    if usable and usable[0].is_primary:
        second = f"alter table {table.name} replica identity default;"
    elif usable:
        second = f"alter table {table.name} replica identity using index {quote_name(usable[0].name)};"
    else:
        second = "a unique index on columns that are NOT NULL, then replica identity using index …;"
    return (
        f"Choose one: (1) alter table {table.name} add primary key (…); (2) {second} "
        f"(3) alter table {table.name} replica identity full; (any table, but slow for large ones). "
        'Or publish inserts only: "operations": ["insert"] for all tables of the task.'
    )


def _check_publishing(
    session: Session,
    task: ReplicationTask,
    facts: ServerFacts,
    tables: Sequence[Table],
    rights: dict[int, TableRights],
) -> Iterator[Finding]:
    """Find missing rights on the publication; one that is as wanted needs none."""
    wanted, role = wanted_publication(task, tables), quote_name(facts.role)
    present = read_publication(session, wanted.name)
    if present == wanted:
        return
    if present is None and not facts.may_create:
        yield error(
            f"source database {facts.database}",
            f"the role {role} may not create a publication",
            f"grant create on database {quote_name(facts.database)} to {role};",
        )
    if present is not None and not session.fetch_value(
        static_sql("publication_owner"), {"name": wanted.name}
    ):
        yield error(
            f"publication {wanted.name}",
            f"it differs from the settings and belongs to somebody else than {role}",
            f"alter publication {wanted.name} owner to {role}; or drop publication {wanted.name};",
        )
    for name, owner in _not_owned(tables, rights):
        yield error(
            f"source table {name}",
            f"the role {role} does not own it, which publishing it needs",
            f"grant {quote_name(owner)} to {role}; (or alter table {name} owner to {role};)",
        )


def _not_owned(tables: Sequence[Table], rights: dict[int, TableRights]) -> list[tuple[QualifiedName, str]]:
    return [(table.name, table.owner) for table in tables if not rights[table.oid].owns]

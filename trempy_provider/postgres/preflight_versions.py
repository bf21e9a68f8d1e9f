"""Pre-flight checks of tables in the mode `scd2`, which keeps the versions of every row."""

from __future__ import annotations

from collections.abc import Iterator

from trempy_provider.config.choices import OperationName
from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import operations_of
from trempy_provider.postgres.findings import Finding, error, warning
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_plan import TablePlan
from trempy_provider.postgres.tables import Table, quote_name
from trempy_provider.postgres.toast import read_unsendable_columns, sends_whole_rows


def check_versions(
    source: Session, task: ReplicationTask, table: Table, plan: TablePlan
) -> Iterator[Finding]:
    """Find what keeps a source table from having a history, and what makes its history short."""
    if plan.versions is None:
        return
    where = f"source table {table.name}"
    if not _history_key(plan):
        yield error(
            where,
            "it has no key, which the mode scd2 needs",
            f"alter table {table.name} add primary key (…); or use the mode default.",
        )
    elif task.captures_changes:
        yield from _check_old_rows(source, task, table, plan)
    names = {column.name for column in plan.columns}
    for name in plan.versions.names:
        if name in names:
            yield error(
                where,
                f"its column {quote_name(name)} has the name of a column that the mode scd2 adds",
                "Choose another name in cdc_settings.scd2_settings, or rename or exclude the table's column.",
            )
    options = {
        "recreate_table_if_exists": task.full_load.recreate_table_if_exists,
        "truncate_before_insert": task.full_load.truncate_before_insert,
    }
    for option in (name for name, is_set in options.items() if is_set and task.loads_fully):
        yield warning(
            f"target table {plan.target}",
            f"full_load_settings.{option} is true: each full load removes the table's history",
            "Set it to false to keep the history; a load then adds the versions of rows that differ.",
        )


def _check_old_rows(
    source: Session, task: ReplicationTask, table: Table, plan: TablePlan
) -> Iterator[Finding]:
    """Find what the settings' key needs of old rows, and an UPDATE or DELETE does not send."""
    changing = {OperationName.UPDATE, OperationName.DELETE}
    made_from = {name for column in _history_key(plan) for name in column.depends_on}
    if made_from == set(table.key_columns) or changing.isdisjoint(operations_of(task, table)):
        return
    unsent = made_from.difference(table.key_columns) | read_unsendable_columns(source, [table]).get(
        table.oid, frozenset()
    )
    if unsent and not sends_whole_rows(table):
        yield error(
            f"source table {table.name}",
            "its history has another key than its rows, and UPDATE and DELETE may not send "
            f"{', '.join(map(quote_name, sorted(unsent)))}",
            f"alter table {table.name} replica identity full;",
        )


def _history_key(plan: TablePlan) -> tuple[ChainColumn, ...]:
    assert plan.versions is not None
    names = {name for key in plan.keys for name in key.columns}
    return tuple(column for column in plan.columns if column.name in names)


def check_existing_versions(plan: TablePlan, existing: Table) -> Iterator[Finding]:
    """Find what keeps a table that exists from holding versions."""
    assert plan.versions is not None
    where = f"target table {existing.name}"
    for name, seen, allowed in plan.versions.misfits(existing):
        if seen is None:
            yield error(
                where,
                f"it lacks the column {quote_name(name)} of the mode scd2",
                f"alter table {existing.name} add column {quote_name(name)} {allowed[0]};",
            )
        else:
            yield error(
                where,
                f"its column {quote_name(name)} of the mode scd2 is {seen}; allowed: {', '.join(allowed)}",
                f"alter table {existing.name} alter column {quote_name(name)} "
                f"type {allowed[0]} using {quote_name(name)}::{allowed[0]};",
            )
    yield from _check_keys(plan, existing, where)


def _check_keys(plan: TablePlan, existing: Table, where: str) -> Iterator[Finding]:
    assert plan.versions is not None
    key = plan.keys[0].columns
    columns = ", ".join(map(quote_name, key))
    fitting = [index for index in existing.keys if set(index.columns) == set(key) and index.is_immediate]
    if _history_key(plan) and not any(index.columns[-1] == plan.versions.start for index in fitting):
        yield error(
            where,
            f"it has no unique index on the key and the start of a version ({columns})",
            f"create unique index on {existing.name} ({columns});",
        )
    replicated = {column.name for column in plan.columns}
    for index in existing.keys:
        if replicated.issuperset(index.columns):
            listed = ", ".join(map(quote_name, index.columns))
            yield error(
                where,
                f"its unique index {quote_name(index.name)} on ({listed}) allows one version only",
                f"Drop it, or add {quote_name(plan.versions.start)} to it.",
            )

"""Pre-flight checks of a task's tables on the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trempy_provider.config.choices import SchemaEvolution
from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.config.task import ApplyModeName, ReplicationTask
from trempy_provider.postgres.catalog import read_tables, selected_columns
from trempy_provider.postgres.findings import Finding, error, warning
from trempy_provider.postgres.metadata import applied_migrations, available_migrations
from trempy_provider.postgres.preflight_server import ServerFacts, has_metadata
from trempy_provider.postgres.preflight_source import TableRights, read_rights
from trempy_provider.postgres.preflight_versions import check_existing_versions, check_versions
from trempy_provider.postgres.schema import missing_collations, target_columns
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_plan import TablePlan, plan_table
from trempy_provider.postgres.table_states import LoadState, TableState, read_table_states
from trempy_provider.postgres.tables import Column, QualifiedName, Table, quote_name
from trempy_provider.postgres.task_tables import place_of
from trempy_provider.postgres.types import add_labels_sql, find_type_gaps, read_user_types, uncreatable


@dataclass(frozen=True, slots=True)
class _Planned:
    """A source table and what becomes of it."""

    table: Table
    plan: TablePlan
    follows: bool = False  # the target is changed, or kept, as the source changes


def check_target_tables(
    source: Session, target: Session, task: ReplicationTask, facts: ServerFacts, tables: Sequence[Table]
) -> Iterator[Finding]:
    """Find what keeps the target from taking the rows of `tables`."""
    states = _read_states(target, task)
    gone = states.keys() - {table.oid for table in tables}
    predecessors = {states[oid].target: states[oid] for oid in gone}
    planned = [_plan(task, table, states.get(table.oid), predecessors) for table in tables]
    yield from _check_shared_targets(planned)
    present = {table.name: table for table in read_tables(target, [each.plan.target for each in planned])}
    rights = read_rights(target, [table.oid for table in present.values()])
    missing = [each for each in planned if each.plan.target not in present]
    yield from _check_creation(target, task, facts, missing)
    yield from _check_types(source, target, task, tables, missing)
    for each in planned:
        yield from check_versions(source, task, each.table, each.plan)
        if existing := present.get(each.plan.target):
            yield from _check_existing(task, facts, each, existing, rights[existing.oid])
    yield from _check_staging(task, facts)
    yield from _check_side_effects(facts, rights)
    yield from _check_sharing(target, task, [each.plan.target for each in planned])


def _read_states(target: Session, task: ReplicationTask) -> dict[int, TableState]:
    """Return the task's tables as far as it has been set up by this version."""
    if not has_metadata(target) or applied_migrations(target) != available_migrations():
        return {}
    return read_table_states(target, task.task_name)


def _plan(
    task: ReplicationTask,
    table: Table,
    state: TableState | None,
    predecessors: Mapping[QualifiedName, TableState],
) -> _Planned:
    plan = plan_table(task, table)
    policy = task.cdc.schema_evolution if task.captures_changes else SchemaEvolution.STOP
    if state is None:
        former = predecessors.get(plan.target)
        is_ours = former is not None and former.created_by_task
        return _Planned(table, plan, follows=is_ours and policy is SchemaEvolution.APPLY)
    follows = policy is not SchemaEvolution.STOP
    was_loaded = state.state is not LoadState.PENDING or state.load_id > 0
    return _Planned(table, replace(plan, target=place_of(table, plan, state)), follows=follows and was_loaded)


def _check_shared_targets(planned: Sequence[_Planned]) -> Iterator[Finding]:
    first: dict[QualifiedName, QualifiedName] = {}
    for each in planned:
        earlier = first.setdefault(each.plan.target, each.table.name)
        if earlier != each.table.name:
            yield error(
                f"target table {each.plan.target}",
                f"both {earlier} and {each.table.name} would be written to it",
                "Give one of them another name or schema on the target.",
            )


def _check_staging(task: ReplicationTask, facts: ServerFacts) -> Iterator[Finding]:
    if task.captures_changes and not facts.may_create_temporary:
        role, database = quote_name(facts.role), quote_name(facts.database)
        yield error(
            f"target database {database}",
            f"the role {role} may not create temporary tables, through which changes are applied",
            f"grant temporary on database {database} to {role};",
        )


def _check_creation(
    target: Session, task: ReplicationTask, facts: ServerFacts, missing: Sequence[_Planned]
) -> Iterator[Finding]:
    if not task.task.create_table_if_not_exists:
        for each in missing:
            yield error(
                f"target table {each.plan.target}",
                "it does not exist",
                "Create it, or set create_table_if_not_exists to true.",
            )
        return
    schemas = sorted({each.plan.target.schema_name for each in missing})
    role, database = quote_name(facts.role), quote_name(facts.database)
    for name, exists, may_use, may_create in target.fetch_all(
        static_sql("schema_rights"), {"names": schemas}
    ):
        if not exists and not facts.may_create:
            yield error(
                f"target schema {quote_name(name)}",
                f"it does not exist, and the role {role} may not create it",
                f"grant create on database {database} to {role}; "
                f"(or: create schema {quote_name(name)} authorization {role};)",
            )
        if exists and not (may_use and may_create):
            yield error(
                f"target schema {quote_name(name)}",
                f"the role {role} may not create tables in it",
                f"grant usage, create on schema {quote_name(name)} to {role};",
            )


def _check_types(
    source: Session,
    target: Session,
    task: ReplicationTask,
    tables: Sequence[Table],
    missing: Sequence[_Planned],
) -> Iterator[Finding]:
    """Find types that the target lacks; those of tables still to be created are created with them."""
    creating = [column for each in missing for column in target_columns(task, each.table, each.plan)]
    types = read_user_types(source, [column for table in tables for column in selected_columns(task, table)])
    needed = {entry.name for entry in read_user_types(source, creating)}
    for gap in find_type_gaps(target, types):
        where = f"target type {gap.type.name}"
        if gap.missing_labels and task.cdc.schema_evolution is SchemaEvolution.APPLY:
            continue  # they are added before the first row that has them
        if gap.missing_labels:
            labels = ", ".join(map(repr, gap.missing_labels))
            yield error(
                where, f"it lacks the labels {labels}, so rows with them would fail", add_labels_sql(gap)
            )
        elif gap.type.name in needed and (problem := uncreatable(gap.type)):
            yield error(where, *problem)
    for schema, name in sorted(missing_collations(target, creating)):
        yield warning(
            f"target collation {quote_name(schema)}.{quote_name(name)}",
            "it does not exist; created columns get the database's default collation",
            "Create the collation on the target before the tables are created, if the order of text matters.",
        )


def _check_existing(
    task: ReplicationTask, facts: ServerFacts, planned: _Planned, existing: Table, rights: TableRights
) -> Iterator[Finding]:
    where, role = f"target table {existing.name}", quote_name(facts.role)
    if existing.kind not in "rp":
        yield error(where, "it is not a table", "Rename or drop it.")
        return
    if task.full_load.recreate_table_if_exists and task.loads_fully:
        if not rights.owns:
            owner = f"alter table {existing.name} owner to {role};"
            yield error(where, f"the role {role} does not own it, which recreating it needs", owner)
        return
    yield from _check_writing(where, role, existing, rights)
    if task.captures_changes and task.cdc.schema_evolution is SchemaEvolution.APPLY and not rights.owns:
        yield warning(
            where,
            f"the role {role} does not own it, so it cannot follow when its source changes",
            f"alter table {existing.name} owner to {role}; or let schema_evolution be stop.",
        )
    if not planned.follows:
        yield from _check_columns(where, planned, existing)
    if planned.plan.versions is not None:
        yield from check_existing_versions(planned.plan, existing)
    elif not planned.follows:
        yield from _check_key(task, where, planned, existing)


def _check_writing(where: str, role: str, existing: Table, rights: TableRights) -> Iterator[Finding]:
    if not rights.may_use_schema:
        schema = quote_name(existing.name.schema_name)
        yield error(
            where, f"the role {role} may not use its schema", f"grant usage on schema {schema} to {role};"
        )
    wanted = {
        "select": rights.may_select,
        "insert": rights.may_insert,
        "update": rights.may_update,
        "delete": rights.may_delete,
        "truncate": rights.may_truncate,
    }
    lacking = ", ".join(name for name, granted in wanted.items() if not granted)
    if lacking:
        yield error(
            where, f"the role {role} lacks {lacking} on it", f"grant {lacking} on {existing.name} to {role};"
        )
    if rights.hides_rows:
        yield error(
            where,
            f"row-level security hides rows from the role {role}",
            f"As a superuser: alter role {role} bypassrls;",
        )


def _check_columns(where: str, planned: _Planned, existing: Table) -> Iterator[Finding]:
    present = {column.name: column for column in existing.columns}
    for column in planned.plan.columns:
        if column.name not in present:
            origin = "of the settings" if column.origin is None else "of the source"
            yield error(
                where,
                f"it lacks the column {quote_name(column.name)} {origin}",
                f"alter table {existing.name} add column {quote_name(column.name)} {column.type.name};",
            )
        else:
            yield from _check_column(where, existing, column, present[column.name])
            yield from _check_not_null(where, planned, column, existing)
    yield from _check_generated(where, planned, existing)
    names = {column.name for column in planned.plan.columns}
    names |= set() if planned.plan.versions is None else set(planned.plan.versions.names)
    for target in existing.columns:
        if target.name not in names and _must_be_given(target):
            name = quote_name(target.name)
            yield error(
                where,
                f"its column {name} is NOT NULL, has no default and is not in the source",
                f"alter table {existing.name} alter column {name} drop not null; or give it a default.",
            )


def _check_column(where: str, existing: Table, planned: ChainColumn, target: Column) -> Iterator[Finding]:
    change = f"alter table {existing.name} alter column {quote_name(target.name)}"
    name = quote_name(target.name)
    if target.generated:
        yield error(
            where, f"its column {name} is generated, the source's is not", f"{change} drop expression;"
        )
    if target.identity == "a":
        yield error(
            where,
            f"its column {name} is GENERATED ALWAYS AS IDENTITY, which refuses the source's values",
            f"{change} set generated by default;",
        )
    if target.type_name != planned.type.name:
        maker = "source's" if planned.is_as_it_stands else "settings'"
        yield warning(
            where,
            f"its column {name} is {target.type_name}, the {maker} {planned.type.name}: values that do not "
            "fit will fail",
            f"{change} type {planned.type.name};",
        )


def _check_generated(where: str, planned: _Planned, existing: Table) -> Iterator[Finding]:
    """Find columns that only the source generates; PostgreSQL does not send them."""
    written = {column.name for column in planned.plan.columns}
    generated = {column.name for column in planned.table.columns if column.generated} - written
    for column in existing.columns:
        if column.name in generated and not column.generated:
            name = quote_name(column.name)
            yield warning(
                where,
                f"its column {name} is generated on the source: its values are not sent, it has its default",
                f"alter table {existing.name} drop column {name}; then add it as a generated column.",
            )


def _check_not_null(where: str, planned: _Planned, column: ChainColumn, existing: Table) -> Iterator[Finding]:
    name = quote_name(column.name)
    if column.source is None or planned.table.column(column.source).not_null:
        return
    if existing.column(column.name).not_null:
        yield warning(
            where,
            f"its column {name} is NOT NULL, the source's is not",
            f"alter table {existing.name} alter column {name} drop not null;",
        )


def _must_be_given(column: Column) -> bool:
    has_value = column.default_sql is not None or column.identity or column.generated
    return column.not_null and not has_value


def _check_key(task: ReplicationTask, where: str, planned: _Planned, existing: Table) -> Iterator[Finding]:
    if not task.captures_changes:
        return
    key, source = planned.plan.identity, planned.table.name
    if not key:
        if task.cdc.mode is ApplyModeName.UPSERT:
            yield error(
                f"source table {source}",
                "it has no key, which the mode upsert needs",
                f"alter table {source} add primary key (…); or use the mode default.",
            )
        return
    if any(set(index.columns) == set(key) and index.is_immediate for index in existing.keys):
        return
    columns = ", ".join(map(quote_name, key))
    create = f"create unique index on {existing.name} ({columns});"
    yield warning(
        where, f"it has no unique index on ({columns}), by which rows are found: changes will be slow", create
    )


def _check_side_effects(facts: ServerFacts, rights: dict[int, TableRights]) -> Iterator[Finding]:
    acting = any(entry.has_triggers or entry.has_foreign_keys for entry in rights.values())
    if acting and not facts.may_set_replica_role:
        role = quote_name(facts.role)
        yield warning(
            f"target database {facts.database}",
            f"target tables have triggers or foreign keys, and the role {role} may not switch them off for "
            "itself: triggers fire on replicated rows, and rows are applied in order, which is slower",
            f"As a superuser: grant set on parameter session_replication_role to {role};",
        )


def _check_sharing(
    target: Session, task: ReplicationTask, names: Sequence[QualifiedName]
) -> Iterator[Finding]:
    if not has_metadata(target) or not target.fetch_value(static_sql("has_migrations")):
        return
    parameters = {
        "task_name": task.task_name,
        "schemas": [name.schema_name for name in names],
        "tables": [name.table_name for name in names],
    }
    for schema, table_name, other in target.fetch_all(static_sql("other_tasks_of_targets"), parameters):
        yield error(
            f"target table {QualifiedName(schema, table_name)}",
            f"the task {other} writes to it too",
            "Take the table out of one of the two tasks, or tear the other task down.",
        )

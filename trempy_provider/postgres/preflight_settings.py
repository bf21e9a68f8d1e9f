"""Pre-flight checks of filters and transformations: the source is asked whether it can evaluate them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg2 import sql

from trempy_provider.config.chaining import masks_of
from trempy_provider.config.choices import OperationName
from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.expressions import Expression
from trempy_provider.config.operations import Redact
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.catalog import operations_of, selected_columns
from trempy_provider.postgres.expression_sql import bare_column, expression_sql
from trempy_provider.postgres.findings import Finding, error, note, warning
from trempy_provider.postgres.publication import pushed_filters
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.table_plan import TablePlan, plan_table
from trempy_provider.postgres.tables import QualifiedName, Table, quote_name
from trempy_provider.postgres.text_collation import BYTEWISE
from trempy_provider.postgres.toast import read_unsendable_columns
from trempy_provider.postgres.translation import SourceStatementError

_CORRECT = "Correct the settings."


def check_settings(
    source: Session, task: ReplicationTask, tables: Sequence[Table], *, text_collation: str
) -> Iterator[Finding]:
    """Find filters and transformations that the tables do not allow, and rows that they could lose."""
    yield from _check_names(task, tables)
    context = CompileContext(collation=text_collation)
    plans = [(table, plan_table(task, table, context=context)) for table in tables]
    for table, plan in plans:
        yield from _check_problems(plan)
        yield from _check_evaluation(source, task, table, plan)
        yield from _check_identity(task, table, plan)
    yield from _check_push_down(task, tables)
    if task.captures_changes:
        changing = [(table, plan) for table, plan in plans if _may_miss_values(task, table, plan)]
        unsendable = read_unsendable_columns(source, [table for table, _ in changing])
        for table, plan in changing:
            yield from _check_unsent(table, plan, unsendable.get(table.oid, frozenset()))
    if text_collation == BYTEWISE and any(_reads_collation(plan) for _, plan in plans):
        yield warning(
            "source and target",
            "they have no collation of all languages in common, so that only the letters A to Z change their "
            "case and text is ordered by its bytes",
            "Use servers built with ICU on both sides, or UTF-8 databases of PostgreSQL 17 or newer.",
        )


def _check_names(task: ReplicationTask, tables: Sequence[Table]) -> Iterator[Finding]:
    """Find tables that filters and transformations name and that are not there: nothing would be filtered."""
    present = {(table.name.schema_name, table.name.table_name) for table in tables}
    for path, reference in task.parts().references():
        name = (reference.schema_name, reference.table_name)
        if not reference.is_pattern and name not in present:
            yield error(
                "settings",
                f"{path} names {QualifiedName(*name)}, which is none of the task's tables on the source",
                "Correct the name; was the table renamed, name it so.",
            )


def _check_problems(plan: TablePlan) -> Iterator[Finding]:
    for problem in plan.problems:
        yield error("settings", str(problem), _CORRECT)


def _check_evaluation(
    source: Session, task: ReplicationTask, table: Table, plan: TablePlan
) -> Iterator[Finding]:
    """Let the source evaluate every filter and every computed value, once, over a row of nulls."""
    row = _null_row_sql(task, table)
    for path, condition in plan.conditions:
        failure = _failure(source, condition, row)
        if failure is not None:
            filtered = table.column(condition.columns[0])
            yield error(
                f"source table {table.name}",
                f"{path} does not fit its column {quote_name(filtered.name)} of type {filtered.type_name}: "
                f"{failure}",
                _CORRECT,
            )
    for column in plan.columns:
        if not column.is_as_it_stands and (failure := _failure(source, column.value, row)) is not None:
            yield error(
                f"source table {table.name}",
                f"the value of the target's column {quote_name(column.name)} cannot be computed: {failure}",
                _CORRECT,
            )


def _failure(source: Session, expression: Expression, row: sql.Composed) -> str | None:
    query = sql.SQL("select {} from {} s").format(expression_sql(expression, bare_column), row)
    try:
        source.fetch_all(query)
    except SourceStatementError as failure:
        return str(failure)
    return None


def _null_row_sql(task: ReplicationTask, table: Table) -> sql.Composed:
    fields = [
        sql.SQL("null::{} as {}").format(sql.SQL(column.stored_type_name), column.identifier)
        for column in selected_columns(task, table)
    ]
    return sql.SQL("(select {})").format(sql.SQL(", ").join(fields))


def _check_identity(task: ReplicationTask, table: Table, plan: TablePlan) -> Iterator[Finding]:
    masks = masks_of(task, (table.name.schema_name, table.name.table_name), _names(table)).masks
    for name in table.key_columns:
        if any(isinstance(mask, Redact) for mask in masks.get(name, ())):
            yield error(
                f"source table {table.name}",
                f"its key column {quote_name(name)} is masked by redact: all its rows would have one key",
                "Mask it by hash, which keeps different values different.",
            )
    columns = {column.name: column for column in plan.columns}
    for name in plan.identity:
        if name in columns and not columns[name].is_as_it_stands:
            yield warning(
                f"source table {table.name}",
                f"the settings change the value of its key column {quote_name(name)}: where two keys become "
                "equal, one row stands for both on the target",
                "Leave the key's values as they are, or make sure that they stay different.",
            )


def _check_push_down(task: ReplicationTask, tables: Sequence[Table]) -> Iterator[Finding]:
    for table, filters in pushed_filters(task, tables):
        where = f"source table {table.name}"
        if filters.pushed:
            paths = ", ".join(path for path, _ in filters.pushed)
            yield note(where, f"pushed down to the publication: {paths}")
        for kept in filters.kept:
            what = (
                f"{kept.path} is not pushed down to the publication, apply alone filters by it: {kept.reason}"
            )
            yield warning(where, what, kept.remedy)


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _may_miss_values(task: ReplicationTask, table: Table, plan: TablePlan) -> bool:
    is_updated = OperationName.UPDATE in operations_of(task, table)
    return is_updated and bool(plan.conditions or any(not column.is_as_it_stands for column in plan.columns))


def _check_unsent(table: Table, plan: TablePlan, unsendable: frozenset[str]) -> Iterator[Finding]:
    """Find what an UPDATE that leaves a large value alone does not tell."""
    where, full = f"source table {table.name}", f"alter table {table.name} replica identity full;"
    filtered = {column for _, condition in plan.conditions for column in condition.columns}
    if len(filtered) > 1:
        for name in sorted(filtered & unsendable):
            yield error(
                where,
                f"filters read its column {quote_name(name)} beside others, and an UPDATE that leaves it "
                "alone may not send it: then nobody can tell whether a row comes to pass",
                f"{full} or, if its values are short: alter table {table.name} alter column "
                f"{quote_name(name)} set storage plain;",
            )
    elif filtered and unsendable:
        yield warning(
            where,
            f"a row that comes to pass its filters by an UPDATE that leaves {_listed(unsendable)} alone "
            "cannot be inserted, since their values may not be sent; it is recorded as an error",
            full,
        )
    for column in plan.columns:
        missing = [n for n in column.depends_on if n in unsendable and plan.of_source(n) is None]
        if len(column.depends_on) > 1 and missing:
            yield warning(
                where,
                f"the target's column {quote_name(column.name)} is made of {_listed(missing)} and others, "
                "and an UPDATE that leaves them alone may not send them; such a row is recorded as an error",
                full,
            )


def _listed(names: Sequence[str] | frozenset[str]) -> str:
    return ", ".join(map(quote_name, sorted(names)))


def _reads_collation(plan: TablePlan) -> bool:
    """Tell whether letters or the order of text matter to an expression of the plan."""
    expressions = [column.value for column in plan.columns] + [condition for _, condition in plan.conditions]
    collation = CompileContext().collation_name
    return any(collation in expression.parts for expression in expressions)

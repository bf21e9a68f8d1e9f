"""Take the steps by which a target table follows its source, or say which are not taken."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg2 import sql

from trempy_provider.config.choices import ApplyModeName
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, RetryPolicy, SchemaChangeError, TargetError
from trempy_provider.postgres.catalog import read_target_table
from trempy_provider.postgres.evolution_steps import (
    AddColumn,
    AllowNull,
    ChangeType,
    DropColumn,
    RefuseNull,
    Step,
    TargetServer,
    find_steps,
)
from trempy_provider.postgres.known_tables import KnownTable
from trempy_provider.postgres.schema import missing_collations, target_columns
from trempy_provider.postgres.session import PINNED_SETTINGS, Session
from trempy_provider.postgres.table_plan import plan_table
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.tables import Column, QualifiedName, Table, quote_name
from trempy_provider.postgres.translation import TargetStatementError

logger = logging.getLogger(__name__)

_INVALID_TABLE_DEFINITION = "42P16"
_LOCK_TIMEOUT = "5s"  # whoever wants to read the table waits behind our request


def steps_between(
    task: ReplicationTask,
    state: TableState,
    before: KnownTable,
    after: KnownTable,
    *,
    values: Mapping[int, str | None] | None = None,
) -> list[Step]:
    """Return the steps by which the target follows from one shape of its source to another.

    `values` are those of added columns in the rows that are there.
    Versions of rows that have ended keep the columns they had.
    """
    _refuse_unfitting_settings(task, state, after)
    columns = [_target_columns(task, state, known) for known in (before, after)]
    steps = find_steps(*columns, values=values or {}, retyped=_retyped(before, after))
    if task.cdc.mode is not ApplyModeName.SCD2:
        return steps
    return [AllowNull(step.column) if isinstance(step, DropColumn) else step for step in steps]


def take_open_steps(
    session: Session, state: TableState, steps: Sequence[Step], *, former_numbers: Mapping[str, int]
) -> None:
    """Take the steps that nobody has taken yet."""
    if steps:
        take_steps(session, read_target_table(session, state.target), steps, former_numbers=former_numbers)


def take_steps(
    session: Session,
    target: Table,
    steps: Sequence[Step],
    *,
    former_numbers: Mapping[str, int],
    keeps_values: bool = True,
) -> None:
    """Take the steps that are not taken yet, in the open transaction.

    Without `keeps_values` the rows are about to be replaced: a value that has no form in a new type is lost.
    Raise SchemaChangeError naming the column when the target cannot follow.
    """
    server = replace(_server(session, steps), keeps_values=keeps_values)
    session.execute("set constraints all immediate")  # ALTER TABLE refuses to leave checks waiting
    _limit_locking(session, _LOCK_TIMEOUT)
    for step in steps:
        if not step.is_done(target, former_numbers):
            _take(session, target.name, step, server)
        elif keeps_values:
            fill_added(session, target, [step])
    _limit_locking(session, PINNED_SETTINGS["lock_timeout"])
    session.execute("set constraints all deferred")


def refuse_open_steps(
    session: Session,
    target: Table,
    steps: Sequence[Step],
    *,
    source: QualifiedName,
    former_numbers: Mapping[str, int],
) -> None:
    """Raise SchemaChangeError with the statements that are missing, unless a person has taken the steps."""
    wanted = [step for step in steps if not isinstance(step, RefuseNull)]
    missing = [step for step in wanted if not step.is_done(target, former_numbers)]
    if missing:
        columns = ", ".join(dict.fromkeys(quote_name(step.column) for step in missing))
        raise SchemaChangeError(
            f"source table {source} has changed, and target table {target.name} has not: column {columns}",
            hint=f"On the target: {advice(session, target.name, missing)} Then start the task again.",
        )
    fill_added(session, target, wanted)


def advice(session: Session, table: QualifiedName, steps: Sequence[Step]) -> str:
    """Return the statements of steps, for people."""
    server = _server(session, steps)
    statements = [statement for step in steps for statement in step.advice(table.identifier, server)]
    return " ".join(f"{session.text_of(statement)};" for statement in statements)


def fill_added(session: Session, target: Table, steps: Sequence[Step]) -> None:
    """Give the rows the values of columns that a person has added."""
    for step in steps:
        if isinstance(step, AddColumn) and (fill := step.fill_sql(target.name.identifier)):
            session.execute(fill)


def _take(session: Session, table: QualifiedName, step: Step, server: TargetServer) -> None:
    try:
        with session.savepoint("trempy_step"):
            for statement in step.statements(table.identifier, server):
                session.execute(statement)
    except TargetError as error:
        if error.policy is RetryPolicy.BY_ITSELF:
            raise
        if isinstance(step, RefuseNull) or _is_in_primary_key(step, error):
            logger.warning("column %s of %s stays as it is: %s", step.column, table, error)
            return
        raise SchemaChangeError(
            f"target table {table} cannot follow its source: column {quote_name(step.column)}: {error}",
            hint=f"Mend the cause, or do it by hand: {advice(session, table, [step])}",
        ) from error


def _is_in_primary_key(step: Step, error: TargetError) -> bool:
    """Tell whether a column cannot allow NULL, and need not: its source cannot have done so either."""
    is_refused = isinstance(error, TargetStatementError) and error.sqlstate == _INVALID_TABLE_DEFINITION
    return isinstance(step, AllowNull) and is_refused


def _server(session: Session, steps: Sequence[Step]) -> TargetServer:
    definitions = [step.definition for step in steps if isinstance(step, AddColumn | ChangeType)]
    return TargetServer(session.server_version, missing_collations(session, definitions))


def _limit_locking(session: Session, timeout: str) -> None:
    session.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(timeout)))


def _target_columns(task: ReplicationTask, state: TableState, known: KnownTable) -> Sequence[Column]:
    table = known.replicated(state.source_oid, state.source)
    return target_columns(task, table, plan_table(task, table, knows_keys=False))


def _refuse_unfitting_settings(task: ReplicationTask, state: TableState, known: KnownTable) -> None:
    """Raise SchemaChangeError when a filter or a transformation does not fit the new shape."""
    table = known.replicated(state.source_oid, state.source)
    try:
        plan_table(task, table, knows_keys=False).require_complete()
    except ConfigurationError as error:
        raise SchemaChangeError(
            f"source table {state.source} has changed, and the settings do not fit it any more: {error}",
            hint="Change the settings, then start the task again.",
        ) from error


def _retyped(before: KnownTable, after: KnownTable) -> frozenset[int]:
    types = {entry.attnum: (entry.column.type_oid, entry.type_modifier) for entry in before.columns}
    return frozenset(
        entry.attnum
        for entry in after.columns
        if types.get(entry.attnum, ()) not in ((), (entry.column.type_oid, entry.type_modifier))
    )

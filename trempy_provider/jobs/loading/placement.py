"""The last steps of a table's load: what happened meanwhile is replayed, then the rows take their place.

The final transaction holds the lock on the task's checkpoint, so apply stands still: the last changes held
back are replayed, the rows are put in place and the table becomes `ready`, all of it or nothing.
Readers of the target see the old rows before its commit and the new ones after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg2 import sql

from trempy_provider.apply_modes.applier import silence_triggers
from trempy_provider.apply_modes.error_limit import raise_at_error_limit
from trempy_provider.apply_modes.held_shapes import HeldShapes
from trempy_provider.apply_modes.history_load import join_history
from trempy_provider.apply_modes.replay import ReplayedCounts, replay_held_changes
from trempy_provider.apply_modes.versioned_table import versioned_table
from trempy_provider.config.task import ApplyModeName, ReplicationTask
from trempy_provider.errors import JobInProgressError, RetryPolicy, TargetSchemaError
from trempy_provider.jobs.loading.apply_ahead import wait_for_apply
from trempy_provider.jobs.loading.context import LoadContext
from trempy_provider.jobs.progress import Phase
from trempy_provider.postgres.catalog import read_table, read_target_table
from trempy_provider.postgres.checkpoints import lock_checkpoint
from trempy_provider.postgres.known_tables import write_known_table
from trempy_provider.postgres.load_design import LoadDesign
from trempy_provider.postgres.load_tables import (
    drop_table_sql,
    holds_rows,
    move_into_place,
    replace_rows,
)
from trempy_provider.postgres.origins import marked_if_local_only
from trempy_provider.postgres.sequences import SequenceValue, set_sequences
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_states import LoadState, TableState, read_table_states, update_table_state
from trempy_provider.postgres.tables import Table
from trempy_provider.postgres.translation import TargetStatementError

_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)  # between attempts, while readers or writers are in the way
_MOVE_ATTEMPTS = 3  # then the rows are inserted instead: that waits for no reader
_LOCK_TIMEOUT = "3s"  # whoever comes after us waits behind our request
_REPLAY_PASSES = 20
_FEW_CHANGES = 1000
FOREIGN_KEY_VIOLATION = "23503"


@dataclass(frozen=True, slots=True)
class CollectedRows:
    """A load table that holds all rows of the snapshot, with its keys.

    `is_kept_up` tells that apply goes on writing to the target's present rows.
    """

    state: TableState  # with the snapshot's LSN
    design: LoadDesign
    snapshot_at: datetime
    is_kept_up: bool
    rows: int
    bytes: int
    sequence_values: dict[str, SequenceValue]


def place_rows(
    context: LoadContext, collected: CollectedRows, *, target: Session, on_phase: Callable[[Phase], None]
) -> int:
    """Put the collected rows in place of the target's; return how many changes were replayed into them."""
    target.execute(sql.SQL("analyze {}").format(collected.design.load_table.identifier))
    replayed_count = 0
    if context.task.captures_changes:
        on_phase(Phase.REPLAYING)
        if collected.design.keeps_history and collected.is_kept_up:
            assert collected.state.snapshot_lsn is not None
            wait_for_apply(context, until=collected.state.snapshot_lsn, target=target)
        replayed_count = _replay_in_passes(context, collected, target)
    on_phase(Phase.PLACING)
    replayed_count += _place_patiently(context, collected, target)
    if not collected.design.moves:
        target.execute(sql.SQL("analyze {}").format(collected.state.target.identifier))
    return replayed_count


def is_placed(context: LoadContext, source_oid: int, *, target: Session) -> bool:
    """Tell whether this load made the table ready: the answer to a commit whose outcome is not known."""
    state = read_table_states(target, context.task.task_name)[source_oid]
    return state.state is LoadState.READY and state.load_started_at == context.started_at


def replaces_rows(task: ReplicationTask, state: TableState) -> bool:
    """Tell whether rows that are in the target are the task's to replace, or are a history to go on with."""
    options = task.full_load
    is_ours = state.created_by_task or state.load_id > 0 or task.cdc.mode is ApplyModeName.SCD2
    return is_ours or options.truncate_before_insert or options.recreate_table_if_exists


def _place_patiently(context: LoadContext, collected: CollectedRows, target: Session) -> int:
    """Try again while locks are in the way."""
    for attempt, pause_seconds in enumerate((*_PAUSES_SECONDS, None)):
        if attempt >= _MOVE_ATTEMPTS and not collected.design.recreates:
            collected = replace(collected, design=replace(collected.design, moves=False))
        try:
            return _place(context, collected, target)
        except TargetStatementError as error:
            if error.sqlstate == FOREIGN_KEY_VIOLATION:
                error.hint = (
                    "Let the target's role set session_replication_role, or load the tables in order."
                )
            if pause_seconds is None or error.policy is not RetryPolicy.BY_ITSELF:
                raise
        context.stop.wait(pause_seconds)
        context.stop.raise_if_set()
    raise AssertionError("the last attempt returns or raises")


def _place(context: LoadContext, collected: CollectedRows, target: Session) -> int:
    state, task_name = collected.state, context.task.task_name
    replayed_count = 0
    with marked_if_local_only(target, context.task), target.transaction():
        target.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
        if context.task.captures_changes:
            lock_checkpoint(target, task_name)
        claim_table(context, state, target)
        if context.task.captures_changes:
            replayed_count = _replay(context, collected, target).changes
        _exchange(context, collected, target)
        _set_sequences(collected, target)
        target.execute(
            static_sql("delete_held_changes"), {"task_name": task_name, "source_oid": state.source_oid}
        )
        _make_ready(context, collected, target)
    return replayed_count


def claim_table(context: LoadContext, state: TableState, target: Session) -> None:
    """Make sure, until the transaction ends, that the table's load is still ours."""
    parameters = {
        "task_name": context.task.task_name,
        "source_oid": state.source_oid,
        "started_at": context.started_at,
    }
    if not target.fetch_value(static_sql("claim_load"), parameters):
        raise JobInProgressError(f"table {state.source}: another full load has begun in the meantime")


def _exchange(context: LoadContext, collected: CollectedRows, target: Session) -> None:
    design, state = collected.design, collected.state
    if design.keeps_history:
        present = read_target_table(target, state.target)
        if holds_rows(target, present):
            _join_history(collected, present, target)
            return
    if design.moves:
        move_into_place(target, load_table=design.load_table, target=state.target, indexes=design.indexes)
        return
    silence_triggers(target)
    target.execute("set constraints all deferred")
    replaces = replaces_rows(context.task, state)
    present = read_target_table(target, state.target)
    if not replaces and holds_rows(target, present):
        raise TargetSchemaError(f"table {state.target} has got rows of somebody else during the load")
    replace_rows(
        target,
        load_table=design.load_table,
        target=present,
        columns=design.all_column_names,
        delete=replaces,
    )
    design.shape.finish(target, state.target)


def _join_history(collected: CollectedRows, present: Table, target: Session) -> None:
    """Add the load's versions to the target's, instead of putting rows in place of others."""
    design = collected.design
    silence_triggers(target)
    join_history(
        target,
        versioned_table(design.plan, present),
        load_table=design.load_table.identifier,
        loaded_at=collected.snapshot_at,
        is_kept_up=collected.is_kept_up,
    )
    target.execute(drop_table_sql(design.load_table))


def _set_sequences(collected: CollectedRows, target: Session) -> None:
    placed = read_table(target, collected.state.target)
    assert placed is not None
    set_sequences(target, placed, collected.sequence_values)


def _make_ready(context: LoadContext, collected: CollectedRows, target: Session) -> None:
    state = collected.state
    placed = read_target_table(target, state.target)
    known = collected.design.shape.known.on_target(placed)
    write_known_table(target, context.task.task_name, state.source_oid, known)
    update_table_state(
        target,
        context.task.task_name,
        state.source_oid,
        state=LoadState.READY,
        created_by_task=state.created_by_task or collected.design.recreates,
        load_id=state.load_id + 1,
        load_table=None,
        snapshot_lsn=state.snapshot_lsn,
        key_columns=state.key_columns,
        loaded_rows=collected.rows,
        loaded_bytes=collected.bytes,
        estimated_rows=collected.rows,
        load_finished_at=target.fetch_value("select clock_timestamp()"),
        partition_oids=tuple(sorted(known.storage.keys() - {state.source_oid})),
        error=None,
    )


def _replay_in_passes(context: LoadContext, collected: CollectedRows, target: Session) -> int:
    """Replay while apply goes on and holds more, so that little is left for the final transaction."""
    replayed_count = 0
    for _ in range(_REPLAY_PASSES):
        context.stop.raise_if_set()
        with target.transaction():
            counts = _replay(context, collected, target)
        if counts.errors:
            raise_at_error_limit(target, context.task)
        replayed_count += counts.changes
        if counts.changes < _FEW_CHANGES:
            break
    return replayed_count


def _replay(context: LoadContext, collected: CollectedRows, target: Session) -> ReplayedCounts:
    design = collected.design
    return replay_held_changes(
        target,
        context.task,
        state=collected.state,
        into=design.load_table,
        shapes=HeldShapes(target, context.task, design.shape.known),
    )

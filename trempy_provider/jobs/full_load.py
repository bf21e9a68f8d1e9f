"""Full load: copy the tables' rows as one snapshot of the source shows them.

The order of things, table by table, is what makes load and CDC meet without gap or duplicate:

1. The table is marked `loading`; from then on apply holds its changes back.
2. The snapshot is taken; its LSN divides changes into those the rows contain and those to be replayed.
3. Concurrent streams copy the rows into load tables; keys and indexes are made after them.
4. Changes held back are replayed, and one transaction puts the rows in place and makes the table `ready`.

A table that fails leaves the others alone.
A load that was stopped or killed is started again: tables that are `ready` are not touched.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import (
    ConfigurationError,
    FullLoadError,
    MetadataError,
    RetryPolicy,
    SourceError,
    TargetSchemaError,
)
from trempy_provider.jobs.cancelling import stoppable
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.loading.context import LoadContext
from trempy_provider.jobs.loading.kept import keep_equal_tables
from trempy_provider.jobs.loading.placement import replaces_rows
from trempy_provider.jobs.loading.records import begin_loads, lock_tables
from trempy_provider.jobs.loading.rounds import load_tables
from trempy_provider.jobs.loading.table_load import TableLoad
from trempy_provider.jobs.progress import Phase, ProgressListener, SilentProgress
from trempy_provider.postgres.catalog import read_tables, selection_of
from trempy_provider.postgres.load_tables import holds_rows
from trempy_provider.postgres.metadata import read_text_collation
from trempy_provider.postgres.metadata_places import read_place
from trempy_provider.postgres.publication import publish_whole
from trempy_provider.postgres.salts import read_salts
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.table_states import LoadState, TableState, read_table_states
from trempy_provider.postgres.tables import QualifiedName, Table
from trempy_provider.replication.lsn import Lsn


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """What was loaded of one table."""

    source: QualifiedName
    target: QualifiedName
    rows: int
    failed_rows: int
    bytes: int
    seconds: float
    format: str  # COPY's: binary or text
    replayed_changes: int
    snapshot_lsn: Lsn

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "source": str(self.source),
            "target": str(self.target),
            "rows": self.rows,
            "failed_rows": self.failed_rows,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "format": self.format,
            "replayed_changes": self.replayed_changes,
            "snapshot_lsn": str(self.snapshot_lsn),
        }


@dataclass(frozen=True, slots=True)
class FullLoadReport:
    """What a full load did."""

    task_name: str
    tables: tuple[LoadedTable, ...]
    ready_count: int  # tables that were ready before and were left alone
    kept_count: int  # tables that were found equal on both sides
    seconds: float

    @property
    def rows(self) -> int:
        """Return the number of rows loaded."""
        return sum(table.rows for table in self.tables)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "task_name": self.task_name,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "ready_count": self.ready_count,
            "kept_count": self.kept_count,
            "tables": [table.as_dict() for table in self.tables],
        }


def full_load(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    tables: Sequence[str] | None = None,
    reload: bool = False,
    keep_equal: bool = False,
    stop: StopSignal | None = None,
    progress: ProgressListener | None = None,
) -> FullLoadReport:
    """Load the tables that are not ready; with `reload` the ready ones too.

    With `keep_equal`, tables that were loaded before and are equal on both sides become ready as they are.

    `tables` names some of the task's tables as `schema.table`; None means all.
    Different tables may be loaded by several processes at once.
    Raise FullLoadError when tables failed, after all others are loaded; JobInProgressError when another
    process is loading one of them; TargetSchemaError when a target table holds rows that are not the task's
    to replace; StoppedError when stopped.
    """
    started = time.monotonic()
    stop = stop or StopSignal()
    read_salts(task, source)  # sooner than in the middle of the load
    with target.connect("full_load") as control:
        with stoppable(control, stop):
            states, ready_count = _claim_tables(control, task, tables, reload=reload)
            _refuse_foreign_rows(control, task, states)
        described = _describe(source, task, states, stop)
        stop.raise_if_set()
        context = LoadContext(
            task,
            source,
            target,
            stop,
            started_at=begin_loads(control, task.task_name, states),
            text_collation=read_text_collation(control, task.task_name),
        )
        waiting = keep_equal_tables(context, states, described) if keep_equal else states
        loads = _plan_order(context, waiting, described)
        load_tables(context, loads, progress or SilentProgress())
    _raise_failures(loads)
    loaded = tuple(_loaded(load) for load in loads)
    kept_count = len(states) - len(waiting)
    return FullLoadReport(task.task_name, loaded, ready_count, kept_count, time.monotonic() - started)


def _claim_tables(
    control: Session, task: ReplicationTask, names: Sequence[str] | None, *, reload: bool
) -> tuple[list[TableState], int]:
    """Return the states of the tables to load, locked against other loads, and how many are left alone."""
    if not task.loads_fully:
        raise ConfigurationError(
            f"task {task.task_name} loads no rows: its replication_type is {task.replication_type}"
        )
    if not read_place(control, task.task_name).has_task:
        raise MetadataError(f"task {task.task_name} has not been set up in this target")
    chosen = _choose(task, read_table_states(control, task.task_name), names)
    wanted = [state for state in chosen if reload or state.state is not LoadState.READY]
    lock_tables(control, task.task_name, wanted)
    present = read_table_states(control, task.task_name)  # another load may have ended just before the lock
    wanted = [present[state.source_oid] for state in wanted if state.source_oid in present]
    wanted = [state for state in wanted if reload or state.state is not LoadState.READY]
    return wanted, len(chosen) - len(wanted)


def _choose(
    task: ReplicationTask, states: dict[int, TableState], names: Sequence[str] | None
) -> list[TableState]:
    if names is None:
        return list(states.values())
    by_name = {state.source: state for state in states.values()}
    wanted = list(dict.fromkeys(QualifiedName.parse(name) for name in names))
    unknown = [name for name in wanted if name not in by_name]
    awaited = [str(name) for name in unknown if selection_of(task, name) is not None]
    if awaited:
        raise MetadataError(
            f"task {task.task_name} has not been set up for {', '.join(awaited)}",
            hint="Run `trempy refresh`, which takes up tables that the settings name.",
        )
    if unknown:
        raise ConfigurationError(
            f"not among the task's tables: {', '.join(map(str, unknown))}; "
            f"its tables are: {', '.join(sorted(map(str, by_name)))}"
        )
    return [by_name[name] for name in wanted]


def _refuse_foreign_rows(control: Session, task: ReplicationTask, states: Sequence[TableState]) -> None:
    names = [state.target for state in states if not replaces_rows(task, state)]
    filled = [str(table.name) for table in read_tables(control, names) if holds_rows(control, table)]
    if filled:
        raise TargetSchemaError(
            f"target tables hold rows that this task has not loaded: {', '.join(filled)}",
            hint="Empty them, or set truncate_before_insert or recreate_table_if_exists.",
        )


def _describe(
    source: Endpoint, task: ReplicationTask, states: Sequence[TableState], stop: StopSignal
) -> dict[int, Table]:
    """Describe the tables, and let the publication have them whole before the snapshot is taken."""
    oids = {state.source_oid for state in states}
    with source.connect("full_load") as session, stoppable(session, stop):
        tables = read_tables(session, [state.source for state in states])
        if task.captures_changes:
            publish_whole(session, task, [table for table in tables if table.oid in oids])
    return {table.oid: table for table in tables}


def _plan_order(
    context: LoadContext, states: Sequence[TableState], described: dict[int, Table]
) -> list[TableLoad]:
    """Order the tables by priority, the large ones of a priority first."""
    loads = []
    for state in states:
        selection = context.task.selection_of(state.source.schema_name, state.source.table_name)
        table = described.get(state.source_oid)
        load = TableLoad(
            context,
            table=table or Table(oid=state.source_oid, name=state.source, kind="r"),
            state=state,
            priority=selection.priority if selection else 0,
        )
        if table is None:
            load.fail(
                SourceError(
                    f"table {state.source} was dropped or created again since the task was set up",
                    hint="Run `trempy refresh`.",
                )
            )
        loads.append(load)
    return sorted(loads, key=lambda load: (load.priority, -load.table.size_bytes, load.table.name))


def _raise_failures(loads: Sequence[TableLoad]) -> None:
    failed = [load for load in loads if load.phase is Phase.ERROR]
    if not failed:
        return
    causes = "; ".join(f"{load.table.name}: {load.error}" for load in failed)
    error = FullLoadError(f"{len(failed)} of {len(loads)} tables could not be loaded: {causes}")
    if len(failed) == 1 and failed[0].error is not None:
        error.hint = failed[0].error.hint
    if all(load.error and load.error.policy is RetryPolicy.BY_ITSELF for load in failed):
        error.policy = RetryPolicy.BY_ITSELF
    raise error


def _loaded(load: TableLoad) -> LoadedTable:
    assert load.snapshot_lsn is not None
    return LoadedTable(
        source=load.table.name,
        target=load.state.target,
        rows=load.rows,
        failed_rows=load.failed_rows,
        bytes=load.bytes,
        seconds=load.seconds,
        format="binary" if load.design is None or load.design.binary else "text",
        replayed_changes=load.replayed_changes,
        snapshot_lsn=load.snapshot_lsn,
    )

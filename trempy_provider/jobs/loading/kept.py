"""Keep tables whose rows are equal on both sides, instead of loading them again.

After a lost slot nobody knows which tables have changed unseen; comparing rows tells.
It is done like a load, with its guarantees: the table is marked `loading`, so that apply holds its changes
back; the source's rows are read from a snapshot; and if the target has the very same rows, what was committed
since is replayed and the table is `ready`, all of it in one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

from trempy_provider.apply_modes.held_shapes import HeldShapes
from trempy_provider.apply_modes.replay import replay_held_changes
from trempy_provider.config.choices import ApplyModeName
from trempy_provider.errors import SourceError, TargetError
from trempy_provider.jobs.cancelling import cancelling
from trempy_provider.jobs.loading.context import LoadContext
from trempy_provider.jobs.loading.placement import claim_table
from trempy_provider.jobs.loading.rounds import open_load_snapshot
from trempy_provider.postgres.catalog import read_table, read_target_table
from trempy_provider.postgres.checkpoints import lock_checkpoint
from trempy_provider.postgres.digests import Digest, digest_rows, target_rows_sql
from trempy_provider.postgres.known_tables import write_known_table
from trempy_provider.postgres.load_plan import part_rows_sql, plan_parts, read_leaves
from trempy_provider.postgres.load_shape import LoadShape, shape_to_load
from trempy_provider.postgres.load_snapshot import LoadSnapshot, lock_leaf
from trempy_provider.postgres.origins import marked_if_local_only
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.source_catalog import read_source_facts
from trempy_provider.postgres.table_plan import plan_table
from trempy_provider.postgres.table_states import LoadState, TableState, update_table_state
from trempy_provider.postgres.tables import Table

logger = logging.getLogger(__name__)


def keep_equal_tables(
    context: LoadContext, states: Sequence[TableState], described: Mapping[int, Table]
) -> list[TableState]:
    """Make those of the tables ready that are equal on both sides, and return the others."""
    comparable = context.task.cdc.mode is not ApplyModeName.SCD2  # there, old rows stand beside the present
    loaded_once = [state for state in states if comparable and state.load_finished_at is not None]
    kept: set[int] = set()
    if loaded_once:
        with (
            closing(open_load_snapshot(context)) as snapshot,
            context.source.connect("compare") as source,
            context.target.connect("compare") as target,
            cancelling(source, context.stop),
            cancelling(target, context.stop),
        ):
            comparison = _Comparison(context, snapshot, source, target)
            for state in loaded_once:
                context.stop.raise_if_set()
                table = described.get(state.source_oid)
                if table is not None and comparison.keep_if_equal(state, table):
                    kept.add(state.source_oid)
    return [state for state in states if state.source_oid not in kept]


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A snapshot of the source, and a session with either side."""

    context: LoadContext
    snapshot: LoadSnapshot
    source: Session
    target: Session

    def keep_if_equal(self, state: TableState, table: Table) -> bool:
        """Make the table ready if both sides hold the same rows; return whether they do."""
        try:
            row_count = self._keep_if_equal(state, table)
        except (SourceError, TargetError) as error:
            self.context.stop.raise_if_set()
            if self.source.closed or self.target.closed:
                raise
            logger.info("table %s cannot be compared and is loaded: %s", state.source, error)
            return False
        if row_count is None:
            logger.info("table %s differs and is loaded", state.source)
            return False
        logger.info("table %s is equal on both sides: %s rows are kept", state.source, row_count)
        return True

    def _keep_if_equal(self, state: TableState, table: Table) -> int | None:
        shape, on_source, on_target = self._compare(state, table)
        if on_source != on_target or shape.last_steps:
            return None
        self._keep(replace(state, snapshot_lsn=self.snapshot.lsn), shape, row_count=on_source.row_count)
        return on_source.row_count

    def _compare(self, state: TableState, table: Table) -> tuple[LoadShape, Digest, Digest]:
        """Return the shape in the snapshot and the digests of both sides, computed at the same time."""
        context, task = self.context, self.context.task
        parts = plan_parts(
            read_leaves(self.snapshot.keeper, table.oid), split_bytes=task.full_load.split_bytes
        )
        with self.snapshot.reading(self.source), ThreadPoolExecutor(max_workers=1) as other_side:
            for part in parts:
                lock_leaf(self.source, part.leaf)
            seen = read_table(self.source, table.name)
            if seen is None or seen.oid != table.oid:
                raise SourceError(f"table {table.name} was renamed or dropped meanwhile")
            facts = read_source_facts(self.source, task, table.oid)
            shape = shape_to_load(task, self.target, table=seen, facts=facts, state=state)
            plan = plan_table(task, shape.table, context=context.compile_context).require_complete()
            on_target = other_side.submit(digest_rows, self.target, [target_rows_sql(plan)])
            on_source = digest_rows(self.source, (part_rows_sql(part, plan) for part in parts))
            return shape, on_source, on_target.result()

    def _keep(self, state: TableState, shape: LoadShape, *, row_count: int) -> None:
        """Replay what was committed since the snapshot, and make the table ready."""
        target, task = self.target, self.context.task
        with marked_if_local_only(target, task), target.transaction():
            lock_checkpoint(target, task.task_name)
            claim_table(self.context, state, target)
            known = shape.known.on_target(read_target_table(target, state.target))
            write_known_table(target, task.task_name, state.source_oid, known)
            shapes = HeldShapes(target, task, known)
            replay_held_changes(target, task, state=state, into=state.target, shapes=shapes)
            update_table_state(
                target,
                task.task_name,
                state.source_oid,
                state=LoadState.READY,
                load_table=None,
                snapshot_lsn=state.snapshot_lsn,
                loaded_rows=row_count,
                estimated_rows=row_count,
                load_finished_at=target.fetch_value("select clock_timestamp()"),
                error=None,
            )

"""The load of one table: copied in parts by several streams, finished by the one that copies the last part.

Its methods are called from the threads of the streams, `progress` from the job's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from trempy_provider.apply_modes.error_limit import raise_at_error_limit
from trempy_provider.apply_modes.router import was_loaded_before
from trempy_provider.errors import SourceError, TrempyError
from trempy_provider.jobs.loading.context import LoadContext
from trempy_provider.jobs.loading.failed_rows import FailedRows, leaves_out_rows
from trempy_provider.jobs.loading.guarded_copy import GuardedCopy, can_be_guarded, is_failing_row
from trempy_provider.jobs.loading.placement import CollectedRows, place_rows
from trempy_provider.jobs.loading.unique_rows import make_index
from trempy_provider.jobs.progress import Phase, TableProgress
from trempy_provider.postgres.catalog import read_table
from trempy_provider.postgres.copy import CopyCounts, copy_out_sql, copy_rows
from trempy_provider.postgres.load_design import LoadDesign, design_load
from trempy_provider.postgres.load_plan import Part, part_rows_sql
from trempy_provider.postgres.load_snapshot import LoadSnapshot, lock_leaf
from trempy_provider.postgres.sequences import read_sequence_values
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.source_catalog import read_source_facts
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.tables import Table
from trempy_provider.postgres.version_columns import no_defaults_sql
from trempy_provider.replication.lsn import Lsn


@dataclass(slots=True)
class _RunningPart:
    """A part being copied: what has come through the pipe, and which session of the target writes it."""

    target_pid: int
    bytes: int = 0
    rows: int = 0

    def count(self, size: int) -> None:
        self.bytes += size


class TableLoad:
    """One table's way from the snapshot to its place on the target."""

    def __init__(self, context: LoadContext, *, table: Table, state: TableState, priority: int) -> None:
        self.context = context
        self.table = table
        self.state = state
        self.priority = priority
        self.phase = Phase.WAITING
        self.error: TrempyError | None = None
        self.snapshot_lsn: Lsn | None = None
        self.snapshot_at: datetime | None = None
        self.lost_by: TrempyError | None = None  # why another snapshot is needed
        self.rows = 0
        self.bytes = 0
        self.failed_rows = 0
        self.replayed_changes = 0
        self._guarded: set[Part] = set()
        self.estimated_rows = table.estimated_rows
        self.estimated_bytes = table.size_bytes
        self.design: LoadDesign | None = None
        self._lock = threading.Lock()
        self._is_indexed = False
        self._waiting_parts = 0
        self._running: dict[int, _RunningPart] = {}
        self._started = self._ended = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more is to be done, well or badly."""
        return self.phase in (Phase.READY, Phase.ERROR)

    @property
    def is_given_up(self) -> bool:
        """Tell whether no more of this round's parts are to be copied."""
        return self.is_over or self.lost_by is not None

    @property
    def seconds(self) -> float:
        """Return the seconds from the first part's start to the table's end."""
        return self._ended - self._started

    def start_anew(self, snapshot: LoadSnapshot, *, part_count: int) -> None:
        """Forget what was copied: the table is loaded from a new snapshot, in `part_count` parts."""
        with self._lock:
            self.snapshot_lsn, self.snapshot_at = snapshot.lsn, snapshot.taken_at
            self.phase = Phase.WAITING
            self.design = None
            self.lost_by = None
            self._is_indexed = False
            self.rows = self.bytes = self.failed_rows = self.replayed_changes = 0
            self._guarded.clear()
            self._waiting_parts = part_count
            self._running.clear()

    def copy_part(self, part: Part, *, snapshot: LoadSnapshot, source: Session, target: Session) -> bool:
        """Copy one part; return whether it was the last.

        After an error nothing of the part is on the target, unless it is a CopyCommitError.
        """
        with snapshot.reading(source):
            lock_leaf(source, part.leaf)
            design = self._design(source, target)
            running = self._running[id(part)] = _RunningPart(target.backend_pid)
            try:
                counts = self._copy(part, design, running, source=source, target=target)
            finally:
                self._running.pop(id(part), None)
        with self._lock:
            self.rows += counts.rows
            self.bytes += counts.bytes
            self.failed_rows += counts.failed_rows
            self._waiting_parts -= 1
            return self._waiting_parts == 0

    def guard(self, part: Part, error: TrempyError) -> bool:
        """Have a part copied again without the rows that fail, if one did and the policy says go on."""
        if part in self._guarded or not (is_failing_row(error) and can_be_guarded(part)):
            return False
        if not leaves_out_rows(self.context.task):
            return False
        with self._lock:
            self._guarded.add(part)
        return True

    def finish(self, *, source: Session, target: Session) -> None:
        """Make keys and indexes, replay the changes held back meanwhile, and put the rows in place.

        May be called again after an error that left the load table as it is.
        """
        design = self._design(source, target)  # made by the first part, if there was one
        if not self._is_indexed:
            self.phase = Phase.INDEXING
            self._make_indexes(design, target)
        assert self.snapshot_at is not None
        collected = CollectedRows(
            state=replace(
                self.state, snapshot_lsn=self.snapshot_lsn, key_columns=design.shape.table.key_columns
            ),
            design=design,
            snapshot_at=self.snapshot_at,
            is_kept_up=was_loaded_before(self.state) and design.shape.keeps_up,
            rows=self.rows,
            bytes=self.bytes,
            sequence_values=read_sequence_values(source, design.sequences),
        )
        self.replayed_changes = place_rows(self.context, collected, target=target, on_phase=self._enter)
        self.be_ready()

    def be_ready(self) -> None:
        """Take note that the rows are in place."""
        self._ended = time.monotonic()
        self.phase = Phase.READY

    def give_up_snapshot(self, error: TrempyError) -> None:
        """Take note that the table needs another snapshot."""
        self.lost_by = error

    def fail(self, error: TrempyError) -> None:
        """Give the table up."""
        with self._lock:
            self.error = error
            self._ended = time.monotonic()
            self.phase = Phase.ERROR

    def running_pids(self) -> list[int]:
        """Return the target's sessions that copy parts of the table now."""
        return [running.target_pid for running in list(self._running.values())]

    def note_rows(self, rows_by_pid: Mapping[int, int]) -> None:
        """Take how many rows each session of the target has written in its present COPY."""
        for running in list(self._running.values()):
            running.rows = rows_by_pid.get(running.target_pid, running.rows)

    def progress(self) -> TableProgress:
        """Return how far the table is."""
        running = list(self._running.values())
        ended = self._ended if self.is_over else time.monotonic()
        return TableProgress(
            table=self.table.name,
            phase=self.phase,
            rows=self.rows + sum(part.rows for part in running),
            bytes=self.bytes + sum(part.bytes for part in running),
            estimated_rows=self.estimated_rows,
            estimated_bytes=self.estimated_bytes,
            elapsed_seconds=0.0 if self.phase is Phase.WAITING else ended - self._started,
            error=None if self.error is None else str(self.error),
        )

    def _copy(
        self, part: Part, design: LoadDesign, running: _RunningPart, *, source: Session, target: Session
    ) -> CopyCounts:
        if part not in self._guarded:
            return copy_rows(
                source,
                target,
                out_query=copy_out_sql(part_rows_sql(part, design.plan), binary=design.binary),
                in_query=design.copy_in_sql(),
                on_bytes=running.count,
            )
        assert self.snapshot_lsn is not None
        guarded = GuardedCopy(
            self.context, self.state, design, snapshot_lsn=self.snapshot_lsn, source=source, target=target
        )
        return guarded.copy(part)

    def _make_indexes(self, design: LoadDesign, target: Session) -> None:
        task, lsn = self.context.task, self.snapshot_lsn
        assert lsn is not None
        failed = FailedRows(task, self.state, snapshot_lsn=lsn, target=target)
        with target.transaction():
            if design.plan.versions is not None:
                target.execute(no_defaults_sql(design.load_table, design.plan.versions))
            for index in design.indexes:
                self.context.stop.raise_if_set()
                make_index(design, index, target=target, failed=failed if leaves_out_rows(task) else None)
            failed.settle()
        self._is_indexed = True
        self.rows -= failed.count
        self.failed_rows += failed.count
        if failed.count:
            raise_at_error_limit(target, task)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase

    def _design(self, source: Session, target: Session) -> LoadDesign:
        """Prepare the load table once, whichever stream comes first.

        The table is described anew, as the snapshot has it: COPY BINARY does not notice another type.
        """
        with self._lock:
            if self.design is None:
                self._started = time.monotonic()
                self.phase = Phase.COPYING
                table = read_table(source, self.table.name)
                if table is None or table.oid != self.table.oid:
                    raise SourceError(f"table {self.table.name} was renamed or dropped during the load")
                assert self.snapshot_at is not None
                facts = read_source_facts(source, self.context.task, table.oid)
                self.design = design_load(
                    self.context.task,
                    source,
                    target,
                    table=table,
                    facts=facts,
                    state=self.state,
                    snapshot_at=self.snapshot_at,
                    context=self.context.compile_context,
                )
            return self.design

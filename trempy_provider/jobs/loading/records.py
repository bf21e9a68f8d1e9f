"""What a full load writes into the task's table states, and the locks that keep other loads away.

The locks are the session's: they end with the process, however it ends.
They can be lost with the connection too; then `load_started_at`, checked in the final transaction, tells two
loads apart.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime

from trempy_provider.errors import JobInProgressError
from trempy_provider.jobs.loading.context import LoadContext
from trempy_provider.jobs.loading.table_load import TableLoad
from trempy_provider.jobs.progress import Phase
from trempy_provider.postgres.checkpoints import raise_states_version
from trempy_provider.postgres.load_tables import drop_table_sql, load_table_name
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_states import LoadState, TableState, read_table_states, update_table_state
from trempy_provider.replication.lsn import Lsn

_PATIENCE_SECONDS, _POLL_SECONDS = 1.0, 0.05
_SHORT_LOCK_TIMEOUT = "500ms"  # progress is worth no longer wait


def lock_tables(target: Session, task_name: str, states: Iterable[TableState]) -> None:
    """Keep other full loads away from the tables until the session ends.

    A session that has just been closed has its locks for a moment more.
    Raise JobInProgressError naming the session that loads one of them.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for state in states:
        parameters = {"task_name": task_name, "source_oid": state.source_oid}
        while not target.fetch_value(static_sql("try_load_lock"), parameters):
            if time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                continue
            pid = target.fetch_value(static_sql("read_load_lock_pid"), parameters)
            raise JobInProgressError(
                f"table {state.source} is being loaded by another process (pid {pid} on the target)"
            )


def begin_loads(target: Session, task_name: str, states: Sequence[TableState]) -> datetime:
    """Mark the tables as loading before the snapshot is taken, and return when that was.

    From the commit on, apply holds their changes back; those held for an earlier load are forgotten.
    The LSN of a table that has rows stays until new ones are in place: it belongs to the present ones.
    """
    with target.transaction():
        started_at: datetime = target.fetch_value("select clock_timestamp()")
        for state in states:
            update_table_state(
                target,
                task_name,
                state.source_oid,
                state=LoadState.LOADING,
                load_table=load_table_name(task_name, state.source_oid).table_name,
                load_started_at=started_at,
                loaded_rows=0,
                loaded_bytes=0,
                error=None,
            )
            _forget_held_changes(target, task_name, state.source_oid)
    return started_at


def has_present_rows(state: TableState) -> bool:
    """Tell whether the target has rows of an earlier load that apply keeps up to date.

    After a start from zero it has rows too, but changes are missing from them.
    """
    return state.load_finished_at is not None and state.snapshot_lsn is not None


class LoadRecords:
    """The running record of a full load, kept through a session of its own."""

    def __init__(self, context: LoadContext) -> None:
        self._context = context
        self._task_name = context.task.task_name
        self._session: Session | None = None
        self._failed: set[int] = set()

    def record_snapshot(self, loads: Iterable[TableLoad], lsn: Lsn) -> None:
        """Record from which LSN on the changes of tables loaded for the first time count."""
        session = self._open()
        for load in loads:
            if not has_present_rows(load.state):
                update_table_state(session, self._task_name, load.table.oid, snapshot_lsn=lsn)

    def read_copy_progress(self, loads: Iterable[TableLoad]) -> None:
        """Ask the target how many rows the running COPYs have written."""
        running = [load for load in loads if load.phase is Phase.COPYING]
        pids = [pid for load in running for pid in load.running_pids()]
        if pids:
            rows_by_pid = dict(self._open().fetch_all(static_sql("copy_progress"), {"pids": pids}))
            for load in running:
                load.note_rows(rows_by_pid)

    def record_progress(self, loads: Iterable[TableLoad]) -> None:
        """Record how far the tables are; raise TargetError when somebody keeps their rows locked."""
        copying = [load for load in loads if load.phase is Phase.COPYING]
        session = self._open()
        with session.transaction():
            session.execute(f"set local lock_timeout = '{_SHORT_LOCK_TIMEOUT}'")
            for load in copying:
                progress = load.progress()
                update_table_state(
                    session,
                    self._task_name,
                    load.table.oid,
                    loaded_rows=progress.rows,
                    loaded_bytes=progress.bytes,
                    estimated_rows=progress.estimated_rows,
                )

    def record_failures(self, loads: Iterable[TableLoad]) -> None:
        """Record the tables that failed since the last call, and drop their load tables."""
        for load in loads:
            if load.error is not None and load.table.oid not in self._failed:
                self._give_back(load, error=str(load.error), otherwise=LoadState.ERROR)
                self._failed.add(load.table.oid)

    def give_back(self, loads: Iterable[TableLoad]) -> None:
        """Leave tables that are not finished as they were before the load."""
        for load in loads:
            if not load.is_over:
                self._give_back(load, error=None, otherwise=LoadState.PENDING)

    def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            self._session.close()

    def _give_back(self, load: TableLoad, *, error: str | None, otherwise: LoadState) -> None:
        """Return a table to its former rows, which apply has kept up to date, or to `otherwise`."""
        session, oid = self._open(), load.table.oid
        with session.transaction():
            parameters = {
                "task_name": self._task_name,
                "source_oid": oid,
                "started_at": self._context.started_at,
            }
            raise_states_version(session, self._task_name)  # the lock apply takes first
            if not session.fetch_value(static_sql("claim_load"), parameters):
                return
            present = read_table_states(session, self._task_name)[oid]  # it may have stopped following
            waited = load.state.state is LoadState.PENDING
            followed = LoadState.PENDING if waited else LoadState.READY
            former = followed if has_present_rows(present) else otherwise
            _forget_held_changes(session, self._task_name, oid)
            error = load.state.error if error is None else error
            update_table_state(session, self._task_name, oid, state=former, load_table=None, error=error)
        session.execute(drop_table_sql(load_table_name(self._task_name, oid)))

    def _open(self) -> Session:
        if self._session is None or self._session.closed:
            self._session = self._context.target.connect("full_load_record")
        return self._session


def _forget_held_changes(session: Session, task_name: str, source_oid: int) -> None:
    session.execute(static_sql("delete_held_changes"), {"task_name": task_name, "source_oid": source_oid})

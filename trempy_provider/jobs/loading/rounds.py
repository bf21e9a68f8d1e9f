"""The rounds of a full load: each copies, from one snapshot, the tables that are not finished yet.

One round is the rule.
Another follows when a snapshot was lost before all tables were copied, with the tables that are left.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from trempy_provider.errors import SourceUnavailableError, TargetError, TrempyError
from trempy_provider.jobs.cancelling import stoppable
from trempy_provider.jobs.loading.context import LoadContext
from trempy_provider.jobs.loading.queue import Work
from trempy_provider.jobs.loading.records import LoadRecords
from trempy_provider.jobs.loading.streams import PAUSES_SECONDS, LoadStreams
from trempy_provider.jobs.loading.table_load import TableLoad
from trempy_provider.jobs.progress import ProgressListener
from trempy_provider.postgres.load_plan import plan_parts, read_leaves
from trempy_provider.postgres.load_snapshot import LoadSnapshot

_RECORD_SECONDS = 3.0
_STOP_CHECK_SECONDS = 0.1


def load_tables(context: LoadContext, loads: Sequence[TableLoad], listener: ProgressListener) -> None:
    """Run rounds, each with a snapshot of its own, until every table is ready or has failed."""
    with closing(LoadRecords(context)) as records:
        tick = _ticker(records, loads, listener)
        try:
            _run_rounds(context, loads, records, tick)
            records.record_failures(loads)
        except BaseException:
            with suppress(TargetError):
                records.record_failures(loads)
                records.give_back(loads)
            raise
        finally:
            listener.update([load.progress() for load in loads])


def _run_rounds(
    context: LoadContext, loads: Sequence[TableLoad], records: LoadRecords, tick: Callable[[], None]
) -> None:
    vain_count = 0
    while waiting := [load for load in loads if not load.is_over]:
        error: Exception | None = None
        try:
            _run_round(context, waiting, records, tick)
        except SourceUnavailableError as caught:
            error = caught
        if any(load.is_over for load in waiting):
            vain_count = 0
        elif vain_count < len(PAUSES_SECONDS):
            context.stop.wait(PAUSES_SECONDS[vain_count])
            vain_count += 1
        elif error is not None:
            raise error
        else:
            _fail(waiting)
        context.stop.raise_if_set()


def _run_round(
    context: LoadContext, loads: Sequence[TableLoad], records: LoadRecords, tick: Callable[[], None]
) -> None:
    """Load tables from one snapshot, as far as it carries."""
    with closing(open_load_snapshot(context)) as snapshot:
        records.record_snapshot(loads, snapshot.lsn)
        with stoppable(snapshot.keeper, context.stop):
            work = [work for load in loads for work in _plan_work(context, load, snapshot)]
        stream_count = max(1, min(context.task.full_load.parallel_streams, len(work)))
        LoadStreams(context, snapshot, work).run(stream_count, on_tick=tick)


def _plan_work(context: LoadContext, load: TableLoad, snapshot: LoadSnapshot) -> list[Work]:
    """Divide a table into parts; an empty partitioned table has none and is only finished."""
    try:
        leaves = read_leaves(snapshot.keeper, load.table.oid)
    except SourceUnavailableError:
        raise
    except TrempyError as error:
        context.stop.raise_if_set()
        load.fail(error)
        return []
    parts = plan_parts(leaves, split_bytes=context.task.full_load.split_bytes)
    load.start_anew(snapshot, part_count=len(parts))
    return [Work(load, part) for part in parts] or [Work(load, None)]


def _ticker(
    records: LoadRecords, loads: Sequence[TableLoad], listener: ProgressListener
) -> Callable[[], None]:
    recorded_at = time.monotonic()

    def tick() -> None:
        nonlocal recorded_at
        with suppress(TargetError):  # the streams find out whether the target is gone
            records.record_failures(loads)
            records.read_copy_progress(loads)
            if time.monotonic() - recorded_at >= _RECORD_SECONDS:
                recorded_at = time.monotonic()
                records.record_progress(loads)
        listener.update([load.progress() for load in loads])

    return tick


def _fail(loads: Sequence[TableLoad]) -> None:
    for load in loads:
        load.fail(load.lost_by or SourceUnavailableError("the snapshot was lost again and again"))


def open_load_snapshot(context: LoadContext) -> LoadSnapshot:
    """Open the snapshot in a thread: it may have to wait for other transactions, a stop may not."""
    future: concurrent.futures.Future[LoadSnapshot] = concurrent.futures.Future()
    threading.Thread(target=_fulfil, args=(future, context), name="trempy-snapshot", daemon=True).start()
    while True:
        try:
            return future.result(timeout=_STOP_CHECK_SECONDS)
        except concurrent.futures.TimeoutError:
            if context.stop.is_set():
                future.add_done_callback(_close_unwanted)
                context.stop.raise_if_set()


def _fulfil(future: concurrent.futures.Future[LoadSnapshot], context: LoadContext) -> None:
    try:
        future.set_result(LoadSnapshot.open(context.source, context.task))
    except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
        future.set_exception(error)


def _close_unwanted(future: concurrent.futures.Future[LoadSnapshot]) -> None:
    if future.exception() is None:
        future.result().close()

"""Capture: read the slot's stream, publish whole transactions in batches, confirm the slot.

The order of three steps is the guarantee: the broker confirms a batch, the task's metadata records it,
and only then is the slot confirmed.
So the slot is never ahead of the broker, nor of what the task knows it has published; killed between any two
steps, capture sends again what may have been sent already, and apply skips it.

A large transaction is published in chunks while it is still in progress on the source.
Its chunks confirm nothing: the slot stays before its commit until that is published, and a later start of
capture sends it anew from its beginning.

While nothing of the task's changes, the slot follows the server's WAL all the same, so that it retains none:
first it is recorded that nothing was published since the last batch, then the slot moves on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, cast

from trempy_provider.broker.base import Broker
from trempy_provider.config.choices import MessageFormat
from trempy_provider.config.masks import mask_entries
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import RetryPolicy, SlotInUseError, StoppedError, TrempyError
from trempy_provider.jobs.backlog import Backlog
from trempy_provider.jobs.backoff import Backoff
from trempy_provider.jobs.heap import give_back_large_blocks
from trempy_provider.jobs.lease import EndReason, Lease, StopSignal
from trempy_provider.jobs.masking import names_by_oid, relation_masks
from trempy_provider.jobs.outgoing import message_of
from trempy_provider.jobs.pause import PauseWatch
from trempy_provider.jobs.sampling import sampling
from trempy_provider.jobs.spared_target import SparedTarget
from trempy_provider.jobs.starting_point import StartingPoint, find_starting_point
from trempy_provider.jobs.table_watch import TableWatch
from trempy_provider.postgres.capture_lock import end_stale_readers, hold_capture_lock
from trempy_provider.postgres.checkpoints import (
    advance_capture_progress,
    begin_capture_session,
    read_checkpoint,
)
from trempy_provider.postgres.facts_reader import FactsReader
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.stream import ChangeStream, Keepalive, open_stream
from trempy_provider.replication.batch_builder import BatchBuilder
from trempy_provider.replication.batches import Batch, BatchLimits, PublishedCommit
from trempy_provider.replication.changes import datetime_of
from trempy_provider.replication.json_sizes import json_measure
from trempy_provider.replication.lsn import NO_LSN, Lsn

logger = logging.getLogger(__name__)

_READ_SECONDS = 0.5
_READ_SECONDS_WHILE_UNCONFIRMED = 0.002
_CONFIRM_INTERVAL_SECONDS = 1.0
_IDLE_INTERVAL_SECONDS = 10.0
_KEEPALIVE_INTERVAL_SECONDS = 0.5
_FRAMES_PER_TURN = 20_000
_BUSY_TURN_FRAMES = 500
_SHORTEST_PUBLISH_INTERVAL_SECONDS = 0.003  # each batch costs apply a transaction of the target
_COALESCE_SECONDS = 0.01
_LITTLE_FRAMES, _LITTLE_BYTES = 100, 8192  # libpq reads twice as much at once
_LAST_CONFIRM_SECONDS = 10.0
_STOP_CONFIRM_SECONDS = 0.5
_ROOM_SECONDS = 1.0
_LAST_WORDS_SECONDS = 1.0


@dataclass(slots=True)
class CaptureReport:
    """What a lease of capture did."""

    end_reason: str = ""
    batch_count: int = 0
    transaction_count: int = 0
    change_count: int = 0
    published_bytes: int = 0
    confirmed_lsn: Lsn = NO_LSN
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "end_reason": self.end_reason,
            "batch_count": self.batch_count,
            "transaction_count": self.transaction_count,
            "change_count": self.change_count,
            "published_bytes": self.published_bytes,
            "confirmed_lsn": str(self.confirmed_lsn),
            "seconds": round(self.seconds, 3),
        }


def capture(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    broker: Broker,
    lease: Lease,
    stop: StopSignal,
    report: CaptureReport | None = None,
) -> CaptureReport:
    """Publish the task's changes until the lease ends or a stop is asked for.

    A `report` that is given is kept up to date meanwhile, for whoever watches it from another thread.

    Lost connections and a slot in use are waited out with backoff.
    Raise SlotLostError or WrongSystemError when changes are missing, MetadataError before a setup.
    """
    give_back_large_blocks()
    report = report or CaptureReport()
    started_at = time.monotonic()
    with sampling(task, source=source, target=target, broker=broker, stop=stop) as rest:
        _capture(task, report, source=source, target=target, broker=broker, lease=lease, stop=stop)
        if report.end_reason == EndReason.IDLE.value and lease.deadline is not None:
            rest.seconds = max(lease.deadline - time.monotonic(), 0.0)
    report.seconds = time.monotonic() - started_at
    return report


def _capture(
    task: ReplicationTask,
    report: CaptureReport,
    *,
    source: Endpoint,
    target: Endpoint,
    broker: Broker,
    lease: Lease,
    stop: StopSignal,
) -> None:
    """Capture, over as many connections as it takes."""
    backoff = Backoff(lease=lease, stop=stop)
    while not report.end_reason:
        try:
            with _Capture(
                task, source=source, target=target, broker=broker, report=report, lease=lease
            ) as running:
                report.end_reason = running.run(stop, backoff).value
        except StoppedError:
            report.end_reason = (EndReason.STOPPED if stop.is_set() else EndReason.DEADLINE).value
        except TrempyError as error:
            if stop.is_set() and error.policy is RetryPolicy.BY_ITSELF:
                report.end_reason = EndReason.STOPPED.value
                break
            backoff.wait(error)


class _Capture:
    """One connection of capture: a stream, a publisher, and a session for progress."""

    def __init__(
        self,
        task: ReplicationTask,
        *,
        source: Endpoint,
        target: Endpoint,
        broker: Broker,
        report: CaptureReport,
        lease: Lease,
    ) -> None:
        self._task = task
        self._report = report
        self._counted = (report.batch_count, report.change_count, report.published_bytes)
        self._lease = lease
        self._metadata = target.metadata.connect("capture")
        self._target = SparedTarget(target, self._metadata, job="capture")
        self._stream: ChangeStream | None = None
        self._publisher = None
        self._facts = FactsReader(source, task)
        self._pause = PauseWatch(self._metadata, task.task_name)
        self._tables = TableWatch(task, source=source, target=target, broker=broker)
        try:
            point = find_starting_point(
                task.task_name, task.slot_name, source=source, metadata=self._metadata
            )
            self._publisher = broker.open_publisher()
            self._stream = self._open_stream(source, begins_at=point.begins_at)
            # Only now is nobody else moving the slot, and starts of capture are counted in their order.
            session_number = begin_capture_session(self._metadata, task.task_name)
            point = _own_starting_point(task, source=source, metadata=self._metadata, stream=self._stream)
            self._stream.confirm(point.confirmed_lsn)
            names = names_by_oid(task, self._target.session()) if any(mask_entries(task)) else {}
            self._facts.mask(names)
            masks_of = relation_masks(task, source=source, names=names)
        except BaseException:
            self.close()
            raise
        self._position = point.confirmed_lsn
        self._published_lsn = self._seen_lsn = point.previous_lsn
        self._last_commit = PublishedCommit(point.previous_lsn, None)
        self._builder = BatchBuilder(
            task_name=task.task_name,
            session_number=session_number,
            previous_lsn=point.previous_lsn,
            limits=BatchLimits(max_rows=task.cdc.batch_max_rows, max_bytes=task.cdc.batch_max_bytes),
            read_facts=self._facts.read,
            leaves_out_replicated=task.captures_local_only,
            awaited=point.awaited,
            masks_of=masks_of,
            measure_of=json_measure if task.cdc.message_format is MessageFormat.JSON else None,
        )
        self._server_waits = False
        self._backlog = Backlog(self._applied_lsn)
        now = time.monotonic()
        self._waiting_since = self._active_at = self._confirmed_at = self._idle_at = self._asked_at = now
        self._published_at = now - _SHORTEST_PUBLISH_INTERVAL_SECONDS

    def _open_stream(self, source: Endpoint, *, begins_at: Lsn) -> ChangeStream:
        """Open the slot's stream; a reader that a process of ours left is ended, for the next attempt."""
        task = self._task
        is_the_only_one = hold_capture_lock(self._metadata, task.task_name)
        try:
            return open_stream(
                source,
                job="capture",
                slot_name=task.slot_name,
                publication_name=task.publication_name,
                begins_at=begins_at,
                in_progress=True,
                local_only=task.captures_local_only,
            )
        except SlotInUseError:
            if is_the_only_one and end_stale_readers(source, task.slot_name):
                logger.warning("task %s: the reader that an earlier process left is ended", task.task_name)
            raise

    def __enter__(self) -> _Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._publisher is not None:
            self._publisher.close()
        self._facts.close()
        self._target.close()
        self._metadata.close()

    def run(self, stop: StopSignal, backoff: Backoff) -> EndReason:
        lease = self._lease
        while True:
            self._look_at_tables()
            frame_count = self._drain(stop)
            self._publish_waiting(stop)
            self._confirm()
            self._note_success(backoff)
            reason = EndReason.STOPPED if stop.is_set() else self._end_reason(lease)
            if reason is not None:
                self._finish(_STOP_CONFIRM_SECONDS if stop.is_set() else _LAST_CONFIRM_SECONDS)
                return reason
            self._wait(lease, frame_count)

    def _look_at_tables(self) -> None:
        source = self._facts.session()
        self._target.ask(lambda target: self._tables.look_if_due(source, target), otherwise=None)

    def _applied_lsn(self) -> Lsn:
        """Return up to where apply is; nowhere while the target cannot tell."""
        name = self._task.task_name
        return self._target.ask(lambda target: read_checkpoint(target, name).end_lsn, otherwise=NO_LSN)

    def _note_success(self, backoff: Backoff) -> None:
        assert self._publisher is not None
        if self._publisher.confirmed() is None:
            backoff.going_on()
        else:
            backoff.succeeded()

    def _drain(self, stop: StopSignal) -> int:
        """Read what has arrived; return the number of payloads."""
        assert self._stream is not None
        count = 0
        while count < _FRAMES_PER_TURN:
            taken = self._stream.take()
            if not taken and not self._stream.read_socket(timeout_seconds=0):
                break
            for kind, frames in groupby(taken, type):
                if kind is Keepalive:
                    self._see(cast("Iterable[Keepalive]", frames))
                    continue
                payloads = cast("list[bytes]", list(frames))
                count += len(payloads)
                for batch in self._builder.add_all(payloads):
                    self._publish(batch, stop)
            if count >= _BUSY_TURN_FRAMES and taken and _is_little(taken):
                break
        if count:
            self._active_at = time.monotonic()
        return count

    def _see(self, keepalives: Iterable[Keepalive]) -> None:
        """Between transactions and segments, all that committed before a keepalive's position has arrived."""
        if self._builder.in_transaction:
            return
        for keepalive in keepalives:
            self._position = max(self._position, keepalive.position)
            self._server_waits = self._server_waits or keepalive.is_awaited

    def _publish_waiting(self, stop: StopSignal) -> None:
        """Publish whole transactions at once while broker and apply keep up, else let the batch grow."""
        assert self._publisher is not None
        if not self._builder.has_whole_transactions:
            self._waiting_since = time.monotonic()
            return
        waited = time.monotonic() - self._waiting_since
        keeps_up = self._publisher.unconfirmed_count() == 0 and not self._backlog.is_behind()
        is_due = time.monotonic() - self._published_at >= _SHORTEST_PUBLISH_INTERVAL_SECONDS
        if (keeps_up and is_due) or waited >= self._task.cdc.batch_max_age_seconds:
            batch = self._builder.take()
            assert batch is not None
            self._publish(batch, stop)

    def _publish(self, batch: Batch, stop: StopSignal) -> None:
        assert self._publisher is not None
        assert self._stream is not None
        batch = self._facts.with_new_labels(batch)
        if batch.is_complete:
            self._last_commit = PublishedCommit(batch.end_lsn, batch.committed_at)
        message = replace(message_of(batch, self._task.cdc.message_format), token=self._last_commit)
        while not self._publisher.wait_for_room(timeout_seconds=_ROOM_SECONDS):
            self._stream.keep_alive()
            stop.raise_if_set()
            if self._lease.reached(None) is not None:
                raise StoppedError("the lease ended while the broker took no messages")
        self._publisher.publish(message, stop=stop.is_set)
        self._position = max(self._position, batch.end_lsn)
        self._backlog.note_published(batch.end_lsn)
        self._waiting_since = self._published_at = time.monotonic()
        self._report.batch_count += 1
        self._report.transaction_count += batch.transaction_count
        self._report.change_count += batch.change_count
        self._report.published_bytes += len(message.body)

    def _confirm(self, *, at_once: bool = False) -> None:
        """Record what the broker has confirmed, then confirm the slot; about once a second."""
        assert self._publisher is not None
        token = self._publisher.confirmed()
        if not isinstance(token, PublishedCommit) or token.end_lsn <= self._published_lsn:
            return
        if at_once or time.monotonic() - self._confirmed_at >= _CONFIRM_INTERVAL_SECONDS:
            self._record(token, seen_lsn=token.end_lsn, idle=False)
            self._confirmed_at = self._idle_at = time.monotonic()

    def _record(self, published: PublishedCommit, *, seen_lsn: Lsn, idle: bool) -> None:
        assert self._stream is not None
        report = self._report
        counts = (report.batch_count, report.change_count, report.published_bytes)
        batch_count, change_count, published_bytes = (
            now - before for now, before in zip(counts, self._counted, strict=True)
        )
        advance_capture_progress(
            self._metadata,
            self._task.task_name,
            published_lsn=published.end_lsn,
            idle=idle,
            seen_lsn=seen_lsn,
            published_commit_at=(
                None if published.committed_at is None else datetime_of(published.committed_at)
            ),
            batch_count=batch_count,
            change_count=change_count,
            published_bytes=published_bytes,
        )
        self._counted = counts
        self._published_lsn, self._seen_lsn = published.end_lsn, seen_lsn
        if idle:
            self._stream.confirm_idle(seen_lsn)
        else:
            self._stream.confirm(published.end_lsn)
        report.confirmed_lsn = self._stream.confirmed_lsn

    def _end_reason(self, lease: Lease) -> EndReason | None:
        if self._is_quiet():
            self._follow_wal(lease)
        if self._pause.is_asked():
            return EndReason.PAUSED
        idle_for = time.monotonic() - self._active_at if self._is_quiet() else 0.0
        return lease.reached(self._seen_lsn, idle_for_seconds=idle_for)

    def _is_quiet(self) -> bool:
        assert self._publisher is not None
        return self._builder.is_empty and self._publisher.unconfirmed_count() == 0

    def _follow_wal(self, lease: Lease) -> None:
        """Move an idle slot up to where the server has read; sooner when somebody waits for it.

        A server that shuts down does: it goes when all its WAL is confirmed.
        """
        self._confirm(at_once=True)
        caught_up = lease.caught_up_lsn is not None and self._position >= lease.caught_up_lsn
        awaited = caught_up or self._server_waits
        due = time.monotonic() - self._idle_at >= _IDLE_INTERVAL_SECONDS
        if self._position > self._seen_lsn and (awaited or due):
            self._record(PublishedCommit(self._published_lsn, None), seen_lsn=self._position, idle=True)
            self._idle_at = time.monotonic()
        self._server_waits = False

    def _wait(self, lease: Lease, frame_count: int) -> None:
        assert self._stream is not None and self._publisher is not None
        now = time.monotonic()
        if lease.caught_up_lsn is not None and now - self._asked_at >= _KEEPALIVE_INTERVAL_SECONDS:
            self._stream.request_keepalive()
            self._asked_at = now
        # Under load, let the socket fill: writing to one that is being read costs the server twice as much.
        if frame_count >= _BUSY_TURN_FRAMES:
            time.sleep(_COALESCE_SECONDS)
        waiting = self._builder.has_whole_transactions or self._publisher.unconfirmed_count() > 0
        longest = _READ_SECONDS_WHILE_UNCONFIRMED if waiting else _READ_SECONDS
        self._stream.read_socket(timeout_seconds=lease.remaining_seconds(at_most=longest))

    def _finish(self, timeout_seconds: float) -> None:
        """Wait for the broker's last confirms, so that the next lease need not send them again."""
        assert self._publisher is not None
        self._publisher.wait_confirmed(timeout_seconds=timeout_seconds)
        self._confirm(at_once=True)


def _is_little(taken: list[bytes | Keepalive]) -> bool:
    """Tell whether the socket was as good as empty when it was read last."""
    if len(taken) >= _LITTLE_FRAMES:
        return False
    return sum(len(frame) for frame in taken if isinstance(frame, bytes)) < _LITTLE_BYTES


def _own_starting_point(
    task: ReplicationTask, *, source: Endpoint, metadata: Session, stream: ChangeStream
) -> StartingPoint:
    """Return where the slot stands; raise what has ended the stream when its reader is not ours any more."""
    point = find_starting_point(task.task_name, task.slot_name, source=source, metadata=metadata)
    if point.reader_pid != stream.backend_pid:
        stream.raise_if_ended(within_seconds=_LAST_WORDS_SECONDS)
        raise SlotInUseError(f"the stream of slot {task.slot_name} was lost as soon as it was opened")
    return point

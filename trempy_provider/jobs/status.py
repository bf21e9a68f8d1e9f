"""Status: tell how far a task is, from what source, metadata database, target and broker say now.

Each of them is asked by itself: what one cannot tell is left out and named, the rest is still told.
Nothing is changed anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from trempy_provider.broker.base import Broker
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import TrempyError
from trempy_provider.jobs.lag import Clocks, judge_state, measure_lag
from trempy_provider.jobs.task_status import (
    JOBS,
    CaptureStatus,
    CheckpointStatus,
    DeadLetterFacts,
    Lag,
    QueueFacts,
    SkippedFacts,
    SlotFacts,
    TableStatus,
    TaskState,
    TaskStatus,
)
from trempy_provider.postgres.checkpoints import read_capture_progress, read_checkpoint
from trempy_provider.postgres.dead_letters import read_dead_letters
from trempy_provider.postgres.metadata import (
    TaskRow,
    applied_migrations,
    elsewhere_error,
    explaining_version,
    read_task,
)
from trempy_provider.postgres.metadata_places import MetadataPlace, read_place
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.slot import read_slot
from trempy_provider.postgres.table_states import read_table_states
from trempy_provider.replication.lsn import Lsn

__all__ = ["TaskState", "TaskStatus", "status"]

_LETTERS_TOLD = 10


def status(
    task: ReplicationTask, *, source: Endpoint | None, target: Endpoint, broker: Broker | None = None
) -> TaskStatus:
    """Read the task's state; parts that do not answer are named in `unreachable`."""
    reading = _Reading(task)
    if source is not None:
        with reading.part("source"), source.connect("status") as session:
            reading.read_source(session)
    with ExitStack() as stack:
        reading.ask_for_metadata(target, stack)
    reading.judge()
    if broker is not None and task.captures_changes and reading.may_have_queues:
        with reading.part("broker"):
            reading.read_broker(broker)
    return reading.result()


@dataclass(slots=True)
class _Clock:
    source: datetime | None = None
    target: datetime | None = None
    metadata: datetime | None = None

    @property
    def now(self) -> datetime:
        """The time; commit times are by the source's clock."""
        now = self.source or self.target
        assert now is not None
        return now


@dataclass(slots=True)
class _Reading:
    task: ReplicationTask
    status: TaskStatus = field(init=False)
    clock: _Clock = field(default_factory=_Clock)
    unreachable: dict[str, str] = field(default_factory=dict)
    row: TaskRow | None = None
    place: MetadataPlace | None = None  # None: the metadata database does not answer

    def __post_init__(self) -> None:
        self.status = TaskStatus(
            task_name=self.task.task_name,
            replication_type=str(self.task.replication_type),
            mode=str(self.task.cdc.mode),
            state=TaskState.UNKNOWN,
            unreachable=self.unreachable,
        )

    @property
    def may_have_queues(self) -> bool:
        """Tell whether asking the broker makes sense: a task not set up has no queues."""
        return self.status.state is not TaskState.NOT_SET_UP

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Note why a part cannot tell."""
        try:
            yield
        except TrempyError as error:
            self.unreachable[name] = str(error)

    def read_source(self, session: Session) -> None:
        """Read the source's position, and the slot."""
        row = session.fetch_one(static_sql("source_position"))
        assert row is not None
        self.clock.source = row[1]
        slot = _read_slot(session, self.task) if self.task.captures_changes else None
        self.status = replace(self.status, source_lsn=Lsn.parse(row[0]), slot=slot)

    def ask_for_metadata(self, target: Endpoint, stack: ExitStack) -> None:
        """Read the metadata: from the target, or from there and from the metadata database."""
        names = target.application_name
        if target.metadata is target:
            with self.part("target"):
                session = stack.enter_context(target.connect("status"))
                with explaining_version(session):
                    self.read_metadata(session, application_name=names)
                    self.read_target(session, application_name=names)
            return
        with self.part("metadata"):
            session = stack.enter_context(target.metadata.connect("status"))
            with explaining_version(session):
                self.read_metadata(session, application_name=names)
        with self.part("target"):
            session = stack.enter_context(target.connect("status"))
            with explaining_version(session):
                self._verify_place(session)
                self.read_target(session, application_name=names)

    def read_metadata(self, session: Session, *, application_name: Callable[[str], str]) -> None:
        """Read what the task was set up with, why it has stopped, and how far capture is."""
        name = self.task.task_name
        self.clock.metadata = session.fetch_value("select clock_timestamp()")
        row = read_task(session, name) if applied_migrations(session) else None
        self.place = read_place(session, name)
        if row is None or (self.task.captures_changes and row.consistent_point is None):
            self.status = replace(self.status, state=TaskState.NOT_SET_UP)
            return
        self.row = row
        self.status = replace(self.status, set_up_at=row.set_up_at)
        self._note_jobs(session, application_name)
        if row.slot_name is not None:
            self._read_capture(session)

    def read_target(self, session: Session, *, application_name: Callable[[str], str]) -> None:
        """Read what is applied, and the tables; and which jobs have sessions."""
        name = self.task.task_name
        self.clock.target = session.fetch_value("select clock_timestamp()")
        if self.status.state is TaskState.NOT_SET_UP or not read_place(session, name).has_task:
            return
        self._note_jobs(session, application_name)
        self.status = replace(self.status, tables=_read_tables(session, name))
        follows = self.task.captures_changes if self.row is None else self.row.slot_name is not None
        if follows:
            self._read_checkpoint(session)

    def _verify_place(self, session: Session) -> None:
        """Raise MetadataError when the target keeps the task's metadata elsewhere."""
        here = read_place(session, self.task.task_name)
        if self.place is not None and here.has_task and not here.is_completed_by(self.place):
            raise elsewhere_error(self.task.task_name)

    def _note_jobs(self, session: Session, application_name: Callable[[str], str]) -> None:
        prefix = {"prefix": application_name("")}
        present = {name for (name,) in session.fetch_all(static_sql("task_sessions"), prefix)}
        running = {job for job in JOBS if application_name(job) in present}
        known = running.union(self.status.running_jobs)
        self.status = replace(self.status, running_jobs=tuple(job for job in JOBS if job in known))

    def read_broker(self, broker: Broker) -> None:
        """Count the messages that wait."""
        depths = broker.depths()
        facts = QueueFacts(depths.ready, depths.unacknowledged, depths.dead_letters)
        self.status = replace(self.status, queue=facts)

    def result(self) -> TaskStatus:
        """Return what was read, with the lag."""
        return replace(self.status, lag=self._lag())

    def _read_capture(self, session: Session) -> None:
        progress = read_capture_progress(session, self.task.task_name)
        self.status = replace(
            self.status,
            capture=CaptureStatus(
                progress.published_lsn,
                max(progress.seen_lsn, progress.published_lsn),
                progress.seen_at,
                progress.idle,
                progress.batch_count,
                progress.change_count,
                progress.published_bytes,
            ),
        )

    def _read_checkpoint(self, session: Session) -> None:
        name = self.task.task_name
        checkpoint = read_checkpoint(session, name)
        self.status = replace(
            self.status,
            checkpoint=CheckpointStatus(
                checkpoint.end_lsn,
                checkpoint.commit_lsn,
                checkpoint.committed_at,
                checkpoint.applied_at,
                checkpoint.transaction_count,
                checkpoint.change_count,
            ),
            dead_letters=_read_dead_letters(session, name),
            skip_lsn=checkpoint.skip_lsn,
            skipped=_read_skipped(session, name),
        )

    def judge(self) -> None:
        """Find the word for the state."""
        row = self.row
        if row is None:
            return
        slot = self.status.slot
        state = judge_state(
            stop_reason=row.stop_reason,
            running_jobs=self.status.running_jobs,
            slot_is_active=slot is not None and slot.active,
        )
        if state is TaskState.STOPPED:
            self.status = replace(self.status, stop_reason=row.stop_reason, stopped_at=row.stopped_at)
        self.status = replace(self.status, state=state)

    def _lag(self) -> Lag | None:
        clocks = None
        if (self.clock.source or self.clock.target) and self.clock.metadata is not None:
            clocks = Clocks(self.clock.now, self.clock.metadata)
        return measure_lag(
            self.status.capture,
            self.status.checkpoint,
            clocks=clocks,
            source_lsn=self.status.source_lsn,
            is_capturing="capture" in self.status.running_jobs,
            set_up_at=self.status.set_up_at,
        )


def _read_slot(session: Session, task: ReplicationTask) -> SlotFacts:
    slot = read_slot(session, task.slot_name)
    if not slot.exists:
        return SlotFacts(task.slot_name, exists=False)
    return SlotFacts(
        task.slot_name,
        exists=True,
        active=slot.active,
        wal_status=slot.wal_status,
        confirmed_lsn=slot.confirmed_flush_lsn,
        retained_bytes=slot.retained_bytes,
        invalidated=slot.is_invalidated,
    )


def _read_tables(session: Session, task_name: str) -> tuple[TableStatus, ...]:
    rows = session.fetch_all(static_sql("last_apply_errors"), {"task_name": task_name})
    errors = {oid: f"{operation}: {summary}" for oid, operation, summary in rows}
    states = read_table_states(session, task_name).values()
    tables = (TableStatus.of(state, apply_error=errors.get(state.source_oid)) for state in states)
    return tuple(sorted(tables, key=lambda table: table.source))


def _read_dead_letters(session: Session, task_name: str) -> tuple[DeadLetterFacts, ...]:
    letters = [letter for letter in read_dead_letters(session, task_name) if letter.state.is_open]
    return tuple(
        DeadLetterFacts(
            letter.failure.message_id,
            letter.state,
            letter.failure.transaction_id,
            letter.failure.first_lsn,
            letter.failure.last_lsn,
            letter.failure.reason,
            letter.occurred_at,
        )
        for letter in letters[-_LETTERS_TOLD:]
    )


def _read_skipped(session: Session, task_name: str) -> tuple[SkippedFacts, ...]:
    rows = session.fetch_all(static_sql("last_skipped"), {"task_name": task_name})
    return tuple(SkippedFacts(Lsn.parse(commit_lsn), *facts) for commit_lsn, *facts in rows)

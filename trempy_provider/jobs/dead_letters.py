"""Dead letters: list them, show one, replay or discard them.

A letter waits, when the task has stopped at it: replaying it is what the next start of apply does anyway.
Or it was passed over (`on_dead_letter: continue`): then replaying applies of it what nothing newer has
replaced since, and reports the rest (`applying/replaying.py` says why that is safe).
To discard a letter is to do without it for good; the task goes on after one that it has stopped at.

A letter that waits belongs to apply as well: both look at the checkpoint under its lock, so whoever comes
second finds it settled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from trempy_provider.broker.base import Broker, Delivery
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import (
    ConfigurationError,
    DeadLetterError,
    ProtocolError,
    StoppedError,
    TrempyError,
)
from trempy_provider.jobs.applying.deliveries import DeliveryApplier
from trempy_provider.jobs.applying.discarding import discard_letter
from trempy_provider.jobs.applying.letter_list import ListedLetter, list_letters
from trempy_provider.jobs.applying.letters import lane_of
from trempy_provider.jobs.applying.replaying import Replayed, Replaying
from trempy_provider.jobs.applying.report import ApplyReport
from trempy_provider.jobs.applying.whole_letters import remove_applied_letters
from trempy_provider.jobs.backoff import Backoff
from trempy_provider.jobs.cancelling import cancelling
from trempy_provider.jobs.lease import Lease, StopSignal
from trempy_provider.postgres.dead_letters import DeadLetterState, read_dead_letter, read_letter
from trempy_provider.postgres.held_chunks import read_transaction
from trempy_provider.postgres.lanes import in_lane, level_checkpoint, read_lanes
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.table_states import read_table_states
from trempy_provider.replication import wire
from trempy_provider.replication.batches import Batch
from trempy_provider.replication.readable import ReadableChange, readable
from trempy_provider.replication.transactions import read_transactions

JOB = "dead_letters"
_GONE = "the message is not in the queue any more"


@dataclass(frozen=True, slots=True)
class DeadLetterList:
    """The dead letters of a task, in the order of commits."""

    letters: tuple[ListedLetter, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {"dead_letters": [letter.as_dict() for letter in self.letters]}


@dataclass(frozen=True, slots=True)
class ShownLetter:
    """A dead letter and its changes, up to a number; `problem` says why there are none to show."""

    letter: ListedLetter
    changes: tuple[ReadableChange, ...]
    is_complete: bool
    problem: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values: rows, too."""
        return {
            **self.letter.as_dict(),
            "changes": [change.as_dict() for change in self.changes],
            "is_complete": self.is_complete,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class SettledLetter:
    """What became of a dead letter: its state now and, of one that is still open, why."""

    message_id: str
    outcome: str
    replayed: Replayed | None = None
    error: TrempyError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        counts = {} if self.replayed is None else asdict(self.replayed)
        reason = None if self.error is None else str(self.error)
        return {"message_id": self.message_id, "outcome": self.outcome, **counts, "reason": reason}


@dataclass(frozen=True, slots=True)
class SettleReport:
    """What became of the letters chosen, in the order of commits."""

    letters: tuple[SettledLetter, ...] = field(default=())

    @property
    def error(self) -> TrempyError | None:
        """The first error, if there was one."""
        return next((letter.error for letter in self.letters if letter.error is not None), None)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values; rows that have changed since are in trempy.apply_errors."""
        return {"dead_letters": [letter.as_dict() for letter in self.letters]}


def list_dead_letters(task: ReplicationTask, *, target: Endpoint, broker: Broker) -> DeadLetterList:
    """Return the letters about which somebody has to decide; change nothing."""
    with target.connect(JOB) as session:
        return DeadLetterList(list_letters(session, task.task_name, broker))


def show_dead_letter(
    task: ReplicationTask, *, target: Endpoint, broker: Broker, message_id: str, limit: int
) -> ShownLetter:
    """Return a letter with its first `limit` changes; change nothing.

    Values that are masked were masked before they left the source's side, and are so here.
    """
    with target.connect(JOB) as session:
        (letter,) = _choose(list_letters(session, task.task_name, broker), [message_id])
        delivery = broker.find_dead_letter(message_id)
        return show_letter(session, task.task_name, letter, delivery, limit=limit)


def show_letter(
    session: Session, task_name: str, letter: ListedLetter, delivery: Delivery | None, *, limit: int
) -> ShownLetter:
    """Return a letter with the first `limit` changes of its message, through a session of the target."""
    if delivery is None:
        return ShownLetter(letter, (), is_complete=False, problem=_GONE)
    try:
        with in_lane(session, lane_of(delivery)):
            changes = _read_changes(session, task_name, letter.message_id, delivery.body, limit=limit + 1)
    except ProtocolError as error:
        return ShownLetter(letter, (), is_complete=False, problem=str(error))
    return ShownLetter(letter, tuple(changes[:limit]), is_complete=len(changes) <= limit)


def replay_dead_letters(
    task: ReplicationTask,
    *,
    target: Endpoint,
    broker: Broker,
    message_ids: Sequence[str] | None = None,
    stop: StopSignal | None = None,
) -> SettleReport:
    """Replay the letters named, or all, in the order of commits.

    One that fails stays as it was, its error in the report, and the others go on.
    """
    stop = stop or StopSignal()
    with target.connect(JOB) as session, cancelling(session, stop):
        chosen = _choose(list_letters(session, task.task_name, broker), message_ids)
        replays = _Replays(session, task, broker=broker, stop=stop)
        return SettleReport(tuple([replays.replay(letter) for letter in chosen]))


def discard_dead_letters(
    task: ReplicationTask, *, target: Endpoint, broker: Broker, message_ids: Sequence[str] | None = None
) -> SettleReport:
    """Discard the letters named, or all, in the order of commits."""
    with target.connect(JOB) as session:
        chosen = _choose(list_letters(session, task.task_name, broker), message_ids)
        return SettleReport(tuple([_discard(session, task.task_name, broker, letter) for letter in chosen]))


class _Replays:
    """Replay letters through one session of the target."""

    def __init__(self, session: Session, task: ReplicationTask, *, broker: Broker, stop: StopSignal) -> None:
        self._session = session
        self._task = task
        self._task_name = task.task_name
        self._broker = broker
        self._stop = stop
        self._deliveries = self._open_deliveries()
        self._replaying = Replaying(session, task, batches=self._deliveries.batches)

    def _open_deliveries(self) -> DeliveryApplier:
        backoff = Backoff(lease=Lease(), stop=self._stop)
        return DeliveryApplier(
            self._session,
            self._task,
            broker=self._broker,
            report=ApplyReport(),
            backoff=backoff,
            stop=self._stop,
        )

    def replay(self, letter: ListedLetter) -> SettledLetter:
        self._stop.raise_if_set()
        try:
            if letter.state is DeadLetterState.PASSED_OVER:
                return self._replay(letter.message_id)
            return self._apply(letter.message_id)
        except StoppedError:
            raise
        except TrempyError as error:
            self._stop.raise_if_set()
            return SettledLetter(letter.message_id, str(letter.state), error=error)

    def _replay(self, message_id: str) -> SettledLetter:
        delivery = self._broker.find_dead_letter(message_id)
        if delivery is None:
            raise DeadLetterError(f"dead letter {message_id}: {_GONE}")
        replayed = self._replaying.replay(message_id, delivery.body)
        self._broker.remove_dead_letter(message_id)
        return SettledLetter(message_id, self._state_of(message_id), replayed=replayed)

    def _apply(self, message_id: str) -> SettledLetter:
        """Apply a letter at which the task has stopped, as its next start would."""
        delivery = self._broker.find_dead_letter(message_id)
        lanes = _lanes_of(self._session, self._task_name, delivery)
        for lane in lanes:
            with in_lane(self._session, lane):
                deliveries = self._deliveries if lane is None else self._open_deliveries()
                deliveries.take_back(message_id)
        if lanes != [None]:
            level_checkpoint(self._session, self._task_name)
            remove_applied_letters(self._session, self._task_name, self._broker)
        outcome = self._state_of(message_id)
        if outcome == DeadLetterState.WAITING:
            raise DeadLetterError(
                f"dead letter {message_id} cannot be read, or batches before it are missing"
            )
        return SettledLetter(message_id, outcome)

    def _state_of(self, message_id: str) -> str:
        """Return what became of a letter; one without a record was settled if its message is gone."""
        record = read_dead_letter(self._session, self._task_name, message_id)
        if record is not None:
            return str(record.state)
        is_there = self._broker.find_dead_letter(message_id) is not None
        return str(DeadLetterState.WAITING if is_there else DeadLetterState.APPLIED)


def _discard(session: Session, task_name: str, broker: Broker, letter: ListedLetter) -> SettledLetter:
    delivery = broker.find_dead_letter(letter.message_id)
    try:
        for lane in _lanes_of(session, task_name, delivery):
            with in_lane(session, lane):
                discard_letter(session, task_name, letter.message_id, delivery=delivery)
        level_checkpoint(session, task_name)
    except DeadLetterError as error:
        return SettledLetter(letter.message_id, str(letter.state), error=error)
    broker.remove_dead_letter(letter.message_id)
    return SettledLetter(letter.message_id, str(DeadLetterState.DISCARDED))


def _lanes_of(session: Session, task_name: str, delivery: Delivery | None) -> list[int | None]:
    """Return the lanes that have to settle a letter; None stands for the whole of apply."""
    lane = None if delivery is None else lane_of(delivery)
    if lane is not None or delivery is None:
        return [lane]
    return [*read_lanes(session, task_name)] or [None]


def _choose(letters: Sequence[ListedLetter], message_ids: Sequence[str] | None) -> list[ListedLetter]:
    if message_ids is None:
        return list(letters)
    known = {letter.message_id for letter in letters}
    unknown = [name for name in message_ids if name not in known]
    if unknown:
        raise ConfigurationError(
            f"no dead letter is called {', '.join(unknown)}; there are: {', '.join(sorted(known)) or 'none'}",
            hint="`trempy dead-letters list` lists them.",
        )
    return [letter for letter in letters if letter.message_id in set(message_ids)]


class _Undone(Exception):  # noqa: N818  # no error
    """Ends a transaction that was to read only."""


def _read_changes(
    session: Session, task_name: str, message_id: str, body: bytes, *, limit: int
) -> list[ReadableChange]:
    batch = wire.decode(body)
    keys = {oid: state.key_columns for oid, state in read_table_states(session, task_name).items()}
    found: list[ReadableChange] = []
    with suppress(_Undone), session.transaction():
        for part in _parts(session, task_name, message_id, batch):
            for transaction in read_transactions(part):
                wanted = transaction.changes[: limit - len(found)]
                found += [readable(transaction, change, keys=keys) for change in wanted]
            if len(found) >= limit:
                break
        raise _Undone
    return found


def _parts(session: Session, task_name: str, message_id: str, batch: Batch) -> Iterator[Batch]:
    """Yield a batch, or the chunks of its transaction from where they are kept."""
    record = read_dead_letter(session, task_name, message_id)
    if record is not None and record.state is DeadLetterState.PASSED_OVER:
        yield from read_letter(session, record.dead_letter_id, batch)
    elif batch.chunk is not None and batch.is_complete:
        yield from read_transaction(session, batch)
    else:
        yield batch

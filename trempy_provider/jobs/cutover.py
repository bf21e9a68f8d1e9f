"""Cutover: say whether the target may take over from the source now, and why not.

1. Everything committed on the source is applied: the lag is zero.
2. The target's sequences are set where the source's stand.
3. All tables are compared, and are equal.
4. The source has not been written to meanwhile, and nobody is about to.

Only if all of that holds, it is safe to switch; otherwise every reason is named.
Nothing keeps writers away from the source: that is the operator's part, before and after.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, CutoverError, MetadataError, TrempyError
from trempy_provider.jobs.applied import wait_until_applied
from trempy_provider.jobs.cancelling import stoppable
from trempy_provider.jobs.caught_up import current_position
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.sync_sequences import SyncSequencesReport, sync_sequences
from trempy_provider.jobs.validate import ValidationReport, validate
from trempy_provider.postgres.checkpoints import Checkpoint, read_checkpoint
from trempy_provider.postgres.dead_letters import read_dead_letters
from trempy_provider.postgres.load_plan import read_leaves
from trempy_provider.postgres.metadata import read_task
from trempy_provider.postgres.metadata_places import metadata_session, verify_places
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.table_states import read_table_states, read_waiting_tables

JOB = "cutover"
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class CutoverReport:
    """Whether it is safe to switch, why not, and what was found."""

    task_name: str
    reasons: tuple[str, ...]
    checkpoint: Checkpoint
    sequences: SyncSequencesReport | None  # None: it did not come to them
    validation: ValidationReport | None
    seconds: float

    @property
    def is_safe(self) -> bool:
        """Tell whether the target may take over."""
        return not self.reasons

    @property
    def error(self) -> TrempyError | None:
        """Return why it is not safe to switch, None when it is."""
        if self.is_safe:
            return None
        listed = "".join(f"\n  {reason}" for reason in self.reasons)
        return CutoverError(f"task {self.task_name}: not safe to switch{listed}")

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "task_name": self.task_name,
            "verdict": "safe to switch" if self.is_safe else "not safe to switch",
            "is_safe": self.is_safe,
            "reasons": list(self.reasons),
            "applied_lsn": str(self.checkpoint.end_lsn),
            "set_sequence_count": sum(s.was_set for s in self.sequences.sequences) if self.sequences else 0,
            "compared_row_count": self.validation.row_count if self.validation else 0,
            "seconds": round(self.seconds, 3),
        }


def cutover(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    patience_seconds: float = PATIENCE_SECONDS,
    stop: StopSignal | None = None,
) -> CutoverReport:
    """Wait for zero lag, sync sequences, validate, and tell whether it is safe to switch.

    Capture and apply have to run elsewhere, or to have nothing left to do.
    Raise MetadataError when the task has not been set up.
    """
    if not task.captures_changes:
        raise ConfigurationError(f"task {task.task_name} follows no changes: there is nothing to cut over")
    started = time.monotonic()
    stop = stop or StopSignal()
    with (
        target.connect(JOB) as target_session,
        source.connect(JOB) as source_session,
        metadata_session(target, target_session, JOB) as metadata,
        stoppable(target_session, stop),
        stoppable(source_session, stop),
    ):
        verify_places(target_session, metadata, task.task_name)
        if read_task(metadata, task.task_name) is None:
            raise MetadataError(f"task {task.task_name} has not been set up in this target")
        steps = _Cutover(
            task, source, target, source_session, target_session, metadata, patience_seconds, stop
        )
        sequences = validation = None
        reasons = [*steps.wait_for_zero_lag(), *steps.obstacles()]
        before = read_checkpoint(target_session, task.task_name)
        if not reasons:
            sequences = sync_sequences(task, source=source, target=target)
            validation = validate(task, source=source, target=target, anew=True, stop=stop)
            reasons += [str(validation.error)] if validation.error is not None else []
            reasons += [*steps.wait_for_zero_lag(), *steps.obstacles(), *steps.changes_since(before)]
        reasons = list(dict.fromkeys(reasons))
    return CutoverReport(
        task.task_name, tuple(reasons), before, sequences, validation, time.monotonic() - started
    )


@dataclass(frozen=True, slots=True)
class _Cutover:
    task: ReplicationTask
    source: Endpoint
    target: Endpoint
    source_session: Session
    target_session: Session
    metadata: Session
    patience_seconds: float
    stop: StopSignal

    def wait_for_zero_lag(self) -> Iterator[str]:
        """Wait until everything committed now is applied; say so if it does not come to that."""
        lsn = current_position(self.source)
        is_applied = wait_until_applied(
            self.task,
            source=self.source,
            target=self.target,
            session=self.target_session,
            lsn=lsn,
            patience_seconds=self.patience_seconds,
            stop=self.stop,
        )
        if not is_applied:
            yield f"apply has not come to {lsn} within {self.patience_seconds:g} s: do capture and apply run?"

    def obstacles(self) -> Iterator[str]:
        """Say what is not applied and will not be by waiting, and who may be writing."""
        name = self.task.task_name
        row = read_task(self.metadata, name)
        if row is not None and row.stop_reason is not None:
            yield f"the task has stopped: {' '.join(row.stop_reason.split())}"
        waiting = read_waiting_tables(self.target_session, name)
        if waiting:
            yield f"tables wait for a load: {', '.join(waiting)}"
        letters = [letter for letter in read_dead_letters(self.target_session, name) if letter.state.is_open]
        if letters:
            yield f"{len(letters)} dead letter(s) wait to be replayed or discarded"
        writers = self._count_writers()
        if writers:
            yield f"{writers} transaction(s) that have written to the task's tables are open on the source"

    def changes_since(self, before: Checkpoint) -> Iterator[str]:
        """Say whether the source was written to since a checkpoint."""
        now = read_checkpoint(self.target_session, self.task.task_name)
        count = now.transaction_count - before.transaction_count
        if count:
            yield f"the source is still written to: {count} transaction(s) since the comparison began"

    def _count_writers(self) -> int:
        oids: list[int] = []
        with self.source_session.transaction(isolation="repeatable read", read_only=True):
            for oid in read_table_states(self.target_session, self.task.task_name):
                oids += [oid, *(leaf.oid for leaf in read_leaves(self.source_session, oid))]
        return len(self.source_session.fetch_all(static_sql("writers_of"), {"oids": oids}))

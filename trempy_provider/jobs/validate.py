"""Validate: compare source and target table by table while changes are followed, and repair what differs.

1. Digests (counts and hashes) of ranges of the projected rows are computed inside both databases; ranges that
   differ are halved down to rows (`validating/comparing.py`).
2. Rows that look different are settled: changes on their way are told from real differences by the target's
   checkpoint (`validating/settling.py`).
3. If asked for, exactly the rows that differ are written as the source has them (`validating/repairing.py`).

Progress is kept in the target: a validation that was stopped or killed is gone on with by the next one that
is asked for the same.
Memory is bounded by some thousand keys, whatever the size of a table.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from trempy_provider.apply_modes.comparison_plan import ComparedTable, TableChangedError, plan_comparison
from trempy_provider.config.choices import OperationName, TruncatePolicy
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import (
    ConfigurationError,
    MetadataError,
    RetryPolicy,
    TrempyError,
    ValidationError,
)
from trempy_provider.jobs.cancelling import stoppable
from trempy_provider.jobs.lease import StopSignal
from trempy_provider.jobs.validating.comparing import Comparing
from trempy_provider.jobs.validating.context import Throttle, ValidationContext
from trempy_provider.jobs.validating.settling import Difference, Settler
from trempy_provider.jobs.validating.sides import Sides
from trempy_provider.postgres.comparison import RowKey
from trempy_provider.postgres.metadata_places import read_place
from trempy_provider.postgres.salts import give_salts, read_salts
from trempy_provider.postgres.session import Endpoint, Session
from trempy_provider.postgres.table_states import LoadState, TableState, read_table_states
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.postgres.validations import (
    DifferenceKind,
    TableValidation,
    TableVerdict,
    ValidationRecord,
)

logger = logging.getLogger(__name__)

JOB = "validate"
PATIENCE_SECONDS = 120.0
_ATTEMPTS = 3  # for a table that changes meanwhile
_EXPLAINED_BY = {
    DifferenceKind.MISSING: {OperationName.INSERT},
    DifferenceKind.DIFFERENT: {OperationName.UPDATE},
    DifferenceKind.EXTRA: {OperationName.DELETE, OperationName.TRUNCATE},
}


_GOOD = (TableVerdict.EQUAL, TableVerdict.REPAIRED)


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What a validation has found; no keys: those are in trempy.validation_differences."""

    task_name: str
    tables: tuple[TableValidation, ...]
    seconds: float

    @property
    def row_count(self) -> int:
        """Return how many rows of the source were compared."""
        return sum(table.row_count for table in self.tables)

    @property
    def repaired_count(self) -> int:
        """Return how many rows were repaired."""
        return sum(table.repaired_count for table in self.tables)

    @property
    def is_good(self) -> bool:
        """Tell whether every table is equal on both sides now."""
        return all(table.state in _GOOD for table in self.tables)

    @property
    def error(self) -> TrempyError | None:
        """Return what is not as it should be, None when all is."""
        bad = [f"{t.source_name} ({t.state})" for t in self.tables if t.state not in _GOOD]
        if not bad:
            return None
        return ValidationError(f"task {self.task_name}: not equal on both sides: {', '.join(bad)}")

    def summary(self) -> dict[str, Any]:
        """Return the report with only those tables that are not equal, and of those what is not zero."""
        facts = self.as_dict()
        others = [table for table in facts["tables"] if table["state"] != TableVerdict.EQUAL]
        facts["tables"] = [{name: value for name, value in table.items() if value} for table in others]
        return facts

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "task_name": self.task_name,
            "is_good": self.is_good,
            "row_count": self.row_count,
            "difference_count": sum(table.difference_count for table in self.tables),
            "repaired_count": self.repaired_count,
            "seconds": round(self.seconds, 3),
            "tables": [table.as_dict() for table in self.tables],
        }


def validate(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    tables: Sequence[str] | None = None,
    repair: bool = False,
    anew: bool = False,
    rows_per_second: int | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    stop: StopSignal | None = None,
) -> ValidationReport:
    """Compare the task's tables, or those named as `schema.table`, and with `repair` mend what differs.

    `rows_per_second` takes the place of what the settings say.
    With `anew`, a validation that was not finished is not gone on with.
    Differences are no error of this function: `ValidationReport.error` tells of them.
    Raise MetadataError when the task has not been set up, JobInProgressError while another validation of it
    runs, StoppedError when stopped.
    """
    started = time.monotonic()
    stop = stop or StopSignal()
    throttle = Throttle(rows_per_second or task.task.validation_settings.rows_per_second, stop)
    context = ValidationContext(task, source, target, stop, throttle, repair, patience_seconds)
    with target.connect(JOB) as control, stoppable(control, stop):
        record = ValidationRecord(control, task.task_name)
        states = _choose(control, task, tables)
        record.lock()
        before = record.begin(tables=tables or [], repairs=repair, anew=anew)
        validation = _Validation(context, record)
        found = [validation.of_table(state, before.get(state.source_oid)) for state in states]
        record.finish()
    return ValidationReport(task.task_name, tuple(found), time.monotonic() - started)


def _choose(control: Session, task: ReplicationTask, names: Sequence[str] | None) -> list[TableState]:
    if not read_place(control, task.task_name).has_task:
        raise MetadataError(f"task {task.task_name} has not been set up in this target")
    states = {state.source: state for state in read_table_states(control, task.task_name).values()}
    if not names:
        return [states[name] for name in sorted(states)]
    wanted = list(dict.fromkeys(QualifiedName.parse(name) for name in names))
    unknown = [str(name) for name in wanted if name not in states]
    if unknown:
        raise ConfigurationError(
            f"not among the task's tables: {', '.join(unknown)}; "
            f"its tables are: {', '.join(map(str, sorted(states)))}"
        )
    return [states[name] for name in wanted]


@dataclass(frozen=True, slots=True)
class _Validation:
    """Compare tables one after the other."""

    context: ValidationContext
    record: ValidationRecord

    def of_table(self, state: TableState, found: TableValidation | None) -> TableValidation:
        """Return what is found of a table; a table that was finished before is as it was found then."""
        if found is not None and found.is_finished:
            return found
        if found is None or found.position is None:
            found = self._begin(state)
        for attempt in range(_ATTEMPTS):
            try:
                self._compare(state, found)
            except TableChangedError as error:
                found = self._begin(state)
                if attempt < _ATTEMPTS - 1:
                    self.context.stop.wait(1.0)
                    self.context.stop.raise_if_set()
                    continue
                _give_up(found, error)
            except TrempyError as error:
                self.context.stop.raise_if_set()
                if error.policy is RetryPolicy.BY_ITSELF:
                    raise
                _give_up(found, error)
            break
        self.record.write(found)
        logger.info(
            "table %s: %s, %s rows, %s differences, %s repaired",
            state.source, found.state, found.row_count, found.difference_count, found.repaired_count,
        )  # fmt: skip
        return found

    def _begin(self, state: TableState) -> TableValidation:
        """Begin a table from its first row, whatever was found of it before."""
        self.record.forget(state.source_oid)
        return TableValidation(state.source_oid, str(state.source), str(state.target))

    def _compare(self, state: TableState, found: TableValidation) -> None:
        context = self.context
        if state.state is not LoadState.READY:
            found.state, found.is_finished = TableVerdict.NOT_COMPARED, True
            found.note(f"it is {state.state}: `trempy full-load` loads it")
            return
        with ExitStack() as stack:
            source = stack.enter_context(context.source.connect(JOB))
            target = stack.enter_context(context.target.connect(JOB))
            for session in (source, target):
                stack.enter_context(stoppable(session, context.stop))
            give_salts(source, read_salts(context.task, context.source))
            table = plan_comparison(context.task, state, source=source, target=target)
            self._note_ways(table, found)
            sides = Sides(table, source=source, target=target)
            repairs = context.repairs and _can_be_repaired(table)
            tolerated = _tolerated_kinds(context.task, state)
            settler = Settler(context, sides, repairs=repairs, is_repaired=lambda kind: kind not in tolerated)
            Comparing(
                context,
                sides,
                settler,
                found,
                record=lambda key, difference, outcome: self._record(table, key, difference, outcome),
                is_tolerated=lambda kind: kind in tolerated,
                on_progress=lambda: self.record.write(found),
            ).run()
        found.conclude()

    def _note_ways(self, table: ComparedTable, found: TableValidation) -> None:
        """Say how the table is compared, where that is not as it is for others."""
        self.record.write(found)
        if table.left_out:
            found.note(
                f"columns made at the moment of application are not compared: {', '.join(table.left_out)}"
            )
        if table.staged is not None:
            found.note("the source cannot compute the target's types: its rows are copied to be compared")
        if not table.key:
            found.note("without a key its rows are compared as a multiset")
        if self.context.repairs and not _can_be_repaired(table):
            why = "it has no key" if not table.key else "its rows have no versions"
            found.note(f"it cannot be repaired, {why}: use `trempy reload --table {table.state.source}`")

    def _record(self, table: ComparedTable, key: RowKey, difference: Difference, outcome: str | None) -> None:
        self.record.write_difference(
            table.state.source_oid,
            difference.kind,
            key=dict(zip(table.key, key, strict=True)) if table.key else None,
            row_count=difference.row_count,
            outcome=outcome or "found",
        )


def _give_up(found: TableValidation, error: TrempyError) -> None:
    found.state, found.is_finished = TableVerdict.NOT_COMPARED, True
    found.note(error.explanation)


def _can_be_repaired(table: ComparedTable) -> bool:
    return bool(table.key) and table.has_versions


def _tolerated_kinds(task: ReplicationTask, state: TableState) -> frozenset[DifferenceKind]:
    """Return the differences that come of operations the table does not take part in."""
    selection = task.selection_of(state.source.schema_name, state.source.table_name)
    taken = set(OperationName) if selection is None else set(selection.operations)
    if task.cdc.truncate is TruncatePolicy.IGNORE:
        taken.discard(OperationName.TRUNCATE)
    return frozenset(kind for kind, operations in _EXPLAINED_BY.items() if not operations <= taken)

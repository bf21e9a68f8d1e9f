"""Dry run: prove a task's settings before it runs, and leave nothing behind.

Pre-flight comes first; then the settings are applied to a sample of each table's rows, inside one transaction
of the target that is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from trempy_provider.broker.base import Broker
from trempy_provider.config.compilation import CompileContext
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import PreflightError, TrempyError
from trempy_provider.jobs.check import CheckReport, check
from trempy_provider.postgres.preflight_source import find_tables_with_findings
from trempy_provider.postgres.salts import give_salts, read_salts
from trempy_provider.postgres.samples import Sample, SampleTrial
from trempy_provider.postgres.session import Endpoint, Session, static_sql
from trempy_provider.postgres.tables import Table
from trempy_provider.postgres.text_collation import choose_text_collation

SAMPLE_ROWS = 1000
SHOWN_ROWS = 3
_SAVEPOINT = "trempy_sample"


@dataclass(frozen=True, slots=True)
class TableTrial:
    """What came of one table: a sample, or why there is none."""

    source: str
    target: str
    sample: Sample | None = None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the trial as plain values; rows are in it as far as they were asked for."""
        facts: dict[str, Any] = {"source": self.source, "target": self.target, "error": self.error}
        if self.sample is not None:
            facts |= {
                "rows": self.sample.rows,
                "passing_rows": self.sample.passing_rows,
                "rejected": dict(self.sample.rejected),
                "ddl": list(self.sample.ddl),
                "before": [dict(row) for row in self.sample.before],
                "after": [dict(row) for row in self.sample.after],
            }
        return facts


@dataclass(frozen=True, slots=True)
class DryRunReport:
    """The findings of the pre-flight, and what came of each table."""

    preflight: CheckReport
    tables: tuple[TableTrial, ...]

    @property
    def error(self) -> PreflightError | None:
        """Return what a command ends with when something is in the way."""
        failed = [table for table in self.tables if table.error is not None]
        if self.preflight.errors or not failed:
            return self.preflight.error
        return PreflightError(
            f"{len(failed)} table(s) failed in the dry run; the first: {failed[0].source}: {failed[0].error}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {**self.preflight.as_dict(), "tables": [table.as_dict() for table in self.tables]}


class _UndoError(Exception):
    """Roll back; nothing went wrong."""


def dry_run(
    task: ReplicationTask,
    *,
    source: Endpoint,
    target: Endpoint,
    broker: Broker | None = None,
    sample_rows: int = SAMPLE_ROWS,
    shown_rows: int = SHOWN_ROWS,
    is_unwanted: Callable[[], bool] = lambda: False,
) -> DryRunReport:
    """Look at both servers, then try the settings on the first rows of each table, and undo it.

    `shown_rows` of each table are in the report; with 0, no value of a row leaves the servers' reach.
    Once `is_unwanted` says so, no further table is tried.
    """
    preflight = check(task, source=source, target=target, broker=broker)
    try:
        with source.connect("dry_run") as source_session, target.connect("dry_run") as target_session:
            give_salts(source_session, read_salts(task, source))
            trials = _try_tables(
                task,
                source_session,
                target_session,
                sample_rows=sample_rows,
                shown_rows=shown_rows,
                is_unwanted=is_unwanted,
            )
    except TrempyError:
        if preflight.error is None:  # it names what kept the sample from being taken
            raise
        trials = ()
    return DryRunReport(preflight, trials)


def _try_tables(
    task: ReplicationTask,
    source: Session,
    target: Session,
    *,
    sample_rows: int,
    shown_rows: int,
    is_unwanted: Callable[[], bool],
) -> tuple[TableTrial, ...]:
    tables, _ = find_tables_with_findings(source, task)
    collation = choose_text_collation(source, target)
    with _one_snapshot(source), _rolled_back(target):
        trial = SampleTrial(
            task=task,
            source=source,
            target=target,
            context=CompileContext(collation=collation),
            moment=source.fetch_value("select now()"),
            sample_rows=sample_rows,
            shown_rows=shown_rows,
        )
        return tuple(_try_table(trial, table) for table in tables if not is_unwanted())


def _try_table(trial: SampleTrial, table: Table) -> TableTrial:
    """Try one table; what fails is undone, so that the next one can be tried."""
    target = str(trial.target_of(table))
    try:
        with trial.source.savepoint(_SAVEPOINT), trial.target.savepoint(_SAVEPOINT):
            return TableTrial(str(table.name), target, sample=trial.run(table))
    except TrempyError as error:
        return TableTrial(str(table.name), target, error=error.explanation)


@contextmanager
def _one_snapshot(source: Session) -> Iterator[None]:
    """Let every query of the block see the same first rows of a table."""
    with source.transaction(isolation="repeatable read", read_only=True):
        source.execute(static_sql("read_in_order"))
        yield


@contextmanager
def _rolled_back(target: Session) -> Iterator[None]:
    with suppress(_UndoError), target.transaction():
        target.execute("set local lock_timeout = '5s'")
        yield
        raise _UndoError

"""Read what the last validation of a task has found, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.validations import (
    DifferenceKind,
    TableValidation,
    TableVerdict,
    read_table_validations,
)

_WORST_FIRST = (
    TableVerdict.DIFFERENT,
    TableVerdict.NOT_COMPARED,
    TableVerdict.UNSETTLED,
    TableVerdict.REPAIRED,
    TableVerdict.EQUAL,
)


@dataclass(frozen=True, slots=True)
class LastValidation:
    """A validation as the metadata has it; without `chosen` it is of all the task's tables."""

    started_at: datetime
    finished_at: datetime | None
    repairs: bool
    chosen: tuple[str, ...]
    is_running: bool
    tables: tuple[TableValidation, ...]

    @property
    def verdict(self) -> TableVerdict | None:
        """Return the worst that is said of a table; None before the end, or when there is no table."""
        if self.finished_at is None:
            return None
        said = {table.state for table in self.tables}
        return next((verdict for verdict in _WORST_FIRST if verdict in said), None)


@dataclass(frozen=True, slots=True)
class FoundDifference:
    """A row that differs; its key is as the target has it, None where the table has none."""

    difference_id: int
    found_at: datetime
    source_name: str
    kind: DifferenceKind
    key: Mapping[str, str | None] | None = field(repr=False)
    row_count: int
    outcome: str


def read_last_validation(session: Session, task_name: str) -> LastValidation | None:
    """Return the task's last validation, None when it was never validated."""
    row = session.fetch_one(static_sql("read_validation"), {"task_name": task_name})
    if row is None:
        return None
    started_at, finished_at, repairs, chosen, is_running = row
    tables = tuple(read_table_validations(session, task_name).values())
    return LastValidation(started_at, finished_at, repairs, tuple(chosen), is_running, tables)


def read_differences(session: Session, task_name: str, *, after_id: int, limit: int) -> list[FoundDifference]:
    """Return rows that the last validation has found to differ, in the order in which it found them."""
    parameters = {"task_name": task_name, "after_id": after_id, "limit": limit}
    return [
        FoundDifference(found_id, at, name, DifferenceKind(kind), key, row_count, outcome)
        for found_id, at, name, kind, key, row_count, outcome in session.fetch_all(
            static_sql("list_validation_differences"), parameters
        )
    ]

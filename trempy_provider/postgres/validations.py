"""What the last validation of each task has found, and how far it is, in the target."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any

from trempy_provider.errors import JobInProgressError
from trempy_provider.postgres.comparison import RowKey
from trempy_provider.postgres.metadata import schema_required
from trempy_provider.postgres.session import Session, static_sql

MOST_DIFFERENCES = 1000  # whose keys are kept, of each table


class DifferenceKind(str, Enum):
    """What the target has of a row that the source has, or has not."""

    MISSING = "missing"
    DIFFERENT = "different"
    EXTRA = "extra"

    __str__ = str.__str__


class TableVerdict(str, Enum):
    """What a validation says of a table."""

    RUNNING = "running"
    EQUAL = "equal"
    DIFFERENT = "different"
    REPAIRED = "repaired"
    UNSETTLED = "unsettled"
    NOT_COMPARED = "not_compared"

    __str__ = str.__str__


@dataclass(slots=True)
class TableValidation:
    """One row of trempy.table_validations: how far a table is, and what was found."""

    source_oid: int
    source_name: str
    target_name: str
    state: TableVerdict = TableVerdict.RUNNING
    position: RowKey | None = None
    row_count: int = 0
    range_count: int = 0
    missing_count: int = 0
    different_count: int = 0
    extra_count: int = 0
    tolerated_count: int = 0
    failing_count: int = 0
    unsettled_count: int = 0
    repaired_count: int = 0
    failed_count: int = 0
    notes: list[str] = field(default_factory=list)
    is_finished: bool = False

    @property
    def difference_count(self) -> int:
        """Return how many rows differ, whether repaired since or not."""
        return self.missing_count + self.different_count + self.extra_count

    def count(self, kind: DifferenceKind, row_count: int) -> None:
        """Count rows that differ."""
        name = f"{kind}_count"
        setattr(self, name, getattr(self, name) + row_count)

    def note(self, text: str) -> None:
        """Add a sentence to the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def conclude(self) -> None:
        """Say what it comes to."""
        self.is_finished = True
        self.position = None
        if self.difference_count > self.repaired_count:
            self.state = TableVerdict.DIFFERENT
        elif self.unsettled_count:
            self.state = TableVerdict.UNSETTLED
        else:
            self.state = TableVerdict.REPAIRED if self.difference_count else TableVerdict.EQUAL

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain values; no keys."""
        facts = asdict(self)
        for name in ("source_oid", "position", "is_finished"):
            facts.pop(name)
        names = {"table": facts.pop("source_name"), "target": facts.pop("target_name")}
        return {**names, **facts, "state": str(self.state)}


class ValidationRecord:
    """The record of a running validation; hold its lock by keeping the session open."""

    def __init__(self, session: Session, task_name: str) -> None:
        self._session = session
        self._task_name = task_name

    def lock(self) -> None:
        """Keep other validations of the task away; raise JobInProgressError when there is one."""
        if not self._session.fetch_value(static_sql("try_validation_lock"), self._of_task()):
            raise JobInProgressError(f"task {self._task_name} is being validated by another process")

    def begin(self, *, tables: Sequence[str], repairs: bool, anew: bool) -> dict[int, TableValidation]:
        """Go on with the last validation if it is unfinished and asked for the same, or begin another.

        Return the tables it has come to.
        """
        parameters = self._of_task(tables=sorted(tables), repairs=repairs)
        with schema_required():
            if not anew and self._session.fetch_value(static_sql("find_unfinished_validation"), parameters):
                return read_table_validations(self._session, self._task_name)
            with self._session.transaction():
                self._session.execute(static_sql("forget_validation"), parameters)
                self._session.execute(static_sql("insert_validation"), parameters)
        return {}

    def forget(self, source_oid: int) -> None:
        """Forget what was found of a table."""
        self._session.execute(static_sql("forget_table_validation"), self._of_task(source_oid=source_oid))

    def write(self, table: TableValidation) -> None:
        """Record how far a table is."""
        fields = asdict(table)
        fields["position"] = None if table.position is None else list(table.position)
        fields["state"] = str(table.state)
        self._session.execute(static_sql("write_table_validation"), self._of_task(**fields))

    def write_difference(
        self,
        source_oid: int,
        kind: DifferenceKind,
        *,
        key: dict[str, str | None] | None,
        row_count: int,
        outcome: str,
    ) -> None:
        """Record a row that differs, by its key as the target has it."""
        parameters = self._of_task(
            source_oid=source_oid,
            kind=str(kind),
            key_values=None if key is None else json.dumps(key),
            row_count=row_count,
            outcome=outcome,
            most=MOST_DIFFERENCES,
        )
        self._session.execute(static_sql("insert_validation_difference"), parameters)

    def finish(self) -> None:
        """End the validation."""
        self._session.execute(static_sql("finish_validation"), self._of_task())

    def _of_task(self, **more: Any) -> dict[str, Any]:
        return {"task_name": self._task_name, **more}


def read_table_validations(session: Session, task_name: str) -> dict[int, TableValidation]:
    """Return the tables that a task's last validation has come to, by their OID on the source."""
    rows = session.fetch_all(static_sql("read_table_validations"), {"task_name": task_name})
    return {row[0]: _table_validation(row) for row in rows}


def _table_validation(row: tuple[Any, ...]) -> TableValidation:
    values = dict(zip([column.name for column in fields(TableValidation)], row, strict=True))
    position = values["position"]
    values["position"] = None if position is None else tuple(position)
    return TableValidation(**{**values, "state": TableVerdict(values["state"])})

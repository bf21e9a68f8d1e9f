"""What one transaction of the target has applied."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.replication.changes import Operation
from trempy_provider.replication.exact_reasons import ExactReason


@dataclass(slots=True)
class AppliedCounts:
    """Changes by table and operation, and rows that could not be written by table.

    `paths` counts row changes by table and by why they were applied one by one; None: as arrays.
    """

    changes: Counter[tuple[int, Operation]] = field(default_factory=Counter)
    paths: Counter[tuple[int, ExactReason | None]] = field(default_factory=Counter)
    errors: Counter[int] = field(default_factory=Counter)

    @property
    def change_count(self) -> int:
        """All changes."""
        return sum(self.changes.values())

    @property
    def error_count(self) -> int:
        """All rows that could not be written."""
        return sum(self.errors.values())

    def record(self, session: Session, task_name: str) -> None:
        """Add them to the counts of the task's tables, in the open transaction."""
        oids = sorted({*(oid for oid, _ in self.changes), *self.errors})
        if not oids:
            return
        counts = {
            f"{operation.value}s": [self.changes[oid, operation] for oid in oids] for operation in Operation
        }
        errors = [self.errors[oid] for oid in oids]
        parameters = {"task_name": task_name, "source_oids": oids, "errors": errors, **counts}
        session.execute(static_sql("add_change_counts"), parameters)

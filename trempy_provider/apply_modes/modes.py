"""The table of apply modes.

Modes that write rows as they are say by which statements; `scd2` has a writer of its own, see `writers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trempy_provider.apply_modes import default, upsert
from trempy_provider.apply_modes.projection import Projection
from trempy_provider.apply_modes.statements import Statement
from trempy_provider.config.choices import ApplyModeName
from trempy_provider.config.options import ErrorHandling
from trempy_provider.replication.changes import Change, Operation


@dataclass(frozen=True, slots=True)
class ApplyMode:
    """Which setting stops the task at an error, by the operation of the change that failed."""

    stop_options: dict[Operation, str]

    def stops_at(self, operation: Operation, policy: ErrorHandling) -> bool:
        """Tell whether an error in a row of this operation stops the task."""
        return bool(getattr(policy, self.stop_options[operation]))


@dataclass(frozen=True, slots=True)
class RowMode(ApplyMode):
    """How staged groups and single rows are written."""

    group_statements: Callable[..., list[Statement]]
    row_statements: Callable[[Projection, Change], list[Statement]]


APPLY_MODES: dict[ApplyModeName, ApplyMode] = {
    ApplyModeName.DEFAULT: RowMode(
        group_statements=default.group_statements,
        row_statements=default.row_statements,
        stop_options={
            Operation.INSERT: "stop_if_insert_error",
            Operation.UPDATE: "stop_if_update_error",
            Operation.DELETE: "stop_if_delete_error",
        },
    ),
    ApplyModeName.UPSERT: RowMode(
        group_statements=upsert.group_statements,
        row_statements=upsert.row_statements,
        stop_options={
            Operation.INSERT: "stop_if_upsert_error",
            Operation.UPDATE: "stop_if_upsert_error",
            Operation.DELETE: "stop_if_delete_error",
        },
    ),
    ApplyModeName.SCD2: ApplyMode(
        stop_options={
            Operation.INSERT: "stop_if_scd2_error",
            Operation.UPDATE: "stop_if_scd2_error",
            Operation.DELETE: "stop_if_scd2_error",
        },
    ),
}

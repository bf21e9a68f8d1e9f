"""The table of apply modes."""

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
    """How staged groups and single rows are written, and which setting stops the task at an error."""

    group_statements: Callable[..., list[Statement]]
    row_statements: Callable[[Projection, Change], list[Statement]]
    stop_options: dict[Operation, str]

    def stops_at(self, operation: Operation, policy: ErrorHandling) -> bool:
        """Tell whether an error in a row of this operation stops the task."""
        return bool(getattr(policy, self.stop_options[operation]))


APPLY_MODES = {
    ApplyModeName.DEFAULT: ApplyMode(
        group_statements=default.group_statements,
        row_statements=default.row_statements,
        stop_options={
            Operation.INSERT: "stop_if_insert_error",
            Operation.UPDATE: "stop_if_update_error",
            Operation.DELETE: "stop_if_delete_error",
        },
    ),
    ApplyModeName.UPSERT: ApplyMode(
        group_statements=upsert.group_statements,
        row_statements=upsert.row_statements,
        stop_options={
            Operation.INSERT: "stop_if_upsert_error",
            Operation.UPDATE: "stop_if_upsert_error",
            Operation.DELETE: "stop_if_delete_error",
        },
    ),
}

"""Who writes the changes of a table, by the task's mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from trempy_provider.apply_modes.projection import Projection
from trempy_provider.apply_modes.row_errors import RowErrors
from trempy_provider.apply_modes.scd2 import VersionWriter
from trempy_provider.apply_modes.table_writer import TableWriter
from trempy_provider.config.choices import ApplyModeName
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.tables import QualifiedName, Table
from trempy_provider.replication.changes import Change
from trempy_provider.replication.columnar import Bytes
from trempy_provider.replication.columnar_batch import TableRows
from trempy_provider.replication.exact_reasons import ExactReason


class Writer(Protocol):
    """Apply changes within a session's open transaction; `errors` counts the rows that could not be.

    `takes_arrays` tells whether it is worth reading batches as arrays for `write_rows`.
    """

    takes_arrays: bool
    errors: RowErrors

    def begin(self) -> None:
        """Note that a new transaction starts."""

    def forget(self) -> None:
        """Forget what was made, after a roll-back or when target tables may have changed."""

    def write(self, projection: Projection, changes: Iterable[Change]) -> None:
        """Apply changes of one table and shape, in order."""

    def write_rows(self, projection: Projection, table: TableRows, buffer: Bytes, /) -> ExactReason | None:
        """Apply all changes of a table at once, as arrays; when nothing was done, return why."""

    def truncate(self, change: Change, targets: Sequence[Table]) -> None:
        """Apply a truncate to some target tables."""


def open_writer(
    session: Session, task: ReplicationTask, *, recorded_as: QualifiedName | None = None
) -> Writer:
    """Return the writer of the task's mode."""
    make = VersionWriter if task.cdc.mode is ApplyModeName.SCD2 else TableWriter
    return make(session, task, recorded_as=recorded_as)

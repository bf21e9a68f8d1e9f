"""What the task has recorded in the target: how far its load and its changes are."""

from dataclasses import dataclass
from typing import Any

import psycopg2

LOAD = """
select count(*) filter (where state = 'ready'),
       count(*),
       coalesce(sum(loaded_rows), 0)::bigint,
       coalesce(sum(greatest(estimated_rows, loaded_rows)), 0)::bigint
from trempy.table_states
where task_name = %(task_name)s
"""
# The age of the last applied commit is the lag, as long as commits follow each other closely.
PROGRESS = """
select (checkpoints.end_lsn - '0/0'::pg_lsn)::bigint,
       coalesce(extract(epoch from clock_timestamp() - checkpoints.committed_at), 0)::float8,
       checkpoints.transaction_count,
       checkpoints.change_count
from trempy.checkpoints
where task_name = %(task_name)s
"""
STOP_REASON = "select stop_reason from trempy.tasks where task_name = %(task_name)s"


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far the full load is."""

    ready_tables: int
    tables: int
    loaded_rows: int
    estimated_rows: int


@dataclass(frozen=True, slots=True)
class ChangeProgress:
    """How far apply is; the LSN is a number of bytes."""

    applied_lsn: int
    lag_seconds: float
    transaction_count: int
    change_count: int


class Metadata:
    """One connection to the target's `trempy` schema."""

    def __init__(self, uri: str, *, task_name: str):
        self._connection = psycopg2.connect(uri, application_name="demo")
        self._connection.autocommit = True
        self._parameters = {"task_name": task_name}

    def load_progress(self) -> LoadProgress | None:
        """Return the load's progress; None before the task is set up."""
        row = self._read(LOAD)
        return None if row is None else LoadProgress(*row)

    def change_progress(self) -> ChangeProgress | None:
        """Return the progress of apply; None before the task is set up."""
        row = self._read(PROGRESS)
        return None if row is None else ChangeProgress(*row)

    def stop_reason(self) -> str | None:
        """Return why the task waits for a person, None while all is well."""
        row = self._read(STOP_REASON)
        return None if row is None else row[0]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read(self, query: str) -> Any:
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(query, self._parameters)
            except (psycopg2.errors.InvalidSchemaName, psycopg2.errors.UndefinedTable):
                return None
            return cursor.fetchone()

"""One setup, refresh or teardown of a task at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trempy_provider.errors import JobInProgressError
from trempy_provider.postgres.session import Session, static_sql


@contextmanager
def setup_lock(target: Session, task_name: str) -> Iterator[None]:
    """Hold the task's setup lock while the block runs; it goes with the session, however that ends.

    Raise JobInProgressError, naming the process, when somebody else has it.
    """
    parameters = {"task_name": task_name}
    if not target.fetch_value(static_sql("try_setup_lock"), parameters):
        pid = target.fetch_value(static_sql("read_setup_lock_pid"), parameters)
        raise JobInProgressError(
            f"task {task_name} is being set up, refreshed or torn down by process {pid} of the target"
        )
    try:
        yield
    finally:
        if not target.closed:
            target.fetch_value(static_sql("release_setup_lock"), parameters)

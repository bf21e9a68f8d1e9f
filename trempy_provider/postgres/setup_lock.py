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
        pid = _read_pid(target, task_name)
        raise JobInProgressError(
            f"task {task_name} is being set up, refreshed or torn down by process {pid} of the target"
        )
    try:
        yield
    finally:
        if not target.closed:
            target.fetch_value(static_sql("release_setup_lock"), parameters)


def is_setting_up(target: Session, task_name: str) -> bool:
    """Tell whether somebody has the task's setup lock."""
    return _read_pid(target, task_name) is not None


def _read_pid(target: Session, task_name: str) -> int | None:
    pid = target.fetch_value(static_sql("read_setup_lock_pid"), {"task_name": task_name})
    return None if pid is None else int(pid)

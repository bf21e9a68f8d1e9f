"""Options that are valid but that this version does not execute: named, never ignored."""

from __future__ import annotations

from collections.abc import Iterator

from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.wording import show
from trempy_provider.errors import FieldProblem, UnsupportedOptionError

_REASON = "not executed by this version"


def find_unsupported(task: ReplicationTask) -> list[FieldProblem]:
    """Return every option of the task that this version does not execute."""
    return list(_task_options(task))


def refuse_unsupported(task: ReplicationTask, *, origin: str) -> None:
    """Raise UnsupportedOptionError, naming every option that is not executed, if there is one."""
    problems = find_unsupported(task)
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise UnsupportedOptionError(f"{origin}: options that this version does not execute{lines}")


def _task_options(task: ReplicationTask) -> Iterator[FieldProblem]:
    if task.metadata_conn_id != task.target_conn_id:
        yield FieldProblem(
            "task.metadata_conn_id",
            _REASON,
            show(task.metadata_conn_id),
            f"null or {show(task.target_conn_id)}",
        )

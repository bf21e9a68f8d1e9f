"""What the routes share: the tasks, their servers, and how quickly counters grow."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, HTTPException, Request, status

from trempy_provider.config.dag_names import all_dag_ids_of
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import SettingsError
from trempy_provider.plugins.api.airflow_access import CurrentUser, User
from trempy_provider.plugins.api.long_calls import LongCalls
from trempy_provider.plugins.api.rates import Rates
from trempy_provider.plugins.api.rights import require_logs, require_readable
from trempy_provider.plugins.api.servers import Servers, Sparklines
from trempy_provider.plugins.api.shared_reads import Read, SharedReads
from trempy_provider.plugins.api.tasks import KnownTask, KnownTasks, TaskSettings

TASKS = "tasks"


class PageState:
    """One for each process of the API server."""

    def __init__(self) -> None:
        self._reads = SharedReads()
        self._settings = TaskSettings()
        self.servers = Servers(self._reads)
        self.sparklines = Sparklines(SharedReads(workers=4, fresh_seconds=20.0, wait_seconds=1.0))
        self.rates = Rates()
        self.long_calls = LongCalls()

    def tasks(self) -> KnownTasks:
        """Return all tasks, as of a moment ago; raise SettingsError when Airflow's database is silent."""
        answer = self._reads.read({TASKS: Read(frozenset(), self._settings.read)})[TASKS]
        if answer.value is None:
            raise SettingsError(f"the tasks cannot be looked up: {answer.problem}")
        return cast("KnownTasks", answer.value)

    def forget_tasks(self) -> None:
        """Look the tasks up anew when they are asked for next."""
        self._reads.forget(TASKS)


def page_state(request: Request) -> PageState:
    """Return the app's state."""
    return cast("PageState", request.app.state.page)


State = Annotated[PageState, Depends(page_state)]


def _permitted_name(name: str, user: CurrentUser, state: State) -> str:
    """Return the name of a task, or of one that may be made: 403 when its DAGs may not be looked at."""
    known = state.tasks().by_name.get(name)
    require_readable(user, list((all_dag_ids_of(name) if known is None else known.dag_ids).values()))
    return name


def _readable_task(name: str, user: CurrentUser, state: State) -> KnownTask:
    """Return a task that the user may look at: 403 otherwise, and 404 when there is none of that name."""
    return _find(name, user, state, needs_logs=False)


def _task_with_logs(name: str, user: CurrentUser, state: State) -> KnownTask:
    return _find(name, user, state, needs_logs=True)


def _find(name: str, user: User, state: PageState, *, needs_logs: bool) -> KnownTask:
    known = state.tasks().by_name.get(name)
    ids = list((all_dag_ids_of(name) if known is None else known.dag_ids).values())
    (require_logs if needs_logs else require_readable)(user, ids)
    if known is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"there is no replication task {name!r}")
    return known


PermittedName = Annotated[str, Depends(_permitted_name)]
ReadableTask = Annotated[KnownTask, Depends(_readable_task)]
TaskWithLogs = Annotated[KnownTask, Depends(_task_with_logs)]


def valid(known: KnownTask) -> ReplicationTask:
    """Return the task's valid settings; raise 409 with what is wrong with them."""
    if known.task is None:
        raise HTTPException(status.HTTP_409_CONFLICT, known.problem)
    return known.task

"""Who may do what on the page; Airflow's auth manager decides.

Reading a task needs the right to look at its DAGs, all of them.
What may show values of rows (errors, dead letters, keys of rows that differ) needs the right to read the logs
of its DAGs, too, and its settings the right to read its Variable.
An action needs the right to start runs of the DAG that it starts, and where it pauses a DAG or lets it run,
the right to change that DAG.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import HTTPException, Request, status

from trempy_provider.plugins.api.airflow_access import (
    CurrentUser,
    Method,
    User,
    base_url,
    may_read_logs,
    may_use_variable,
    readable_dags,
)
from trempy_provider.plugins.api.tasks import KnownTask

ACTION_HEADER = "X-Trempy-Action"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def refuse_foreign_pages(request: Request, _user: CurrentUser) -> None:
    """Refuse what another site's page may have sent in the name of a user who is logged in.

    Forms of other sites cannot set a header of their own, and scripts of theirs may not.
    """
    if request.method in SAFE_METHODS:
        return
    if request.headers.get(ACTION_HEADER) != "1":
        raise _forbidden(f"the request lacks the header {ACTION_HEADER}: 1")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc not in _own_hosts(request):
        raise _forbidden("the request comes from the page of another site")


def readable_tasks(user: User, tasks: list[KnownTask]) -> list[KnownTask]:
    """Return those tasks all of whose DAGs the user may look at."""
    wanted = {dag_id for known in tasks for dag_id in known.dag_ids.values()}
    readable = readable_dags(user, wanted)
    return [known for known in tasks if readable.issuperset(known.dag_ids.values())]


def require_readable(user: User, dag_ids: list[str]) -> None:
    """Raise 403 unless the user may look at all of the DAGs."""
    if not readable_dags(user, dag_ids).issuperset(dag_ids):
        raise _forbidden("you may not look at the DAGs of this task")


def require_logs(user: User, dag_ids: list[str]) -> None:
    """Raise 403 unless the user may read the logs of all of the DAGs."""
    require_readable(user, dag_ids)
    if not all(may_read_logs(user, dag_id) for dag_id in dag_ids):
        raise _forbidden("you may not read the logs of this task's DAGs")


def require_variable(user: User, key: str, *, method: Method) -> None:
    """Raise 403 unless the user may read (GET), create (POST) or change (PUT) a Variable."""
    if not may_use_variable(user, key, method=method):
        words = {"GET": "look at", "POST": "create", "PUT": "change"}
        raise _forbidden(f"you may not {words[method]} the Variable {key}")


def _own_hosts(request: Request) -> set[str]:
    return {request.headers.get("host", ""), urlsplit(base_url()).netloc} - {""}


def _forbidden(detail: str) -> HTTPException:
    return HTTPException(status.HTTP_403_FORBIDDEN, detail)

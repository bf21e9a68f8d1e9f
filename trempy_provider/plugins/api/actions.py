"""The route of actions: each of them starts a run of one of the task's DAGs, and answers with that run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, HTTPException, Request, status
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trempy_provider.plugins.api.airflow_access import (
    CannotStartError,
    CurrentUser,
    may_change_dag,
    start_run,
)
from trempy_provider.plugins.api.permissions import ACTIONS, changed_dags, is_possible, may_act
from trempy_provider.plugins.api.state import ReadableTask
from trempy_provider.plugins.api.tasks import KnownTask

ALL = "all"
router = APIRouter()


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Tables(_Params):
    tables: Annotated[list[str], Field(min_length=1)]


class _Validation(_Params):
    tables: list[str] = []
    repair: bool | None = None


class _Letters(_Params):
    ids: Annotated[list[str], Field(min_length=1)] | str


class _Confirmed(_Params):
    confirm: str = ""


Params = Mapping[str, Any]


def _full_load(_known: KnownTask, given: Params) -> Params:
    _Params(**given)
    return {"reload": True}


def _reload(_known: KnownTask, given: Params) -> Params:
    return {"tables": _Tables(**given).tables, "reload": True}


def _validation(_known: KnownTask, given: Params) -> Params:
    return _Validation(**given).model_dump(exclude_defaults=True)


def _replay(_known: KnownTask, given: Params) -> Params:
    ids = _Letters(**given).ids
    if isinstance(ids, str) and ids != ALL:
        raise _refused("ids", f"{ids!r} is neither a list of ids nor {ALL!r}")
    return {"action": "replay_dead_letters", "message_ids": [] if isinstance(ids, str) else ids}


def _discard(_known: KnownTask, given: Params) -> Params:
    ids = _Letters(**given).ids
    if isinstance(ids, str):
        raise _refused("ids", "what is discarded has to be named, one by one")
    return {"action": "discard_dead_letters", "message_ids": ids}


def _tear_down(known: KnownTask, given: Params) -> Params:
    typed = _Confirmed(**given).confirm
    if typed != known.name:
        raise _refused("confirm", f"is {typed!r}; expected the name of the task, {known.name!r}")
    return {"action": "tear_down", "confirm": typed}


def _plain(action: str) -> Callable[[KnownTask, Params], Params]:
    def params(_known: KnownTask, given: Params) -> Params:
        _Params(**given)
        return {"action": action}

    return params


PARAMS: Mapping[str, Callable[[KnownTask, Params], Params]] = {
    "full_load": _full_load,
    "reload_tables": _reload,
    "pause": _plain("pause"),
    "resume": _plain("resume"),
    "refresh_tables": _plain("refresh_tables"),
    "replay_dead_letters": _replay,
    "discard_dead_letters": _discard,
    "validate": _validation,
    "sync_sequences": _plain("sync_sequences"),
    "tear_down": _tear_down,
}
PAUSING = frozenset({"pause", "tear_down"})


@router.post("/tasks/{name}/actions/{action}", status_code=status.HTTP_202_ACCEPTED)
def act(
    action: str,
    known: ReadableTask,
    user: CurrentUser,
    request: Request,
    given: Annotated[dict[str, Any] | None, Body()] = None,
) -> dict[str, Any]:
    """Start what was asked for."""
    asked = ACTIONS.get(action)
    if asked is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"there is no action {action!r}")
    if not is_possible(known, asked):
        detail = f"task {known.name} has no DAG for {action}: it does not follow changes, or loads no rows"
        raise HTTPException(status.HTTP_409_CONFLICT, detail)
    if not may_act(user, known, asked):
        raise HTTPException(status.HTTP_403_FORBIDDEN, f"you may not start {action} of task {known.name}")
    dag_id, changed = known.dag_ids[asked.purpose], changed_dags(known, asked)
    let_run = [dag_id] if may_change_dag(user, dag_id) else []
    try:
        started = start_run(
            user,
            dag_id,
            params=PARAMS[action](known, given or {}),
            note=f"{action}, from the page Replication",
            pausing=changed if action in PAUSING else (),
            unpausing=let_run if action in PAUSING else [*let_run, *changed],
        )
    except ValidationError as error:
        raise _invalid(error) from error
    except (LookupError, CannotStartError) as error:
        raise HTTPException(status.HTTP_409_CONFLICT, str(error)) from error
    except ValueError as error:
        raise _refused("params", str(error)) from error
    return {
        "dag_id": started.dag_id,
        "run_id": started.run_id,
        "url": _run_url(request, started.dag_id, started.run_id),
    }


def _run_url(request: Request, dag_id: str, run_id: str) -> str:
    """Return the run's page in Airflow, below the same prefix as this page."""
    prefix = str(request.scope.get("root_path", "")).removesuffix("/trempy")
    return f"{prefix}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def _refused(path: str, message: str) -> HTTPException:
    return HTTPException(
        status.HTTP_422_UNPROCESSABLE_CONTENT, {"problems": [{"path": path, "message": message}]}
    )


def _invalid(error: ValidationError) -> HTTPException:
    problems = [
        {"path": ".".join(map(str, problem["loc"])), "message": problem["msg"]} for problem in error.errors()
    ]
    return HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, {"problems": problems})

"""All that the page uses of Airflow's insides; no other module of it imports Airflow's server.

Users and their rights come from Airflow's auth manager, so that whatever manager is configured decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pendulum
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import (
    ConnectionDetails,
    DagAccessEntity,
    DagDetails,
    VariableDetails,
)
from airflow.api_fastapi.common.dagbag import create_dag_bag
from airflow.api_fastapi.core_api.security import get_user
from airflow.configuration import conf
from airflow.models.connection import Connection
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.log import Log
from airflow.models.variable import Variable
from airflow.sdk import SecretCache
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from fastapi import Depends
from sqlalchemy import func, select
from sqlalchemy.orm import Session

User = BaseUser
current_user = get_user
CurrentUser = Annotated[BaseUser, Depends(current_user)]
OVERRIDES_PARAMS = "dag_run_conf_overrides_params"
Method = Literal["GET", "POST", "PUT"]


@dataclass(frozen=True, slots=True)
class DagFacts:
    """What Airflow knows of a DAG and of its newest run."""

    is_paused: bool
    last_run_state: str | None = None


def base_url() -> str:
    """Return the address under which users see Airflow, "" where none is configured."""
    return str(conf.get("api", "base_url", fallback="") or "")


def readable_dags(user: User, dag_ids: Collection[str]) -> set[str]:
    """Return those of the DAGs that the user may look at."""
    by_team: dict[str | None, set[str]] = {}
    for dag_id, team in _teams(dag_ids).items():
        by_team.setdefault(team, set()).add(dag_id)
    manager = get_auth_manager()
    return {
        dag_id
        for team, ids in by_team.items()
        for dag_id in manager.filter_authorized_dag_ids(dag_ids=ids, user=user, method="GET", team_name=team)
    }


def may_change_dag(user: User, dag_id: str) -> bool:
    """Tell whether the user may pause the DAG and let it run."""
    return _may_dag(user, dag_id, method="PUT")


def may_trigger_dag(user: User, dag_id: str) -> bool:
    """Tell whether the user may start runs of the DAG."""
    return _may_dag(user, dag_id, method="POST", entity=DagAccessEntity.RUN)


def may_read_logs(user: User, dag_id: str) -> bool:
    """Tell whether the user may read what tasks of the DAG have logged."""
    return _may_dag(user, dag_id, method="GET", entity=DagAccessEntity.TASK_LOGS)


def may_use_variable(user: User, key: str, *, method: Method) -> bool:
    """Tell whether the user may read (GET), create (POST) or change (PUT) a Variable."""
    details = VariableDetails(key=key, team_name=Variable.get_team_name(key))
    return bool(get_auth_manager().is_authorized_variable(method=method, details=details, user=user))


def may_create_variables(user: User) -> bool:
    """Tell whether the user may create Variables, whatever their keys."""
    return bool(get_auth_manager().is_authorized_variable(method="POST", details=None, user=user))


def may_read_connection(user: User, conn_id: str) -> bool:
    """Tell whether the user may look at a connection."""
    details = ConnectionDetails(conn_id=conn_id, team_name=Connection.get_team_name(conn_id))
    return bool(get_auth_manager().is_authorized_connection(method="GET", details=details, user=user))


def readable_connections(user: User) -> dict[str, str]:
    """Return the types of those connections of Airflow's database that the user may look at, by their ids."""
    readable = get_auth_manager().get_authorized_connections(user=user, method="GET")
    with create_session() as session:
        found = session.execute(select(Connection.conn_id, Connection.conn_type)).all()
    return {conn_id: conn_type or "" for conn_id, conn_type in found if conn_id in readable}


def find_dags(dag_ids: Collection[str]) -> dict[str, DagFacts]:
    """Return what Airflow knows of those DAGs that it has parsed."""
    newest = select(func.max(DagRun.id)).where(DagRun.dag_id.in_(dag_ids)).group_by(DagRun.dag_id)
    with create_session() as session:
        dags = session.execute(
            select(DagModel.dag_id, DagModel.is_paused).where(
                DagModel.dag_id.in_(dag_ids), ~DagModel.is_stale
            )
        ).all()
        runs = session.execute(select(DagRun.dag_id, DagRun.state).where(DagRun.id.in_(newest))).all()
    states = {dag_id: None if state is None else str(state) for dag_id, state in runs}
    return {dag_id: DagFacts(bool(is_paused), states.get(dag_id)) for dag_id, is_paused in dags}


@dataclass(frozen=True, slots=True)
class Started:
    """A run that has been asked for."""

    dag_id: str
    run_id: str


class CannotStartError(Exception):
    """Airflow would not run what is asked for, or not as it is asked for."""


def start_run(
    user: User,
    dag_id: str,
    *,
    params: Mapping[str, Any],
    note: str,
    pausing: Collection[str] = (),
    unpausing: Collection[str] = (),
) -> Started:
    """Start a run of a DAG in the user's name, and pause DAGs or let them run; all of it or nothing.

    Raise LookupError when Airflow does not know the DAG (yet), ValueError for params that it refuses, and
    CannotStartError when the DAG is paused and not to be let run, or would not get its params.
    """
    if params and not conf.getboolean("core", OVERRIDES_PARAMS):
        raise CannotStartError(
            f"Airflow's option [core] {OVERRIDES_PARAMS} is False: the run would ignore what it is to do."
            " Set it to True in the configuration of all components."
        )
    with create_session() as session:
        model = session.scalar(select(DagModel).where(DagModel.dag_id == dag_id, ~DagModel.is_stale))
        dag = None
        if model is not None:
            dag = create_dag_bag().get_latest_version_of_dag(dag_id, session=session)
        if model is None or dag is None:
            raise LookupError(f"Airflow does not know the DAG {dag_id} yet")
        if model.is_paused and dag_id not in unpausing:
            raise CannotStartError(
                f"the DAG {dag_id} is paused, and you may not change it: ask somebody who may to unpause it"
            )
        now = pendulum.now("UTC")
        run = dag.create_dagrun(
            run_id=dag.timetable.generate_run_id(
                run_type=DagRunType.MANUAL, run_after=now, data_interval=None
            ),
            logical_date=None,
            data_interval=None,
            run_after=now,
            conf=dict(params),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
            state=DagRunState.QUEUED,
            session=session,
        )
        run.note = (note, user.get_id())
        _set_paused(session, user, pausing, is_paused=True)
        _set_paused(session, user, unpausing, is_paused=False)
        session.add(_audit(user, "trempy_start_run", dag_id=dag_id, run_id=run.run_id, extra=note))
        return Started(dag_id, run.run_id)


def read_variables(prefix: str) -> dict[str, str]:
    """Return the Variables of Airflow's database whose keys begin with `prefix`."""
    with create_session() as session:
        query = select(Variable).where(Variable.key.startswith(prefix, autoescape=True))
        found: Iterable[Any] = session.scalars(query)
        return {variable.key: variable.val for variable in found if variable.val is not None}


class ChangedMeanwhileError(Exception):
    """Somebody else has saved the Variable in between, or it is there already."""


def save_variable(user: User, key: str, text: str, *, expected: str | None) -> None:
    """Save a Variable in Airflow's database if it still is what was `expected`, None: if there is none.

    Raise ChangedMeanwhileError otherwise.
    """
    with create_session() as session:
        present = session.scalar(select(Variable).where(Variable.key == key).with_for_update())
        if (None if present is None else present.val) != expected:
            raise ChangedMeanwhileError(key)
        if present is None:
            session.add(Variable(key=key, val=text))
        else:
            present.set_val(text)
        session.add(_audit(user, "trempy_save_settings", extra=key))
    SecretCache.invalidate_variable(key, team_name=Variable.get_team_name(key))


def note_deed(user: User, event: str, *, extra: str) -> None:
    """Write into Airflow's audit log what a user has done."""
    with create_session() as session:
        session.add(_audit(user, event, extra=extra))


def _set_paused(session: Session, user: User, dag_ids: Collection[str], *, is_paused: bool) -> None:
    for model in session.scalars(select(DagModel).where(DagModel.dag_id.in_(dag_ids))):
        if model.is_paused is not is_paused:
            model.is_paused = is_paused
            event = "trempy_pause" if is_paused else "trempy_unpause"
            session.add(_audit(user, event, dag_id=model.dag_id))


def _audit(user: User, event: str, *, extra: str | None = None, **where: str) -> Log:
    """Return an entry of Airflow's audit log."""
    name = user.get_name()
    return Log(event=event, task_instance=None, owner=name, owner_display_name=name, extra=extra, **where)


def _may_dag(user: User, dag_id: str, *, method: Method, entity: DagAccessEntity | None = None) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(
        get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)
    )


def _teams(dag_ids: Collection[str]) -> Mapping[str, str | None]:
    if not conf.getboolean("core", "multi_team", fallback=False):
        return dict.fromkeys(dag_ids)
    known = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))
    return {dag_id: known.get(dag_id) for dag_id in dag_ids}

"""All that the page uses of Airflow's insides; no other module of it imports Airflow's server.

Users and their rights come from Airflow's auth manager, so that whatever manager is configured decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import (
    DagAccessEntity,
    DagDetails,
    VariableDetails,
)
from airflow.api_fastapi.core_api.security import get_user
from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from fastapi import Depends
from sqlalchemy import func, select

User = BaseUser
current_user = get_user
CurrentUser = Annotated[BaseUser, Depends(current_user)]
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


def read_variables(prefix: str) -> dict[str, str]:
    """Return the Variables of Airflow's database whose keys begin with `prefix`."""
    with create_session() as session:
        query = select(Variable).where(Variable.key.startswith(prefix, autoescape=True))
        found: Iterable[Any] = session.scalars(query)
        return {variable.key: variable.val for variable in found if variable.val is not None}


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

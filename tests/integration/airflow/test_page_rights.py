"""What the page does in Airflow's database, and for whom, with an auth manager that a test can command."""

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow import settings as airflow_settings
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.sdk import SecretCache
from airflow.utils.session import create_session
from sqlalchemy import select

from tests.integration.airflow.conftest import make_settings
from tests.support.page import Page
from tests.support.served_app import serving_app
from trempy_provider.config.dag_names import all_dag_ids_of
from trempy_provider.plugins.api import airflow_access, app

NAME = "shop"
VALIDATE = "trempy_shop_validate"


class Manager:
    """Allows everything but what a test takes away."""

    def __init__(self):
        self.changeable = set(all_dag_ids_of(NAME).values())
        self.may_use_variables = True

    def filter_authorized_dag_ids(self, *, dag_ids, **_):
        return set(dag_ids)

    def is_authorized_dag(self, *, method, details, **_):
        return method != "PUT" or details.id in self.changeable

    def is_authorized_variable(self, **_):
        return self.may_use_variables


class Dag:
    """Notes the runs that are created of it."""

    timetable = SimpleNamespace(generate_run_id=lambda **_: "manual__1")

    def __init__(self):
        self.runs = []

    def create_dagrun(self, *, run_id, conf, **_):
        self.runs.append(conf)
        return SimpleNamespace(run_id=run_id, note=None)


@pytest.fixture
def database():
    """Airflow's database with the DAGs of one task, none of them paused."""
    airflow_settings.configure_orm()
    import_all_models()
    Base.metadata.create_all(airflow_settings.engine)
    with create_session() as session:
        session.add(DagBundleModel(name="dags"))
        session.flush()
        for dag_id in all_dag_ids_of(NAME).values():
            session.add(DagModel(dag_id=dag_id, bundle_name="dags", is_paused=False, is_stale=False))
    yield
    Base.metadata.drop_all(airflow_settings.engine)


@pytest.fixture
def manager(monkeypatch):
    manager = Manager()
    monkeypatch.setattr(airflow_access, "get_auth_manager", lambda: manager)
    return manager


@pytest.fixture
def dag(monkeypatch):
    dag = Dag()
    bag = SimpleNamespace(get_latest_version_of_dag=lambda *_, **__: dag)
    monkeypatch.setattr(airflow_access, "create_dag_bag", lambda: bag)
    return dag


@pytest.fixture
def page(database, manager, dag, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TREMPY_TASKS", json.dumps({NAME: make_settings(NAME)}))
    served = app.create_app()
    user = SimpleNamespace(get_name=lambda: "user", get_id=lambda: 1)
    served.dependency_overrides[airflow_access.current_user] = lambda: user
    with serving_app(served) as url:
        yield Page(url, None)


def pause(dag_id):
    with create_session() as session:
        session.get(DagModel, dag_id).is_paused = True


def paused():
    with create_session() as session:
        return set(session.scalars(select(DagModel.dag_id).where(DagModel.is_paused)))


def test_who_may_not_change_a_dag_starts_it_but_does_not_let_it_run(page, manager, dag):
    manager.changeable = set()
    assert page.act(NAME, "validate").status == 202
    pause(VALIDATE)

    refused = page.act(NAME, "validate")

    assert refused.status == 409
    assert f"{VALIDATE} is paused" in refused.json["detail"]
    assert (paused(), len(dag.runs)) == ({VALIDATE}, 1)

    manager.changeable = {VALIDATE}
    assert page.act(NAME, "validate").status == 202
    assert (paused(), len(dag.runs)) == (set(), 2)


def test_an_action_is_refused_where_its_run_would_ignore_what_it_is_to_do(page, dag, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS", "False")

    answers = [page.act(NAME, "pause"), page.act(NAME, "reload_tables", tables=["public.orders"])]

    assert [answer.status for answer in answers] == [409, 409]
    assert "dag_run_conf_overrides_params is False" in answers[0].json["detail"]
    assert (paused(), dag.runs) == (set(), [])
    assert page.act(NAME, "validate").status == 202  # the same without params
    assert dag.runs == [{}]


def test_a_task_names_all_of_its_dags_and_shows_settings_kept_elsewhere(page, manager):
    (task,) = page.get("/api/tasks").json["tasks"]
    may = page.get(f"/api/tasks/{NAME}").json["can"]

    assert task["dags"] == all_dag_ids_of(NAME)
    assert (may["view_settings"], may["edit_settings"]) == (True, False)
    assert page.get(f"/api/tasks/{NAME}/settings").json["can_edit"] is False

    manager.may_use_variables = False
    assert page.get(f"/api/tasks/{NAME}").json["can"]["view_settings"] is False
    assert page.get(f"/api/tasks/{NAME}/settings").status == 403


def test_saved_settings_are_not_hidden_by_what_airflow_has_cached(page, monkeypatch):
    monkeypatch.setattr(SecretCache, "_cache", {})
    monkeypatch.setattr(SecretCache, "_ttl", timedelta(minutes=15), raising=False)
    SecretCache.save_variable("trempy_task_new", None)
    text = json.dumps(make_settings("new"))

    assert page.send("PUT", "/api/tasks/new/settings", {"text": text, "etag": None}).status == 200

    with pytest.raises(SecretCache.NotPresentException):
        SecretCache.get_variable("trempy_task_new")

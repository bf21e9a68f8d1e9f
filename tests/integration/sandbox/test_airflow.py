"""A local Airflow: all components healthy, a DAG runs, a killed task fails, and nothing is left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.airflow import AirflowServer
from sandbox.processes import running_pids
from tests.support.listening import listening_hosts
from tests.support.servers import start_whole
from tests.support.wait import wait_until

DAG = """
from airflow.sdk import Param, Variable, dag, task

@dag(dag_id="greeting", schedule=None, params={"seconds": Param(0, type="integer")})
def greeting():
    @task
    def greet(params=None):
        import time
        time.sleep(params["seconds"])
        return {"greeting": Variable.get("greeting")}
    greet()

greeting()
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    dags = tmp_path_factory.mktemp("dags")
    (dags / "greeting.py").write_text(DAG)
    (dags / "broken.py").write_text(
        "from airflow.sdk import dag\nraise ValueError('says which file is broken')"
    )
    server = start_whole(AirflowServer(dags, environment={"AIRFLOW_VAR_GREETING": "hello"}))
    pids = server.pids()
    yield server
    server.remove()
    assert pids
    assert not running_pids(pids)
    assert not Path(server.home).exists()


@pytest.mark.timeout(600)
def test_dag_runs_and_returns_its_value(airflow: AirflowServer) -> None:
    run_id = airflow.api.trigger("greeting")

    assert airflow.api.wait_for_run("greeting", run_id, timeout_seconds=180) == "success"
    assert airflow.api.xcom("greeting", run_id, "greet") == {"greeting": "hello"}
    assert "greet" in airflow.api.task_log("greeting", run_id, "greet")


@pytest.mark.timeout(600)
def test_killed_task_fails(airflow: AirflowServer) -> None:
    run_id = airflow.api.trigger("greeting", {"seconds": 120})
    wait_until(lambda: _is_running(airflow, run_id), timeout_seconds=180, what="the task to run")

    airflow.kill_task("greeting", run_id, "greet")

    assert airflow.api.wait_for_run("greeting", run_id, timeout_seconds=180) == "failed"


@pytest.mark.timeout(600)
def test_log_of_a_running_task_is_read_without_a_log_server(airflow: AirflowServer) -> None:
    run_id = airflow.api.trigger("greeting", {"seconds": 120})
    wait_until(lambda: _is_running(airflow, run_id), timeout_seconds=180, what="the task to run")

    wait_until(
        lambda: "greet" in airflow.api.task_log("greeting", run_id, "greet"),
        timeout_seconds=60,
        what="the log of the running task",
    )

    airflow.kill_task("greeting", run_id, "greet")


def test_nothing_can_be_reached_from_other_machines(airflow: AirflowServer) -> None:
    assert listening_hosts(airflow.pids()) == {"127.0.0.1"}


@pytest.mark.timeout(600)
def test_import_errors_name_the_file(airflow: AirflowServer) -> None:
    errors = wait_until(airflow.api.import_errors, timeout_seconds=180)

    assert [Path(error["filename"]).name for error in errors] == ["broken.py"]
    assert "says which file is broken" in errors[0]["stack_trace"]


@pytest.mark.timeout(600)
def test_variables_and_connections_are_created_and_replaced(airflow: AirflowServer) -> None:
    for value in ("first", "second"):
        airflow.api.set_variable("kept", value)
        airflow.api.set_connection("kept", {"conn_type": "postgres", "host": value})

    assert airflow.api.get("/variables/kept")["value"] == "second"
    assert airflow.api.get("/connections/kept")["host"] == "second"


def _is_running(airflow: AirflowServer, run_id: str) -> bool:
    instances = airflow.api.task_instances("greeting", run_id)
    return bool(instances) and instances[0]["state"] == "running" and instances[0]["pid"] in airflow.pids()

"""The servers of the demo as docker-compose.yaml starts them: their addresses come from the environment."""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg2

from sandbox.airflow_api import AirflowApi, AirflowApiError
from sandbox.demo.connections import BrokerAddress, create_connections
from sandbox.demo.databases import DemoDatabase, create_shop, create_source, create_target, session
from sandbox.demo.stack import Stack
from sandbox.demo.terminal import Terminal

START_TIMEOUT_SECONDS = 300
PUBLIC_URL = "http://127.0.0.1:8080"  # as docker-compose.yaml publishes it
AIRFLOW_COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def connect_stack(terminal: Terminal) -> Stack:
    """Wait for the servers, create databases, shop and connections, unless they are there."""
    environment = os.environ
    login, password = environment["TREMPY_DEMO_AIRFLOW_LOGIN"], environment["TREMPY_DEMO_AIRFLOW_PASSWORD"]
    api = AirflowApi(environment["TREMPY_DEMO_AIRFLOW"], login=login, password=password)
    source, target = _create_databases(terminal)
    with terminal.step("Airflow") as step:
        _wait_for(partial(_is_healthy, api), what="Airflow")
        step.conclude("all components are healthy")
    with terminal.step("Airflow connections") as step:
        create_connections(api, source=source, target=target, broker=_broker())
        step.conclude("trempy_source, trempy_target, trempy_broker; no superuser among their roles")
    return Stack(
        source=source,
        target=target,
        api=api,
        log_directory=Path(tempfile.mkdtemp(prefix="trempy-demo-")),
        addresses={"Airflow": f"{PUBLIC_URL}   login {login}   password {password}"},
    )


def _broker() -> BrokerAddress:
    return BrokerAddress.from_uri(
        os.environ["TREMPY_DEMO_BROKER"], management_url=os.environ["TREMPY_DEMO_BROKER_MANAGEMENT"]
    )


def _create_databases(terminal: Terminal) -> tuple[DemoDatabase, DemoDatabase]:
    source_uri, target_uri = os.environ["TREMPY_DEMO_SOURCE"], os.environ["TREMPY_DEMO_TARGET"]
    with terminal.step("Source and target") as step:
        for uri in (source_uri, target_uri):
            _wait_for(partial(_accepts_connections, uri), what="PostgreSQL")
        source, target = create_source(source_uri), create_target(target_uri)
        step.conclude("databases and roles are there")
    with terminal.step("The shop's database"):
        create_shop(source.owner_uri)
    return source, target


def _wait_for(condition: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not start within {START_TIMEOUT_SECONDS} s")
        time.sleep(1)


def _accepts_connections(uri: str) -> bool:
    try:
        with session(uri):
            return True
    except psycopg2.OperationalError:
        return False


def _is_healthy(api: AirflowApi) -> bool:
    try:
        health = api.health()
    except AirflowApiError:
        return False
    return all(health.get(name, {}).get("status") == "healthy" for name in AIRFLOW_COMPONENTS)

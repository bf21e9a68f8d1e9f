"""The servers of the demo as docker-compose.yaml starts them: their addresses come from the environment."""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg2

from sandbox.airflow_api import AirflowApi, AirflowApiError
from sandbox.demo.databases import DemoDatabase, create_shop, create_source, create_target, session
from sandbox.demo.stack import Stack
from sandbox.demo.terminal import Terminal

START_TIMEOUT_SECONDS = 300
AIRFLOW_COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def connect_stack(terminal: Terminal) -> Stack:
    """Wait for the servers, create the databases and the shop, unless they are there."""
    environment = os.environ
    api = AirflowApi(
        environment["DEMO_AIRFLOW_URL"],
        login=environment["DEMO_AIRFLOW_LOGIN"],
        password=environment["DEMO_AIRFLOW_PASSWORD"],
    )
    source, target = _create_databases(terminal)
    with terminal.step("Airflow") as step:
        _wait_for(lambda: _is_healthy(api), what="Airflow")
        step.conclude("all components are healthy")
    return Stack(source, target, api, Path(tempfile.mkdtemp(prefix="trempy-demo-")), _addresses())


def _create_databases(terminal: Terminal) -> tuple[DemoDatabase, DemoDatabase]:
    source_uri, target_uri = os.environ["DEMO_SOURCE_SUPERUSER"], os.environ["DEMO_TARGET_SUPERUSER"]
    password = os.environ["DEMO_PROVIDER_PASSWORD"]
    with terminal.step("Source and target") as step:
        for uri in (source_uri, target_uri):
            _wait_for(partial(_accepts_connections, uri), what="PostgreSQL")
        source = create_source(source_uri, provider_password=password)
        target = create_target(target_uri, provider_password=password)
        step.conclude("databases and roles are there")
    with terminal.step("The shop's database"):
        create_shop(source.owner_uri)
    return source, target


def _addresses() -> dict[str, str]:
    environment = os.environ
    login = f"login {environment['DEMO_AIRFLOW_LOGIN']}   password {environment['DEMO_AIRFLOW_PASSWORD']}"
    addresses = {"Airflow": f"{environment['DEMO_AIRFLOW_PUBLIC_URL']}   {login}"}
    if url := environment.get("DEMO_RABBITMQ_PUBLIC_URL"):
        addresses["RabbitMQ"] = url
    return addresses


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

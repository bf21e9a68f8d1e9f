"""What Airflow adds to a task: the start of a lease, its deferral, and the wait after a deferral."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.costs import measure_cpu
from benchmarks.equality import assert_equal
from benchmarks.figures import Figure, Finding
from benchmarks.product import Product
from benchmarks.stage import SERVER_SETTINGS, Stage
from sandbox.airflow import AirflowServer
from sandbox.airflow_api import AirflowApi, connection_fields
from sandbox.postgres import PostgresServer
from tests.support.databases import Database, DatabasePair
from tests.support.wait import wait_until

_DAGS = Path(__file__).parent.parent / "dags"
_TASK, _DAG = "bench", "trempy_bench_cdc"
_TABLE = "bench.ticks"
_IDLE_SECONDS = 5
_QUIET_SECONDS = 30.0
_TIMEOUT_SECONDS = 300


def airflow_share(stage: Stage, *, rounds: int, scale: float) -> list[Finding]:
    """Start Airflow with one task, and take the times of its lease; every figure is only reported."""
    with stage.databases() as databases, ExitStack() as stack:
        databases.source_admin.execute(f"create schema bench; create table {_TABLE} (id int primary key)")
        product = Product(
            stage, databases, (_TABLE,), options={"cdc_settings": {"idle_seconds": _IDLE_SECONDS}}
        )
        product.prepare()
        stack.callback(product.run, "teardown")
        airflow = _start_airflow(stage, databases, stack)
        airflow.api.set_variable(f"trempy_task_{_TASK}", product.settings_path.read_text())
        lease = _Lease(airflow.api, databases.source_admin, databases.target)
        figures = _figures(lease, airflow, rounds=rounds, quiet_seconds=max(_QUIET_SECONDS * scale, 2.0))
        airflow.stop()
        assert_equal(databases.source_superuser, databases.target_superuser, [_TABLE])
    return list(figures)


def _figures(lease: _Lease, airflow: AirflowServer, *, rounds: int, quiet_seconds: float) -> list[Figure]:
    started, deferred, resumed = lease.start(), [], []
    for _ in range(rounds):
        deferred.append(lease.wait_for_deferral() - _IDLE_SECONDS)
        resumed.append(lease.resume())
    lease.wait_for_deferral()
    with measure_cpu({"Airflow": airflow.pids}) as shares:
        time.sleep(quiet_seconds)
    return [
        Figure("Airflow: from the DAG's start to the first change applied", "s", (started,)),
        Figure(f"Airflow: from {_IDLE_SECONDS} s of silence to the deferral", "s", tuple(deferred)),
        Figure("Airflow: from a commit to the change applied, deferred before", "s", tuple(resumed)),
        Figure(
            "Airflow: all its processes with the task deferred",
            "% of a core",
            (100 * shares.seconds["Airflow"] / quiet_seconds,),
        ),
    ]


@dataclass
class _Lease:
    """The run of a task's CDC DAG, seen from outside."""

    api: AirflowApi
    source: Database
    target: Database
    run_id: str = ""
    last: int = 0
    changed_at: float = 0.0

    def start(self) -> float:
        """Unpause the DAG with a change waiting; return the seconds until it is applied."""
        self.api.wait_for_dag(_DAG, timeout_seconds=_TIMEOUT_SECONDS)
        self._change()
        started = time.monotonic()
        self.api.unpause(_DAG)
        self._wait_for_change()
        self.run_id = self.api.dag_runs(_DAG)[0]["dag_run_id"]
        return time.monotonic() - started

    def wait_for_deferral(self) -> float:
        """Return the seconds from the last change to the deferral of both tasks."""
        wait_until(
            lambda: {self._state("capture"), self._state("apply")} == {"deferred"},
            timeout_seconds=_TIMEOUT_SECONDS,
            what="capture and apply to be deferred",
        )
        return time.monotonic() - self.changed_at

    def resume(self) -> float:
        """Change a row; return the seconds until it is applied."""
        self._change()
        self._wait_for_change()
        return time.monotonic() - self.changed_at

    def _state(self, task_id: str) -> Any:
        return self.api.task_instance(_DAG, self.run_id, task_id)["state"]

    def _change(self) -> None:
        self.last += 1
        self.source.execute(f"insert into {_TABLE} values (%s)", (self.last,))
        self.changed_at = time.monotonic()

    def _wait_for_change(self) -> None:
        query = f"select exists (select from {_TABLE} where id = {self.last})"
        wait_until(
            lambda: self.target.fetch_value(query),
            timeout_seconds=_TIMEOUT_SECONDS,
            what=f"change {self.last} to be applied",
        )


def _start_airflow(stage: Stage, databases: DatabasePair, stack: ExitStack) -> AirflowServer:
    """Start Airflow with a PostgreSQL of its own and the connections of a task."""
    database = PostgresServer(settings=SERVER_SETTINGS)
    stack.callback(database.remove)
    database.start()
    airflow = AirflowServer(
        _DAGS,
        database_uri=database.superuser_uri().replace("postgresql://", "postgresql+psycopg2://"),
    )
    stack.callback(airflow.remove)
    airflow.start()
    _set_connections(airflow.api, stage, databases)
    return airflow


def _set_connections(api: AirflowApi, stage: Stage, databases: DatabasePair) -> None:
    api.set_connection("trempy_source", connection_fields(databases.source_uri, "postgres"))
    api.set_connection("trempy_target", connection_fields(databases.target_uri, "postgres"))
    broker = {**connection_fields(stage.broker.amqp_uri, "rabbitmq"), "schema": "/"}
    api.set_connection("trempy_broker", broker)

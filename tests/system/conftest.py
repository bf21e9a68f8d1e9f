"""One real Airflow for all tests here; each test brings its own databases and replication tasks."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sandbox.airflow import AirflowServer
from sandbox.airflow_api import AirflowApi, AirflowApiError, connection_fields
from sandbox.installations import available_versions
from sandbox.postgres import PostgresServer
from sandbox.scratch import make_scratch_directory
from tests.support.databases import Database, DatabasePair
from tests.support.servers import start_whole
from tests.support.wait import wait_until as wait_for_condition

wait_until = partial(wait_for_condition, poll_seconds=0.5)
DAGS_FOLDER = Path(__file__).parents[2] / "dags"
TEST_DAGS_FOLDER = Path(__file__).parent / "dags"
SHOP = """
create schema shop;
create table shop.customers (id bigint primary key, name text not null, since date);
create table shop.products (id bigint primary key, name text not null, price numeric(10, 2));
create table shop.orders (id bigint generated always as identity primary key, customer_id bigint, note text);
create table shop.visits (customer_id bigint, page text);
alter table shop.visits replica identity full;
insert into shop.customers select n, 'customer ' || n, date '2024-01-01' + n from generate_series(1, 500) n;
insert into shop.products select n, 'product ' || n, n * 1.5 from generate_series(1, 50) n;
insert into shop.orders (customer_id, note) select n % 500 + 1, 'first' from generate_series(1, 2000) n;
insert into shop.visits select n % 3, 'page' from generate_series(1, 300) n;
"""
TABLES = ("customers", "products", "orders", "visits")
_NO_BYTECODE = shutil.ignore_patterns("__pycache__")
USERS = {"viewer": "viewer", "user": "user", "nobody": ""}


@pytest.fixture(scope="package")
def airflow_database() -> Iterator[str | None]:
    """Give Airflow a PostgreSQL of its own: SQLite refuses requests while another component writes."""
    if not available_versions():
        yield None
        return
    server = start_whole(PostgresServer())
    yield server.superuser_uri().replace("postgresql://", "postgresql+psycopg2://")
    server.remove()


@pytest.fixture(scope="package")
def airflow(airflow_database: str | None) -> Iterator[AirflowServer]:
    """Run the project's DAGs and those of the tests; OpenLineage is told of DAGs that ask for it."""
    home = make_scratch_directory("trempy-airflow-")
    for folder in (DAGS_FOLDER, TEST_DAGS_FOLDER):
        shutil.copytree(folder, home / "dags", ignore=_NO_BYTECODE, dirs_exist_ok=True)
    transport = {"type": "file", "log_file_path": str(home / "lineage.jsonl"), "append": True}
    lineage = {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__SELECTIVE_ENABLE": "True",
        "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "120",  # for a busy machine
        "AIRFLOW__CORE__TASK_SUCCESS_OVERTIME": "150",
    }
    server = start_whole(
        AirflowServer(
            home / "dags",
            directory=home,
            database_uri=airflow_database,
            users=USERS,
            environment=lineage,
        )
    )
    yield server
    server.remove()


@dataclass
class Shop:
    """A source with live tables, its target, and the tasks that replicate it in Airflow."""

    pair: DatabasePair
    airflow: AirflowServer
    variables: list[str] = field(default_factory=list)

    @property
    def api(self) -> AirflowApi:
        return self.airflow.api

    def define_task(self, task_name: str, *, replication_type: str = "full_load_and_cdc", **cdc: Any) -> None:
        """Keep the settings of a task in a Variable; Airflow then makes its DAGs.

        Those of an earlier test's task of the same name have to go first: while Airflow still lists them, they
        cannot be told from the new ones.
        """
        wait_until(
            lambda: f"trempy_{task_name}_full_load" not in self.api.dags(),
            timeout_seconds=120,
            what=f"the end of an earlier task {task_name}'s DAGs",
        )
        task = {
            "task_name": task_name,
            "replication_type": replication_type,
            "create_table_if_not_exists": True,
            "interval_seconds": 1,
            "statistics_settings": {"interval_seconds": 10},
            "cdc_settings": {
                "idle_seconds": 2,
                "trigger_minimum_seconds": 3,
                "run_duration_seconds": 3600,
                **cdc,
            },
        }
        self.set_variable(
            f"trempy_task_{task_name}", {"task": task, "tables": [{"schema_name": "shop", "table_name": "*"}]}
        )

    def set_variable(self, key: str, value: Mapping[str, Any]) -> None:
        self.variables.append(key)
        self.api.set_variable(key, json.dumps(value))

    def delete_variable(self, key: str) -> None:
        self.variables.remove(key)
        self.api._request("DELETE", f"/api/v2/variables/{key}")

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None, *, timeout_seconds: float = 120) -> str:
        """Run a DAG to its successful end, and return the run's id."""
        self.api.wait_for_dag(dag_id)
        run_id = self.api.trigger(dag_id, conf)
        state = self.api.wait_for_run(dag_id, run_id, timeout_seconds=timeout_seconds)
        assert state == "success", self.explain(dag_id, run_id)
        return run_id

    def start_cdc(self, task_name: str) -> tuple[str, str]:
        """Let the task's CDC DAG run; return the ids of the DAG and of the run that this has started."""
        dag_id = f"trempy_{task_name}_cdc"
        self.api.wait_for_dag(dag_id)
        earlier = self._run_ids(dag_id)
        self.api.unpause(dag_id)
        (run_id, *_) = wait_until(
            lambda: self._run_ids(dag_id) - earlier, timeout_seconds=60, what=f"a new run of {dag_id}"
        )
        return dag_id, run_id

    def _run_ids(self, dag_id: str) -> set[str]:
        return {run["dag_run_id"] for run in self.api.dag_runs(dag_id)}

    def wait_for_state(
        self, dag_id: str, run_id: str, task_id: str, *states: str, seconds: float = 60
    ) -> None:
        seen: list[str] = []

        def is_in_state() -> bool:
            seen.append(self.api.task_instance(dag_id, run_id, task_id)["state"])
            return seen[-1] in states

        try:
            wait_until(is_in_state, timeout_seconds=seconds, what=f"{task_id} is {' or '.join(states)}")
        except AssertionError as error:
            instance = self.api.task_instance(dag_id, run_id, task_id)
            changes = [state for before, state in pairwise(["", *seen]) if state != before]
            raise AssertionError(f"{error}: {changes}\n{self._log(dag_id, run_id, instance)}") from error

    def wait_for_try(self, dag_id: str, run_id: str, task_id: str, *, after: int) -> None:
        """Wait until a try later than the number `after` runs."""

        def is_tried_again() -> bool:
            instance = self.api.task_instance(dag_id, run_id, task_id)
            return instance["try_number"] > after and instance["state"] == "running"

        wait_until(is_tried_again, timeout_seconds=150, what=f"{task_id} is tried again")

    def wait_for_silence(self, dag_id: str, run_id: str) -> None:
        """Wait until capture and apply have deferred."""
        for task_id in ("capture", "apply"):
            self.wait_for_state(dag_id, run_id, task_id, "deferred")

    def links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return the extra links of a task instance, as the UI shows them."""
        return self.api.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links")["extra_links"]

    def test_connection(self, conn_type: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Press "Test connection"."""
        names = ("host", "port", "login", "password", "schema")
        body = {name: fields[name] for name in names} | {"connection_id": "tested", "conn_type": conn_type}
        return self.api.post("/connections/test", body)

    def wait_until_equal(self, *, timeout_seconds: float = 60) -> None:
        wait_until(self.is_equal, timeout_seconds=timeout_seconds, what="source and target are equal")

    def is_equal(self) -> bool:
        return all(_rows(self.pair.source, name) == _rows(self.pair.target, name) for name in TABLES)

    def change(self, note: str) -> None:
        """Insert, update and delete, also in the table without a key."""
        self.pair.source_admin.execute(
            """
            begin;
            insert into shop.orders (customer_id, note) select n, %(note)s from generate_series(1, 50) n;
            update shop.customers set name = %(note)s where id <= 10;
            delete from shop.orders where id = (select min(id) from shop.orders);
            insert into shop.visits values (7, %(note)s), (7, %(note)s);
            commit;
            """,
            {"note": note},
        )

    def explain(self, dag_id: str, run_id: str) -> str:
        """Return the logs of the tasks that failed."""
        failed = [
            i for i in self.api.task_instances(dag_id, run_id) if i["state"] in ("failed", "up_for_retry")
        ]
        logs = [self._log(dag_id, run_id, instance) for instance in failed]
        return "\n".join(logs) or f"no failed task in {dag_id} {run_id}"

    def _log(self, dag_id: str, run_id: str, instance: Mapping[str, Any]) -> str:
        try:
            return self.api.task_log(dag_id, run_id, instance["task_id"], try_number=instance["try_number"])
        except AirflowApiError as error:
            return str(error)

    def end(self) -> None:
        """Stop every run and forget the tasks."""
        for dag_id in [name for name in self.api.dags() if name.startswith("trempy_")]:
            self.api.set_paused(dag_id, paused=True)
            for run in self.api.dag_runs(dag_id):
                if run["state"] in ("running", "queued"):
                    self.api.patch(f"/dags/{dag_id}/dagRuns/{run['dag_run_id']}", {"state": "failed"})
        for key in list(self.variables):
            self.delete_variable(key)


@pytest.fixture
def shop(databases: DatabasePair, rabbitmq_uri: str, airflow: AirflowServer) -> Iterator[Shop]:
    databases.source_admin.execute(SHOP)
    airflow.api.set_connection("trempy_source", connection_fields(databases.source_uri, "postgres"))
    airflow.api.set_connection("trempy_target", connection_fields(databases.target_uri, "postgres"))
    broker = {**connection_fields(rabbitmq_uri, "rabbitmq"), "schema": "/"}
    broker["extra"] = json.dumps({"management_url": "http://127.0.0.1:15672"})
    airflow.api.set_connection("trempy_broker", broker)
    shop = Shop(databases, airflow)
    yield shop
    shop.end()


def _rows(database: Database, table: str) -> list[tuple[Any, ...]]:
    return database.fetch_all(f"select t::text from shop.{table} t order by 1")

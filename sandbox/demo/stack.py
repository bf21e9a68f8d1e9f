"""The servers of the demo on this machine, and what the demo needs to know of them."""

import os
import secrets
import tempfile
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.airflow import AirflowServer
from sandbox.airflow_api import AirflowApi
from sandbox.demo.broker import RabbitMqContainer, choose_broker
from sandbox.demo.connections import BrokerAddress, create_connections
from sandbox.demo.databases import DemoDatabase, create_shop, create_source, create_target
from sandbox.demo.down import end, remove
from sandbox.demo.state import REPOSITORY, STATE_DIRECTORY, create_state
from sandbox.demo.terminal import Terminal
from sandbox.postgres import PostgresServer
from sandbox.rabbitmq import RabbitMqServer

DAGS_FOLDER = REPOSITORY / "dags"
THREADS = 3


@dataclass(frozen=True, slots=True)
class Stack:
    """Running servers, wherever they run."""

    source: DemoDatabase
    target: DemoDatabase
    api: AirflowApi
    log_directory: Path
    addresses: dict[str, str]  # what a person opens, and the logins


class LocalStack:
    """PostgreSQL twice, RabbitMQ and Airflow, started side by side below one directory."""

    def __init__(self, terminal: Terminal):
        self._terminal = terminal
        self.state = create_state(
            STATE_DIRECTORY,
            server_directory=_server_directory(),
            container=f"trempy-demo-{secrets.token_hex(4)}",
        )
        self._executor = ThreadPoolExecutor(THREADS)
        directory = Path(self.state.directory)
        self.airflow = AirflowServer(DAGS_FOLDER, directory=directory / "airflow")
        self._source_server = PostgresServer(directory=Path(self.state.server_directory) / "source")
        self._target_server = PostgresServer(directory=Path(self.state.server_directory) / "target")

    def start(self) -> Stack:
        """Start everything and create the shop; raise StepError for what failed first."""
        broker = self._executor.submit(self._start_broker)
        airflow = self._executor.submit(self._start_airflow)
        databases = self._executor.submit(self._start_databases)
        _wait_for([broker, airflow, databases])
        source, target = databases.result()
        self._connect(source, target, broker.result())
        self.state.addresses = _addresses(self.airflow, broker.result())
        self.state.save()
        return Stack(source, target, self.airflow.api, Path(self.state.directory), self.state.addresses)

    def remove(self) -> None:
        """End and remove everything, also what is only just being started."""
        self._end_processes()
        remove(self.state)

    def end(self) -> None:
        """End everything, and keep the logs."""
        self._end_processes()
        self.state.remove_all_but_logs()

    def _end_processes(self) -> None:
        """End what runs, wait for what is only just being started to notice, and end that too."""
        end(self.state)
        self._executor.shutdown(cancel_futures=True)
        end(self.state)

    def _start_airflow(self) -> None:
        with self._terminal.step("Airflow", logs=[self.airflow.log_path]) as step:
            self.airflow.start()
            step.conclude(f"all components are healthy at {self.airflow.url}")

    def _start_broker(self) -> RabbitMqServer | RabbitMqContainer:
        directory = Path(self.state.server_directory) / "rabbitmq"
        with self._terminal.step("RabbitMQ", logs=[directory / "rabbitmq.log"]) as step:
            broker = choose_broker(directory=directory, container_name=self.state.container)
            broker.start()
            step.conclude(broker.description)
        return broker

    def _start_databases(self) -> tuple[DemoDatabase, DemoDatabase]:
        logs = [self._source_server.log_path, self._target_server.log_path]
        with self._terminal.step("Source and target", logs=logs) as step:
            self._source_server.start()
            self._target_server.start()
            source = create_source(self._source_server.superuser_uri())
            target = create_target(self._target_server.superuser_uri())
            step.conclude(f"two servers of {self._source_server.description}")
        with self._terminal.step("The shop's database", logs=logs[:1]) as step:
            create_shop(source.owner_uri)
            step.conclude("11 related tables in 2 schemas, one partitioned, two without a key")
        return source, target

    def _connect(
        self, source: DemoDatabase, target: DemoDatabase, broker: RabbitMqServer | RabbitMqContainer
    ) -> None:
        with self._terminal.step("Airflow connections", logs=[self.airflow.log_path]) as step:
            address = BrokerAddress(
                "127.0.0.1", broker.amqp_port, broker.user, broker.password, broker.management_url
            )
            create_connections(self.airflow.api, source=source, target=target, broker=address)
            step.conclude("trempy_source, trempy_target, trempy_broker; no superuser among their roles")


def _wait_for(started: "Sequence[Future[Any]]") -> None:
    """Wait until all have succeeded, or raise what the first one failed with."""
    finished, _ = wait(started, return_when=FIRST_EXCEPTION)
    for future in finished:
        future.result()


def _server_directory() -> Path:
    """Return the state's directory, or a temporary one where root's PostgreSQL user cannot reach that."""
    parents = STATE_DIRECTORY.parents
    if os.geteuid() != 0 or all(path.stat().st_mode & 0o001 for path in parents):
        return STATE_DIRECTORY
    return Path(tempfile.mkdtemp(prefix="trempy-demo-"))


def _addresses(airflow: AirflowServer, broker: RabbitMqServer | RabbitMqContainer) -> dict[str, str]:
    return {
        "Airflow": f"{airflow.url}   login {airflow.login}   password {airflow.password}",
        "RabbitMQ": f"{broker.management_url}   login {broker.user}   password {broker.password}",
    }

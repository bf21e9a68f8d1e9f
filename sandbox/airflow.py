"""A local Airflow: its four components on SQLite (or another database), in a home of their own.

`airflow standalone` is not used: its log servers listen on all interfaces, and no setting changes that.
The logs are read from the files, which are on the same machine.
Components leave children behind that keep their ports, so stop() ends every process of their families and
returns when none is left.
"""

import base64
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from sandbox.airflow_api import AirflowApi, AirflowApiError
from sandbox.ports import free_port
from sandbox.processes import (
    POLL_SECONDS,
    RECORD_SUFFIX,
    ServerProcess,
    end_processes,
    running_pids,
    send_signal,
    start_server,
)
from sandbox.scratch import make_scratch_directory

LOGIN = "admin"
START_TIMEOUT_SECONDS = 300  # 20 s on two idle cores, 140 s beside eight busy processes
COMMANDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "api-server": (),
        "scheduler": ("--skip-serve-logs",),
        "dag-processor": (),
        "triggerer": ("--skip-serve-logs",),
    }
)
HEALTHY_WHEN = frozenset({"metadatabase", "scheduler", "triggerer", "dag_processor"})


class AirflowError(RuntimeError):
    """A local Airflow could not be started."""


class AirflowServer:
    """One Airflow with all its components; `api` talks to it while it runs.

    :param dags_folder: the only place DAGs come from.
    :param environment: added to the components' environment, such as AIRFLOW_CONN_… and AIRFLOW_VAR_….
    :param database_uri: SQLAlchemy's URI of Airflow's own database; a SQLite file by default.
    :param users: other users' roles by name: viewer, user, op, admin, or "" for one without any right.
    """

    def __init__(
        self,
        dags_folder: Path,
        *,
        environment: Mapping[str, str] = MappingProxyType({}),
        directory: Path | None = None,
        port: int | None = None,
        password: str | None = None,
        database_uri: str | None = None,
        users: Mapping[str, str] = MappingProxyType({}),
    ):
        self.home = directory or make_scratch_directory("trempy-airflow-")
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.login, self.password = LOGIN, password or secrets.token_hex(8)
        self.log_path = self.home / "airflow.log"
        self.api = AirflowApi(self.url, login=self.login, password=self.password)
        self._passwords = {self.login: self.password, **{name: secrets.token_hex(8) for name in users}}
        roles = ",".join(f"{name}:{role}" for name, role in {self.login: "admin", **users}.items())
        self._environment = {
            **_base_environment(self.home),
            **_settings(self.home, dags_folder, self.url, self.port),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": roles,
            **({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_uri} if database_uri else {}),
            **environment,
        }
        self._processes: list[ServerProcess] = []

    def __repr__(self) -> str:
        return f"AirflowServer(url={self.url!r}, home={str(self.home)!r})"

    def api_of(self, user: str) -> AirflowApi:
        """Return what talks to it as one of `users`."""
        return AirflowApi(self.url, login=user, password=self._passwords[user])

    def start(self) -> None:
        """Start all components and return when each of them says that it is healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        _passwords_path(self.home).write_text(json.dumps(self._passwords))
        _passwords_path(self.home).chmod(0o600)
        self._prepare_database()
        for name in COMMANDS:
            self.start_component(name)
        self._wait_until_healthy()

    def start_component(
        self, name: str, *, environment: Mapping[str, str] = MappingProxyType({})
    ) -> ServerProcess:
        """Start `airflow <name>` beside what runs already, such as a second `triggerer`."""
        return self._start(name, *COMMANDS[name], environment=environment)

    def kill_component(self, name: str) -> None:
        """End `airflow <name>` with SIGKILL: scheduler, dag-processor, api-server or triggerer."""
        for pid in self.component_pids(name):
            send_signal(pid, signal.SIGKILL)

    def component_pids(self, name: str) -> list[int]:
        """Return the pids of the processes that were started as `airflow <name>`."""
        return [pid for pid in sorted(self.pids()) if _runs_component(pid, name)]

    def kill_task(self, dag_id: str, run_id: str, task_id: str) -> int:
        """End the process in which a task instance runs with SIGKILL; return its pid."""
        pid = self._task_pid(dag_id, run_id, task_id)
        send_signal(pid, signal.SIGKILL)
        return pid

    def terminate_task(self, dag_id: str, run_id: str, task_id: str) -> float:
        """End the process in which a task instance runs with SIGTERM; return the seconds it took to end."""
        pid = self._task_pid(dag_id, run_id, task_id)
        started_at = time.monotonic()
        send_signal(pid, signal.SIGTERM)
        while running_pids({pid}):
            time.sleep(POLL_SECONDS)
        return time.monotonic() - started_at

    def pids(self) -> set[int]:
        """Return the pids of all living processes of this Airflow."""
        return running_pids(set().union(*(process.family() for process in self._processes)))

    def stop(self) -> None:
        """End every process and return when none is left; logs and database stay."""
        end_processes(self.pids)
        for process in self._processes:
            process.kill()  # nothing is left to kill; drops its record
        self._processes = []

    def remove(self) -> None:
        """Stop, and delete logs and database."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _task_pid(self, dag_id: str, run_id: str, task_id: str) -> int:
        pid = self.api.task_instance(dag_id, run_id, task_id)["pid"]
        if pid not in self.pids():
            raise AirflowError(f"task {task_id} of {dag_id} runs in no process of this Airflow (pid {pid})")
        return int(pid)

    def _start(self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> ServerProcess:
        process = start_server(
            [Path(sys.executable).parent / "airflow", *arguments],
            record_path=self.home / f"{arguments[0]}-{len(self._processes)}{RECORD_SUFFIX}",
            log_path=self.log_path,
            environment={**self._environment, **environment},
            directory=self.home,
        )
        self._processes.append(process)
        return process

    def _prepare_database(self) -> None:
        migration = self._start("db", "migrate")
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while migration.is_running():
            if time.monotonic() > deadline:
                self._give_up("its database was not ready in time")
            time.sleep(POLL_SECONDS)
        self._processes.remove(migration)
        migration.kill()  # has ended; drops its record

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while unhealthy := self._unhealthy():
            if time.monotonic() > deadline or not all(process.is_running() for process in self._processes):
                self._give_up(f"not healthy: {', '.join(unhealthy)}")
            time.sleep(0.2)

    def _give_up(self, reason: str) -> NoReturn:
        log = self.log_path.read_text(errors="replace")
        self.stop()
        raise AirflowError(f"Airflow did not start, {reason}\n{log[-4000:]}")

    def _unhealthy(self) -> list[str]:
        try:
            health = self.api.health()
        except AirflowApiError:
            return ["api-server"]
        return sorted(name for name in HEALTHY_WHEN if health.get(name, {}).get("status") != "healthy")


def _base_environment(home: Path) -> dict[str, str]:
    """Return the environment every component needs; the person's own Airflow settings are left out."""
    programs = str(Path(sys.executable).parent)
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "NO_COLOR": "1",
        "AIRFLOW_HOME": str(home),
        "SCARF_ANALYTICS": "false",
    }


def _settings(home: Path, dags_folder: Path, url: str, port: int) -> dict[str, str]:
    """Return Airflow's settings: for this machine only, quick to see new DAGs."""
    settings = {
        "CORE__DAGS_FOLDER": dags_folder.resolve(),
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 8,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": _passwords_path(home),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__BASE_URL": url,
        "API__SECRET_KEY": secrets.token_hex(32),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "DAG_PROCESSOR__REFRESH_INTERVAL": 2,
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": 1,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 2,
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
    }
    return {f"AIRFLOW__{name}": str(value) for name, value in settings.items()}


def _passwords_path(home: Path) -> Path:
    return home / "passwords.json"


def _runs_component(pid: int, name: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").split()
    except OSError:
        return False
    spellings = {name, name.replace("-", "_")}  # the second after setproctitle
    return not spellings.isdisjoint(words) and any(Path(word).name == "airflow" for word in words)

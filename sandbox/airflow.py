"""A local Airflow: `airflow standalone` on SQLite (or another database), in its own home and session.

SIGTERM to `airflow standalone` alone orphans its children, which then keep its ports.
So stop() ends every process of the family and returns when none is left.
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

from sandbox.airflow_api import AirflowApi, AirflowApiError
from sandbox.ports import free_port
from sandbox.processes import RECORD_SUFFIX, ServerProcess, running_pids, send_signal, start_server
from sandbox.scratch import make_scratch_directory

LOGIN = "admin"
START_TIMEOUT_SECONDS = 300  # 20 s on two idle cores, 140 s beside eight busy processes
COMPONENTS = frozenset({"metadatabase", "scheduler", "triggerer", "dag_processor"})


class AirflowError(RuntimeError):
    """A local Airflow could not be started."""


class AirflowServer:
    """One Airflow with all its components; `api` talks to it while it runs.

    :param dags_folder: the only place DAGs come from.
    :param environment: added to the components' environment, such as AIRFLOW_CONN_… and AIRFLOW_VAR_….
    :param database_uri: SQLAlchemy's URI of Airflow's own database; a SQLite file by default.
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
    ):
        self.home = directory or make_scratch_directory("trempy-airflow-")
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.login, self.password = LOGIN, password or secrets.token_hex(8)
        self.log_path = self.home / "standalone.log"
        self.api = AirflowApi(self.url, login=self.login, password=self.password)
        self._environment = {
            **_base_environment(self.home),
            **_settings(self.home, dags_folder, self.url, self.port),
            **({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_uri} if database_uri else {}),
            **environment,
        }
        self._processes: list[ServerProcess] = []

    def __repr__(self) -> str:
        return f"AirflowServer(url={self.url!r}, home={str(self.home)!r})"

    def start(self) -> None:
        """Start all components and return when each of them says that it is healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        _passwords_path(self.home).write_text(json.dumps({self.login: self.password}))
        _passwords_path(self.home).chmod(0o600)
        self.start_component("standalone")
        self._wait_until_healthy()

    def start_component(self, name: str) -> ServerProcess:
        """Start `airflow <name>` beside what runs already, such as a second `triggerer`."""
        process = start_server(
            [Path(sys.executable).parent / "airflow", name],
            record_path=self.home / f"{name}-{len(self._processes)}{RECORD_SUFFIX}",
            log_path=self.home / f"{name}.log",
            environment=self._environment,
            directory=self.home,
        )
        self._processes.append(process)
        return process

    def kill_component(self, name: str) -> None:
        """End `airflow <name>` with SIGKILL: scheduler, dag-processor, api-server or triggerer."""
        for pid in self.component_pids(name):
            send_signal(pid, signal.SIGKILL)

    def component_pids(self, name: str) -> list[int]:
        """Return the pids of the processes that were started as `airflow <name>`."""
        return [pid for pid in sorted(self.pids()) if _runs_component(pid, name)]

    def kill_task(self, dag_id: str, run_id: str, task_id: str) -> int:
        """End the process in which a task instance runs with SIGKILL; return its pid."""
        pid = self.api.task_instance(dag_id, run_id, task_id)["pid"]
        if pid not in self.pids():
            raise AirflowError(f"task {task_id} of {dag_id} runs in no process of this Airflow (pid {pid})")
        send_signal(pid, signal.SIGKILL)
        return int(pid)

    def pids(self) -> set[int]:
        """Return the pids of all living processes of this Airflow."""
        return running_pids(set().union(*(process.family() for process in self._processes)))

    def stop(self) -> None:
        """End every process and return when none is left; logs and database stay."""
        for process in reversed(self._processes):
            process.end(grace_seconds=5)
        self._processes = []

    def remove(self) -> None:
        """Stop, and delete logs and database."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while unhealthy := self._unhealthy():
            if time.monotonic() > deadline or not self._processes[0].is_running():
                log = self.log_path.read_text(errors="replace")
                self.stop()
                raise AirflowError(
                    f"Airflow did not start, not healthy: {', '.join(unhealthy)}\n{log[-4000:]}"
                )
            time.sleep(0.2)

    def _unhealthy(self) -> list[str]:
        try:
            health = self.api.health()
        except AirflowApiError:
            return ["api-server"]
        return sorted(name for name in COMPONENTS if health.get(name, {}).get("status") != "healthy")


def _base_environment(home: Path) -> dict[str, str]:
    """Return the environment every component needs; the person's own Airflow settings are left out."""
    programs = str(Path(sys.executable).parent)
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(Path(__file__).parent.parent),
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
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{LOGIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": _passwords_path(home),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__BASE_URL": url,
        "API__SECRET_KEY": secrets.token_hex(32),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "LOGGING__WORKER_LOG_SERVER_PORT": free_port(),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": free_port(),
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

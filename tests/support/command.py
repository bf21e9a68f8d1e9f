"""The `trempy` command as a process of its own, over the test's databases and broker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.compare import assert_equal_tables
from tests.support.databases import DatabasePair
from tests.support.replication import settings
from tests.support.wait import wait_until

ROOT = Path(__file__).parents[2]
SECRET_VARIABLES = ("TREMPY_", "AIRFLOW_CONN_")


@dataclass
class Result:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        return self.stderr.splitlines()[-1] if self.stderr else ""

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.stdout)


@dataclass
class Command:
    """A task's settings in a file, and its connections in the environment."""

    databases: DatabasePair
    rabbitmq_uri: str
    task_name: str
    folder: Path
    metadata_uri: str | None = None
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def settings_file(self) -> Path:
        return self.folder / f"{self.task_name}.json"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {key: text for key, text in os.environ.items() if not key.startswith(SECRET_VARIABLES)}
        metadata = {} if self.metadata_uri is None else {"TREMPY_METADATA": self.metadata_uri}
        return inherited | {
            "PYTHONPATH": str(ROOT),
            "TREMPY_SOURCE": self.databases.source_uri,
            "TREMPY_TARGET": self.databases.target_uri,
            "TREMPY_BROKER": self.rabbitmq_uri,
            **metadata,
        }

    def write_settings(self, *tables: str, **options: Any) -> None:
        self.settings_file.write_text(json.dumps(settings(self.task_name, list(tables), **options)))

    def start(
        self, command: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "trempy_provider.cli",
                *command.split(),
                str(self.settings_file),
                *arguments,
            ],
            env=self.environment if environment is None else environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )
        self.started.append(process)
        return process

    def run(self, command: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Result:
        return finish(self.start(command, *arguments, environment=environment))

    def done(self, command: str, *arguments: str) -> dict[str, Any]:
        """Run a command that must succeed and return its report."""
        result = self.run(command, *arguments, "--json")
        assert result.code == 0, result.stderr
        return result.report

    def assert_equal(self) -> None:
        assert_equal_tables(self.databases.source_admin_uri, self.databases.target_admin_uri)

    def end(self) -> None:
        """Kill what a failed test has left, and remove the task."""
        for process in self.started:
            process.kill()
            if process.stdout is not None and not process.stdout.closed:
                process.communicate()


def finish(process: subprocess.Popen[str], *, timeout_seconds: float = 150) -> Result:
    """Wait for a command's end."""
    stdout, stderr = process.communicate(timeout=timeout_seconds)
    return Result(process.returncode, stdout, stderr)


def children_of(process: subprocess.Popen[str]) -> dict[str, int]:
    """Return the process ids of the two halves of a `run`, by name."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    found = {}
    for pid in map(int, children):
        words = command_line(pid)
        for name in ("capture", "apply"):
            if name in words:
                found[name] = pid
    return found


def halves_of(process: subprocess.Popen[str]) -> dict[str, int]:
    """Wait until both halves of a `run` have been started, and return their process ids."""
    return wait_until(
        lambda: halves if len(halves := children_of(process)) == 2 else None,
        timeout_seconds=60,
        what="the halves of run to start",
    )


def command_line(pid: int) -> list[str]:
    """Return a process's arguments, [] when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def is_running(pid: int) -> bool:
    """Tell whether a process of ours still runs."""
    return "trempy_provider.cli" in command_line(pid)


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[Result, float]:
    """Send a signal; return how the command ended and after how many seconds."""
    process.send_signal(number)
    sent_at = time.monotonic()
    result = finish(process)
    return result, time.monotonic() - sent_at

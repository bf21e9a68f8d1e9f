"""The commands of `airflow trempy` that are `trempy` itself, with settings and connections from Airflow.

This process becomes the other: signals, exit code and output are those of `trempy`.
Connections go through its environment, which is private, never through its arguments; the settings through a
file without a name.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import NoReturn

from trempy_provider.config.operations import Hash
from trempy_provider.config.task import ReplicationTask
from trempy_provider.config.transformations import ModifyColumnValue
from trempy_provider.errors import TrempyError
from trempy_provider.hooks.connections import find_connection
from trempy_provider.hooks.settings import find_settings
from trempy_provider.plugins.run_command import fail


def run_capture(arguments: Namespace) -> None:
    """Capture until stopped, or as long as asked."""
    _become(arguments, "capture", _bounds(arguments))


def run_apply(arguments: Namespace) -> None:
    """Apply until stopped, or as long as asked."""
    _become(arguments, "apply", _bounds(arguments))


def run_run(arguments: Namespace) -> None:
    """Set up and load what is missing, then capture and apply together."""
    _become(arguments, "run", _bounds(arguments))


def run_dry_run(arguments: Namespace) -> None:
    """Apply the settings to the first rows of each table, and undo it."""
    _become(arguments, "dry-run", ["--rows", str(arguments.rows)])


def run_schema(_: Namespace) -> None:
    """Print the JSON Schema of the settings."""
    _execute(["schema"], {})


def _bounds(arguments: Namespace) -> list[str]:
    if arguments.until_caught_up:
        return ["--until-caught-up"]
    return [] if arguments.seconds is None else ["--for", str(arguments.seconds)]


def _become(arguments: Namespace, command: str, options: Sequence[str]) -> NoReturn:
    # Airflow's own commands say so too: Variables and Connections are then read from its database.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    try:
        settings = find_settings(arguments.task_name)
        task = settings.load()
        environment = dict(_connections(task))
    except TrempyError as error:
        fail(error)
    path = _nameless_file(settings.text)
    _execute([command, path, "--json", *options], environment)


def _execute(words: Sequence[str], environment: dict[str, str]) -> NoReturn:
    program = [sys.executable, "-m", "trempy_provider.cli", *words]
    os.execve(sys.executable, program, {**os.environ, **environment})  # noqa: S606  # no shell takes part


def _connections(task: ReplicationTask) -> Iterator[tuple[str, str]]:
    """Yield the variables in which `trempy` looks for a connection."""
    conn_ids = {task.source_conn_id, task.target_conn_id, task.metadata_conn_id, *_salts(task)}
    if task.captures_changes:
        conn_ids.add(task.broker_conn_id)
    for conn_id in sorted(conn_ids):
        yield f"AIRFLOW_CONN_{conn_id.upper()}", find_connection(conn_id).as_json()


def _salts(task: ReplicationTask) -> Iterator[str]:
    for entry in task.transformations:
        match entry.settings:
            case ModifyColumnValue(contract=Hash(salt_conn_id=conn_id)):
                yield conn_id
            case _:
                pass


def _nameless_file(settings: object) -> str:
    """Write the settings into a file that nobody else can open and that ends with the process."""
    if isinstance(settings, str):
        text = settings.encode()
    else:
        text = settings if isinstance(settings, bytes) else json.dumps(settings).encode()
    with tempfile.TemporaryFile() as file:
        file.write(text)
        file.seek(0)
        number = os.dup(file.fileno())
    os.set_inheritable(number, True)  # its only form
    return f"/dev/fd/{number}"

"""How long Airflow takes to parse the DAG file that makes all tasks' DAGs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, Finding
from benchmarks.stage import Stage

_TASKS = (1, 50, 500)
_AT_MOST_SECONDS = {500: 2.0}
_DAG_FILE = Path(__file__).parent.parent / "dags" / "trempy_tasks.py"
# Airflow's processes have Airflow imported before they parse, and each parses in a process of its own.
_PARSE = """
import runpy, sys, time
import airflow.sdk, airflow.models
started = time.perf_counter()
found = runpy.run_path(sys.argv[1])
seconds = time.perf_counter() - started
print(sum(isinstance(entry, airflow.sdk.DAG) for entry in found.values()), seconds)
"""


def parsing(stage: Stage, *, rounds: int, scale: float) -> list[Finding]:
    """Parse with 1, 50 and 500 tasks, their settings in a folder; the provider's import is within the time."""
    figures = []
    for tasks in _TASKS:
        with TemporaryDirectory(dir=stage.folder) as folder:
            for number in range(tasks):
                _write_settings(Path(folder), f"bench_{number}")
            seconds = tuple(_parse(Path(folder), tasks) for _ in range(rounds))
        figures.append(
            Figure(f"parsing the DAGs of {tasks} tasks", "s", seconds, _AT_MOST_SECONDS.get(tasks))
        )
    return list(figures)


def _write_settings(folder: Path, name: str) -> None:
    task = {"task_name": name, "replication_type": "full_load_and_cdc"}
    tables = [{"schema_name": "shop", "table_name": f"t{number}"} for number in range(5)]
    (folder / f"{name}.json").write_text(json.dumps({"task": task, "tables": tables}))


def _parse(folder: Path, tasks: int) -> float:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "TREMPY_TASKS_FOLDER": str(folder),
    }
    finished = subprocess.run(
        [sys.executable, "-c", _PARSE, str(_DAG_FILE)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise RuntimeError(finished.stderr[-2000:])
    dags, seconds = finished.stdout.split()[-2:]
    assert int(dags) >= tasks, f"{dags} DAGs of {tasks} tasks"
    return float(seconds)

"""The product as its users run it: the command `trempy`, its processes, and what they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.costs import CpuShares, measure_cpu, peak_bytes_of
from benchmarks.figures import Figure
from benchmarks.marker import MARKER_TABLE, wait_for_marker
from benchmarks.stage import Stage
from tests.support.databases import DatabasePair

TASK_NAME = "bench"
AT_MOST_MB = {"capture": 150.0, "apply": 350.0}
HALVES = ("capture", "apply")


@dataclass
class Product:
    """One task between two databases; `module` is what Python runs as the command."""

    stage: Stage
    databases: DatabasePair
    tables: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    task_name: str = TASK_NAME
    module: str = "trempy_provider.cli"
    marker_table: str = MARKER_TABLE
    peak_bytes: dict[str, int] = field(default_factory=dict)

    @property
    def settings_path(self) -> Path:
        """Where the settings are."""
        return self.stage.folder / f"{self.databases.target.name}-{self.task_name}.json"

    def write_settings(self) -> None:
        """Write the settings: defaults, but for `options`."""
        entries = [
            dict(zip(("schema_name", "table_name"), name.split("."), strict=True)) for name in self.tables
        ]
        task = {
            "task_name": self.task_name,
            "replication_type": "full_load_and_cdc",
            "create_table_if_not_exists": True,
            **self.options,
        }
        self.settings_path.write_text(json.dumps({"task": task, "tables": entries, **self.extra}))

    def prepare(self) -> None:
        """Set the task up and load its tables, so that changes can be followed."""
        self.write_settings()
        self.run("setup")
        self.run("full-load")

    def run(self, command: str, *arguments: str) -> None:
        """Run a command to its end; raise RuntimeError when it fails."""
        process = self.start(command, *arguments)
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        if process.returncode != 0:
            raise RuntimeError(f"trempy {command} ended with {process.returncode}: {errors}")
        self._note_peak(command, usage.ru_maxrss * 1024)

    def start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a command, with its modules compiled beforehand as pip leaves them."""
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "TREMPY_SOURCE": self.databases.source_uri,
            "TREMPY_TARGET": self.databases.target_uri,
            "TREMPY_BROKER": self.stage.broker.amqp_uri,
        }
        return subprocess.Popen(
            [sys.executable, "-m", self.module, command, str(self.settings_path), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def following(self) -> Iterator[Halves]:
        """Let capture and apply run beside the block, and note their peak memory at its end."""
        halves: Halves = {}
        try:
            for name in HALVES:
                halves[name] = self.start(name)
            yield halves
            raise_ended(halves)
            for name, process in halves.items():
                self._note_peak(name, peak_bytes_of(process.pid))
        finally:
            for process in halves.values():
                process.terminate()
            for process in halves.values():
                process.communicate()

    def catch_up(self, marker: int) -> tuple[float, CpuShares]:
        """Start capture and apply; return the seconds until the marker is there, and the CPU used."""
        started = time.monotonic()
        with self.following() as halves, measure_cpu(self._process_groups(halves)) as shares:
            wait_for_marker(
                self.databases.target_uri,
                marker,
                table=self.marker_table,
                check=lambda: raise_ended(halves),
            )
            seconds = time.monotonic() - started
        return seconds, shares

    def _process_groups(self, halves: Halves) -> dict[str, Callable[[], set[int]]]:
        return {**self.stage.process_groups, **{name: partial(_pids_of, halves, name) for name in HALVES}}

    def _note_peak(self, command: str, size: int) -> None:
        self.peak_bytes[command] = max(size, self.peak_bytes.get(command, 0))


Halves = dict[str, "subprocess.Popen[str]"]


def peak_figures(benchmark: str, *products: Product) -> list[Figure]:
    """Return the highest resident memory of capture and of apply, in whichever run of whichever task."""
    peaks = {name: max(product.peak_bytes.get(name, 0) for product in products) for name in HALVES}
    return [
        Figure(f"{benchmark}: peak memory of {name}", "MB", (peak / 1e6,), at_most=AT_MOST_MB[name])
        for name, peak in peaks.items()
        if peak
    ]


def raise_ended(halves: Halves) -> None:
    """Raise RuntimeError when one of the processes has ended, with what it says."""
    for name, process in halves.items():
        if process.poll() is not None:
            raise RuntimeError(f"trempy {name} ended: {process.communicate()[1]}")


def _pids_of(halves: Halves, name: str) -> set[int]:
    """Return a half's process and those it has started."""
    if name not in halves:
        return set()
    pid = halves[name].pid
    children = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return {pid, *(int(child) for found in children for child in found)}

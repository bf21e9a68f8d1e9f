"""The product as its users run it: the command `trempy`, its processes, and what they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.costs import CpuShares, measure_cpu, peak_bytes_of
from benchmarks.marker import wait_for_marker
from benchmarks.stage import Stage
from tests.support.databases import DatabasePair

TASK_NAME = "bench"


@dataclass
class Product:
    """One task between two databases."""

    stage: Stage
    databases: DatabasePair
    tables: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def settings_path(self) -> Path:
        """Where the settings are."""
        return self.stage.folder / f"{self.databases.target.name}.json"

    def write_settings(self) -> None:
        """Write the settings: defaults, but for `options`."""
        entries = [
            dict(zip(("schema_name", "table_name"), name.split("."), strict=True)) for name in self.tables
        ]
        task = {
            "task_name": TASK_NAME,
            "replication_type": "full_load_and_cdc",
            "create_table_if_not_exists": True,
            **self.options,
        }
        self.settings_path.write_text(json.dumps({"task": task, "tables": entries, **self.extra}))

    def run(self, command: str, *arguments: str) -> None:
        """Run a command to its end."""
        process = self.start(command, *arguments)
        _, errors = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"trempy {command} ended with {process.returncode}: {errors}")

    def start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        environment = {
            **os.environ,
            "TREMPY_SOURCE": self.databases.source_uri,
            "TREMPY_TARGET": self.databases.target_uri,
            "TREMPY_BROKER": self.stage.broker.amqp_uri,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "trempy_provider.cli", command, str(self.settings_path), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def catch_up(self, marker: int) -> tuple[float, dict[str, int], CpuShares]:
        """Start capture and apply; return the seconds until the marker is there, peak memory, and the CPU used."""
        started = time.monotonic()
        halves: dict[str, subprocess.Popen[str]] = {}
        groups = {name: partial(_pids_of, halves, name) for name in ("capture", "apply")}
        try:
            with measure_cpu({**self.stage.process_groups, **groups}) as shares:
                halves |= {name: self.start(name) for name in groups}
                wait_for_marker(self.databases.target_uri, marker, check=lambda: _raise_ended(halves))
                seconds = time.monotonic() - started
            peaks = {name: peak_bytes_of(process.pid) for name, process in halves.items()}
        finally:
            for process in halves.values():
                process.terminate()
            for process in halves.values():
                process.communicate()
        return seconds, peaks, shares


def _pids_of(halves: dict[str, subprocess.Popen[str]], name: str) -> set[int]:
    return {halves[name].pid} if name in halves else set()


def _raise_ended(halves: dict[str, subprocess.Popen[str]]) -> None:
    for name, process in halves.items():
        if process.poll() is not None:
            raise RuntimeError(f"trempy {name} ended: {process.communicate()[1]}")

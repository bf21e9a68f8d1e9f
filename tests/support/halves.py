"""Capture and apply as processes that run for long, each with proxies of its own before the servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, urlsplit, urlunsplit

from tests.support.command import ROOT, SECRET_VARIABLES
from tests.support.proxy import Proxy
from tests.support.wait import wait_until

END_TIMEOUT_SECONDS = 60.0


class Process(Protocol):
    """A process that was started here; Popen is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float) -> int: ...


class Wires:
    """The way of one process to source, target and broker: a proxy before each."""

    def __init__(self, uris: Mapping[str, str]) -> None:
        self._uris = {part: urlsplit(uri) for part, uri in uris.items()}
        self.proxies = {part: _proxy_before(uri) for part, uri in self._uris.items()}

    def uri(self, part: str) -> str:
        """Return the URI that leads through the proxy."""
        parts = self._uris[part]
        address = f"127.0.0.1:{self.proxies[part].port}"
        credentials = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{credentials}@{address}"))

    @property
    def environment(self) -> dict[str, str]:
        """Return what a `trempy` process finds its servers by."""
        return {f"TREMPY_{part.upper()}": self.uri(part) for part in self._uris}

    def close(self) -> None:
        for proxy in self.proxies.values():
            proxy.close()


class Half:
    """`trempy capture` or `trempy apply` of one task; whoever wants it to run again starts it again."""

    def __init__(self, name: str, *, settings_file: Path, wires: Wires) -> None:
        self.name = name
        self.wires = wires
        self.settings_file = settings_file
        self.log_path = settings_file.with_suffix(f".{name}.log")
        self.process: Process | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        """Start the process, which goes on until it is stopped."""
        assert not self.is_running
        inherited = {key: text for key, text in os.environ.items() if not key.startswith(SECRET_VARIABLES)}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "trempy_provider.cli", self.name, str(self.settings_file)],
                env=inherited | {"PYTHONPATH": str(ROOT), **self.wires.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def kill(self) -> None:
        """End it with SIGKILL, if it runs."""
        if self.is_running:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, *, timeout_seconds: float = END_TIMEOUT_SECONDS) -> int | None:
        """Wait for its end and return its exit code, None if it was never started."""
        if self.process is None:
            return None
        try:
            return self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} goes on:\n{self.log[-3000:]}") from None

    def wait_for_log(self, text: str, *, timeout_seconds: float = 30) -> None:
        """Wait until the process has logged something."""
        wait_until(
            lambda: text in self.log,
            timeout_seconds=timeout_seconds,
            what=f"{text!r} in the log of {self.name}",
        )

    def close(self) -> None:
        self.kill()
        self.wires.close()


def _proxy_before(uri: SplitResult) -> Proxy:
    assert uri.hostname is not None and uri.port is not None
    return Proxy(uri.hostname, uri.port)

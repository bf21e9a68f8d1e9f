"""Starts, follows and stops the process that does the shop's traffic."""

import sys
import time
from pathlib import Path

from sandbox.demo.state import REPOSITORY
from sandbox.demo.traffic import URI_VARIABLE, TrafficCounts, read_report
from sandbox.processes import RECORD_SUFFIX, ServerProcess, start_server

STOP_SECONDS = 20
START_SECONDS = 20


class TrafficError(RuntimeError):
    """The traffic ended by itself."""


class Shopkeeper:
    """One traffic process at a time; it outlives this program unless it is stopped."""

    def __init__(self, owner_uri: str, *, directory: Path):
        self._owner_uri = owner_uri
        self._directory = directory
        self.log_path = directory / "traffic.log"
        self._report_path = directory / "traffic.json"
        self._process: ServerProcess | None = None

    def open(self, *, rate: float, connections: int) -> None:
        """Start the traffic and return when its first transactions are done."""
        self._report_path.unlink(missing_ok=True)
        options = ["--report", str(self._report_path), "--rate", str(rate), "--connections", str(connections)]
        self._process = start_server(
            [sys.executable, "-m", "sandbox.demo.traffic", *options],
            record_path=self._directory / f"traffic{RECORD_SUFFIX}",
            log_path=self.log_path,
            environment={URI_VARIABLE: self._owner_uri, "PYTHONPATH": str(REPOSITORY), "LANG": "C.UTF-8"},
            directory=self._directory,
        )
        deadline = time.monotonic() + START_SECONDS
        while not (self._report_path.exists() and self.counts().committed):
            if time.monotonic() > deadline:
                raise TrafficError(f"the traffic did nothing for {START_SECONDS} s")
            self.require_open()
            time.sleep(0.1)

    def is_open(self) -> bool:
        """Tell whether the traffic goes on."""
        return self._process is not None and self._process.is_running()

    def require_open(self) -> None:
        """Raise TrafficError with the reason if the traffic has ended by itself."""
        if not self.is_open():
            reason = self.counts().error if self._report_path.exists() else None
            raise TrafficError(f"the traffic has ended by itself: {reason or 'see its log'}")

    def counts(self) -> TrafficCounts:
        """Return what has been done up to about a second ago."""
        return read_report(self._report_path)

    def close(self) -> TrafficCounts:
        """Finish the transactions under way; return what has been done in all."""
        if self._process is not None:
            self.require_open()
            self._process.end(grace_seconds=STOP_SECONDS)
            self._process = None
        return self.counts()

"""What the demo leaves in `.demo/` or DEMO_DIRECTORY: enough to remove everything, also after a kill -9.

It is written before anything starts, and again with each thing learned.
Standard library only: `make demo-down` works without the virtual environment.
"""

import json
import os
import shutil
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sandbox.processes import POLL_SECONDS, ServerProcess, read_processes, recorded_servers

REPOSITORY = Path(__file__).resolve().parents[2]
STATE_DIRECTORY = Path(os.environ.get("DEMO_DIRECTORY") or REPOSITORY / ".demo").absolute()
STATE_FILE = "state.json"
REMOVE_SECONDS = 40


@dataclass(slots=True)
class DemoState:
    """One demo: who runs it, where its files are, and how to reach it."""

    directory: str
    server_directory: str  # the same, unless PostgreSQL's user cannot reach it
    container: str  # a name; there may be no such container
    demo_pid: int
    demo_started_ticks: int
    is_complete: bool = False
    addresses: dict[str, str] = field(default_factory=dict)

    def save(self) -> None:
        """Replace the state file in one step; only its owner may read it."""
        path = Path(self.directory) / STATE_FILE
        partial = path.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(asdict(self), indent=2))
        partial.replace(path)

    def demo_is_running(self) -> bool:
        """Tell whether the command that started the demo is still at work."""
        row = read_processes().get(self.demo_pid)
        return row is not None and row.started_ticks == self.demo_started_ticks

    def is_up(self) -> bool:
        """Tell whether the demo has been shown and its servers still run."""
        return self.is_complete and any(server.is_running() for server in self._servers())

    def end_servers(self) -> None:
        """End the recorded processes with everything they started, the databases last.

        What they have stored is about to be removed, so nothing is worth an orderly end, but for PostgreSQL,
        which frees its shared memory in an immediate shutdown.
        """
        for server in sorted(self._servers(), key=_is_postgres):
            if _is_postgres(server):
                server.send(signal.SIGQUIT)
                server.end()
            else:
                server.kill()

    def remove_all_but_logs(self) -> None:
        """Remove the servers' files except what explains a failure."""
        for directory in {self.directory, self.server_directory}:
            for path in Path(directory).rglob("*"):
                if not path.is_dir() and path.suffix != ".log" and path.name != STATE_FILE:
                    path.unlink(missing_ok=True)

    def remove_files(self) -> None:
        """Remove the servers' files and, last, the state itself.

        What a killed demo was about to start, `initdb` for one, may go on writing for a moment.
        Raise OSError when something keeps writing.
        """
        for directory in (self.server_directory, self.directory):
            deadline = time.monotonic() + REMOVE_SECONDS
            while Path(directory).exists() and time.monotonic() < deadline:
                shutil.rmtree(directory, ignore_errors=True)
                time.sleep(POLL_SECONDS)
            if Path(directory).exists():
                shutil.rmtree(directory)

    def _servers(self) -> list[ServerProcess]:
        return [
            server
            for directory in {self.directory, self.server_directory}
            for server in recorded_servers(Path(directory))
        ]


def create_state(directory: Path, *, server_directory: Path, container: str) -> DemoState:
    """Create the directories and record this process as the one who runs the demo."""
    for path in (directory, server_directory):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711)  # PostgreSQL's user has to pass
    own = read_processes()[os.getpid()]
    state = DemoState(str(directory), str(server_directory), container, own.pid, own.started_ticks)
    state.save()
    return state


def read_state(directory: Path = STATE_DIRECTORY) -> DemoState | None:
    """Return the state of the last demo, None when nothing is left of it."""
    try:
        return DemoState(**json.loads((directory / STATE_FILE).read_text()))
    except FileNotFoundError:
        return None


def _is_postgres(server: ServerProcess) -> bool:
    return Path(server.record_path).name.startswith("postgres")

"""Server processes that end completely.

A server starts in a session of its own and hands a marker down in its environment.
Its family is what /proc shows under any of three ties: the session, the marker, descent from one of those.
One tie alone is not enough: PostgreSQL's backends open sessions of their own and overwrite their environment,
Erlang's port mapper leaves the tree, Airflow's children outlive their parent.

A record of each process is kept in a file, so that a later command can end what an earlier one started.
"""

import json
import os
import pwd
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

MARKER = "TREMPY_SANDBOX_PROCESS"
RECORD_SUFFIX = ".process.json"
POLL_SECONDS = 0.05

_children: dict[int, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One line of the process table."""

    pid: int
    parent_pid: int
    session: int
    started_ticks: int
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """The first process of a server: enough to find and end its family, in this program or a later one."""

    pid: int
    started_ticks: int
    marker: str
    stop_signal: int
    record_path: str

    def is_running(self) -> bool:
        """Tell whether the first process lives; the same number given to another process does not count."""
        return self._row() is not None

    def family(self) -> set[int]:
        """Return the pids of all living processes of this server."""
        table = read_processes()
        root = table.get(self.pid)
        own_session = root is None or root.started_ticks == self.started_ticks
        found = {pid for pid in table if _has_marker(pid, self.marker)}
        if own_session:
            found |= {row.pid for row in table.values() if self.pid in (row.pid, row.session)}
        return found | descendants(found, table)

    def send(self, signal_number: int) -> None:
        """Send a signal to the first process, if it lives."""
        if self.is_running():
            send_signal(self.pid, signal_number)

    def end(self, *, grace_seconds: float = 20) -> None:
        """Ask the first process to stop, then kill what is left of the family; return when nothing is."""
        family = self.family()
        self.send(self.stop_signal)
        self._wait_for_root(grace_seconds)
        end_processes(lambda: family | self.family())
        self._forget()

    def kill(self) -> None:
        """End the whole family with SIGKILL; return when nothing is left.

        The first process is held beforehand: it may answer the death of its children by starting others,
        which nothing would tie to it once it is gone.
        """
        self._hold()
        family = self.family()
        end_processes(lambda: family | self.family(), first_signal=signal.SIGKILL)
        self._forget()

    def _row(self) -> ProcessRow | None:
        row = read_processes().get(self.pid)
        return row if row is not None and row.started_ticks == self.started_ticks else None

    def _hold(self, *, at_most_seconds: float = 2) -> None:
        self.send(signal.SIGSTOP)
        deadline = time.monotonic() + at_most_seconds
        while (row := self._row()) is not None and not row.is_stopped and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 10)

    def _forget(self) -> None:
        """Reap the first process if it was our child, and drop its record."""
        if child := _children.pop(self.pid, None):
            child.wait()
        Path(self.record_path).unlink(missing_ok=True)

    def _wait_for_root(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def start_server(
    command: Sequence[str | Path],
    *,
    record_path: Path,
    log_path: Path,
    environment: Mapping[str, str],
    directory: Path,
    user: str | None = None,
    stop_signal: int = signal.SIGTERM,
) -> ServerProcess:
    """Start `command` in a session of its own, output to `log_path`, as `user` if one is named."""
    marker = secrets.token_hex(8)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**environment, MARKER: marker},
            cwd=directory,
            start_new_session=True,
            **identity_options(user),
        )
    _children[process.pid] = process
    started = ServerProcess(
        process.pid, _started_ticks(process.pid), marker, int(stop_signal), str(record_path)
    )
    record_path.write_text(json.dumps(asdict(started)))
    return started


def recorded_servers(directory: Path) -> Iterator[ServerProcess]:
    """Yield the server processes recorded under `directory`, the last started first."""
    records = sorted(
        directory.rglob(f"*{RECORD_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for record in records:
        yield ServerProcess(**json.loads(record.read_text()))


def identity_options(user: str | None) -> dict[str, object]:
    """Return the keyword arguments that let subprocess run a command as `user`, without our groups."""
    return {} if user is None else {"user": user, "group": _primary_group(user), "extra_groups": []}


def end_processes(
    find_pids: Callable[[], set[int]], *, first_signal: int = signal.SIGTERM, grace_seconds: float = 5
) -> None:
    """Signal every process that `find_pids()` names until none lives: SIGKILL after the grace period.

    Raises RuntimeError with the pids that even SIGKILL did not end within ten seconds.
    """
    started = time.monotonic()
    signal_number, signalled = first_signal, set()
    while living := running_pids(find_pids()):
        elapsed = time.monotonic() - started
        if elapsed > grace_seconds and signal_number != signal.SIGKILL:
            signal_number, signalled = signal.SIGKILL, set()
        if elapsed > grace_seconds + 10:
            raise RuntimeError(f"processes {sorted(living)} did not end")
        for pid in living - signalled:
            send_signal(pid, signal_number)
        signalled |= living
        time.sleep(POLL_SECONDS)


def send_signal(pid: int, signal_number: int) -> None:
    """Send a signal; a process that has just ended is no error."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal_number)


def running_pids(pids: set[int]) -> set[int]:
    """Return those of `pids` that live."""
    return pids & read_processes().keys()


def read_processes() -> dict[int, ProcessRow]:
    """Read the process table, zombies left out."""
    rows = (_read_process(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {row.pid: row for row in rows if row is not None}


def descendants(ancestors: set[int], table: Mapping[int, ProcessRow]) -> set[int]:
    """Return the children of `ancestors`, their children, and so on."""
    found: set[int] = set()
    generation = ancestors
    while generation:
        generation = {row.pid for row in table.values() if row.parent_pid in generation} - found
        found |= generation
    return found


def _read_process(entry: Path) -> ProcessRow | None:
    """Parse /proc/<pid>/stat (proc(5)); the command's name is in parentheses and may hold anything."""
    try:
        fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    return ProcessRow(
        pid=int(entry.name),
        parent_pid=int(fields[1]),
        session=int(fields[3]),
        started_ticks=int(fields[19]),
        is_stopped=fields[0] in "Tt",
    )


def _started_ticks(pid: int) -> int:
    row = _read_process(Path("/proc") / str(pid))
    return row.started_ticks if row else 0


def _has_marker(pid: int, marker: str) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{MARKER}={marker}".encode() in environment.split(b"\0")


def _primary_group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid

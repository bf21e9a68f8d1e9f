"""Local PostgreSQL servers, of any installed version, made for logical replication.

Nobody is trusted: every connection, local ones too, authenticates with scram-sha-256.
PostgreSQL refuses to run as root, so root starts it as the user `postgres` or `nobody`.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from sandbox.installations import PostgresError, find_bin_dir, full_version
from sandbox.ports import free_port
from sandbox.processes import POLL_SECONDS, RECORD_SUFFIX, ServerProcess, identity_options, start_server
from sandbox.scratch import make_scratch_directory

SUPERUSER = "postgres"
SETTINGS_FILE = "sandbox.conf"
START_TIMEOUT_SECONDS = 60
SOCKET_PATH_LIMIT = 90  # bytes; sockaddr_un takes 107 with the file's own name

LOGICAL_REPLICATION = MappingProxyType(
    {
        "wal_level": "logical",
        "max_replication_slots": "20",
        "max_wal_senders": "20",
        "max_prepared_transactions": "10",
    }
)
# synchronous_commit stays on: without it a killed server loses transactions it has confirmed.
NOT_DURABLE = MappingProxyType({"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"})
STOP_SIGNALS = MappingProxyType({"fast": signal.SIGINT, "immediate": signal.SIGQUIT})


class PostgresServer:
    """One local server: its cluster is created by the first start() and removed by remove().

    :param version: the major version; the lowest installed one if neither it nor `bin_dir` is given.
    :param directory: an empty or absent directory that `server_user()` can reach; a temporary one by default.
    :param durable: False turns fsync and its kin off and may keep the files in memory: data survive a crash
        of PostgreSQL only.
    """

    def __init__(
        self,
        version: int | None = None,
        *,
        bin_dir: Path | None = None,
        directory: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        durable: bool = False,
    ):
        self._installed_bin_dir = bin_dir or find_bin_dir(version)
        self.full_version = full_version(self._installed_bin_dir)
        self.version = int(self.full_version.partition(".")[0])
        self.user = server_user()
        self.directory = directory or _make_directory(f"trempy-postgresql-{self.version}-", durable=durable)
        self.data_dir = self.directory / "data"
        self.log_path = self.directory / "server.log"
        self.port = port or free_port()
        self.password = secrets.token_hex(12)
        self.settings = {**LOGICAL_REPLICATION, **({} if durable else NOT_DURABLE), **settings}
        self.process: ServerProcess | None = None
        self.bin_dir = self._installed_bin_dir

    def __repr__(self) -> str:
        return f"PostgresServer(version={self.version}, port={self.port}, directory={str(self.directory)!r})"

    @property
    def description(self) -> str:
        """Say which server this is, for people."""
        return f"PostgreSQL {self.full_version} from {self._installed_bin_dir}"

    def uri(self, dbname: str, *, user: str, password: str) -> str:
        """Return the URI of a database for one role."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{dbname}"

    def superuser_uri(self, dbname: str = "postgres") -> str:
        """Return the URI of a database for the superuser."""
        return self.uri(dbname, user=SUPERUSER, password=self.password)

    def start(self) -> None:
        """Create the cluster if it is not there, start the server, and return when it accepts connections."""
        if not self.data_dir.exists():
            self._create_cluster()
        self._configure()
        self.process = start_server(
            [self.bin_dir / "postgres", "-D", self.data_dir],
            record_path=self.directory / f"postgres{RECORD_SUFFIX}",
            log_path=self.log_path,
            environment=_environment(),
            directory=self.directory,
            user=self.user,
            stop_signal=STOP_SIGNALS["fast"],
        )
        self._wait_until_ready(self.process)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` (a shutdown checkpoint) or `immediate` (recovery at the next start)."""
        if self.process is not None:
            self.process.send(STOP_SIGNALS[mode])
            self.process.end()
            self.process = None

    def kill(self) -> None:
        """End every process of the server with SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def restart(self, mode: str = "fast") -> None:
        """Stop and start on the same port with the same data; changed `settings` take effect."""
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop the server and delete its files."""
        self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _create_cluster(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.user is not None:
            shutil.chown(self.directory, self.user, pwd.getpwnam(self.user).pw_gid)
        self.directory.chmod(0o700)
        self._refuse_unreachable_directory()
        self.bin_dir = self._reachable_bin_dir()
        password_path = self.directory / "superuser-password"
        self._write_private(password_path, self.password)
        self._initdb(password_path)
        with (self.data_dir / "postgresql.conf").open("a") as configuration:
            configuration.write(f"include '{SETTINGS_FILE}'\n")

    def _initdb(self, password_path: Path) -> None:
        authentication = ["--auth=scram-sha-256", f"--pwfile={password_path}", f"--username={SUPERUSER}"]
        locale = ["--encoding=UTF8", "--locale=C.UTF-8"]
        finished = subprocess.run(
            [self.bin_dir / "initdb", "-D", self.data_dir, "--no-sync", *authentication, *locale],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd=self.directory,
            check=False,
            **identity_options(self.user),
        )
        if finished.returncode != 0:
            raise PostgresError(f"initdb of PostgreSQL {self.version} failed: {finished.stderr.strip()}")

    def _configure(self) -> None:
        sockets = self.directory if len(str(self.directory)) < SOCKET_PATH_LIMIT else ""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(sockets),
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] %q%a %u@%d ",
            **self.settings,
        }
        lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
        self._write_private(self.data_dir / SETTINGS_FILE, "".join(lines))

    def _write_private(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o600)
        if self.user is not None:
            shutil.chown(path, self.user, pwd.getpwnam(self.user).pw_gid)

    def _wait_until_ready(self, process: ServerProcess) -> None:
        """Wait for `ready` in postmaster.pid, as pg_ctl does (miscadmin.h, LOCK_FILE_LINE_PM_STATUS)."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._is_ready(process):
            if not process.is_running() or time.monotonic() > deadline:
                process.kill()
                raise PostgresError(f"PostgreSQL {self.version} did not start: {last_lines(self.log_path)}")
            time.sleep(POLL_SECONDS)

    def _is_ready(self, process: ServerProcess) -> bool:
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

    def _refuse_unreachable_directory(self) -> None:
        if self.user is not None and not _is_reachable(self.directory.parent):
            raise PostgresError(
                f"the user {self.user}, who has to run PostgreSQL, cannot reach {self.directory}"
            )

    def _reachable_bin_dir(self) -> Path:
        """Copy binaries that lie where `user` may not look, such as a virtual environment below /root."""
        if self.user is None or _is_reachable(self._installed_bin_dir.resolve()):
            return self._installed_bin_dir
        installation = self._installed_bin_dir.parent
        package = installation.parent
        copy = self.directory / package.name / installation.name
        shutil.copytree(installation, copy, symlinks=True)
        for libraries in package.parent.glob(f"{package.name}.libs"):
            shutil.copytree(libraries, self.directory / libraries.name)
        return copy / "bin"


def server_user() -> str | None:
    """Name the user the server runs as: None is the one who runs this program."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def last_lines(path: Path, *, count: int = 10) -> str:
    """Return the end of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-count:]) if path.exists() else "no log"


def _make_directory(prefix: str, *, durable: bool) -> Path:
    return Path(tempfile.mkdtemp(prefix=prefix)) if durable else make_scratch_directory(prefix)


def _is_reachable(directory: Path) -> bool:
    """Tell whether any user may enter `directory`."""
    return all(path.stat().st_mode & 0o001 for path in (directory, *directory.parents))


def _environment() -> dict[str, str]:
    """Keep PG… and LC_… variables of the person who runs this away from the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}

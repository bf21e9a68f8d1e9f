"""A local RabbitMQ with its own node, port mapper, ports, files and cookie, apart from any other."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from sandbox.ports import free_port
from sandbox.processes import POLL_SECONDS, RECORD_SUFFIX, ServerProcess, running_pids, start_server
from sandbox.scratch import make_scratch_directory

START_TIMEOUT_SECONDS = 90
CTL_TIMEOUT_SECONDS = 60
AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
PROGRAM_DIRECTORIES = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/usr/local/sbin")

LOCAL_DISTRIBUTION = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false"
CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{amqp_port}
default_user = {user}
default_pass = {password}
loopback_users = none
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 67108864
log.console = false
log.file.level = warning
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
"""


class RabbitMqError(RuntimeError):
    """A local RabbitMQ could not be found or started."""


class RabbitMqServer:
    """One local broker with the management plugin; remove() ends it and deletes all its files."""

    def __init__(self, *, directory: Path | None = None, amqp_port: int | None = None):
        self._programs = find_programs()
        self.directory = directory or make_scratch_directory("trempy-rabbitmq-")
        self.amqp_port = amqp_port or free_port()
        self.management_port = free_port()
        self._distribution_port, self._mapper_port = free_port(), free_port()
        self.node = f"trempy-{secrets.token_hex(4)}@localhost"
        self.user, self.password = "trempy", secrets.token_hex(12)
        self._processes: list[ServerProcess] = []

    def __repr__(self) -> str:
        return f"RabbitMqServer(amqp_port={self.amqp_port}, directory={str(self.directory)!r})"

    @property
    def description(self) -> str:
        """Say which broker this is, for people."""
        return f"RabbitMQ {installed_version()} from {self._programs}"

    @property
    def amqp_uri(self) -> str:
        """Return the URI of the default virtual host."""
        return f"amqp://{self.user}:{self.password}@127.0.0.1:{self.amqp_port}/%2F"

    @property
    def management_url(self) -> str:
        """Return the address of the management interface; `user` and `password` open it."""
        return f"http://127.0.0.1:{self.management_port}"

    def start(self) -> None:
        """Start the port mapper and the broker, and return when AMQP is answered."""
        self._write_files()
        self._start("epmd", [_find_epmd(), "-address", "127.0.0.1", "-port", str(self._mapper_port)])
        self._start("rabbitmq", [self._programs / "rabbitmq-server"])
        self._wait_until_ready()

    def remove(self) -> None:
        """End the broker and the port mapper and delete their files; nothing is worth an orderly shutdown."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """End the broker with SIGKILL, as a crash would; start() brings it back with its files."""
        for process in reversed(self._processes):
            process.kill()
        self._processes = []

    def restart(self) -> None:
        """Stop the broker and start it again with the same files and ports."""
        for process in reversed(self._processes):
            process.end()
        self._processes = []
        self.start()

    def pids(self) -> set[int]:
        """Return the pids of all living processes of this broker and its port mapper."""
        return running_pids(set().union(*(process.family() for process in self._processes)))

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this broker and return what it prints."""
        finished = subprocess.run(
            [self._programs / "rabbitmqctl", "--quiet", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._environment(),
            cwd=self.directory,
            timeout=CTL_TIMEOUT_SECONDS,
            check=False,
        )
        if finished.returncode != 0:
            raise RabbitMqError(f"rabbitmqctl {arguments[0]} failed: {finished.stderr.strip()}")
        return finished.stdout

    def _start(self, name: str, command: list[str | Path]) -> None:
        process = start_server(
            command,
            record_path=self.directory / f"{name}{RECORD_SUFFIX}",
            log_path=self.directory / f"{name}.log",
            environment=self._environment(),
            directory=self.directory,
            stop_signal=signal.SIGTERM,
        )
        self._processes.append(process)

    def _write_files(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        (self.directory / "rabbitmq.conf").write_text(
            CONFIGURATION.format(
                amqp_port=self.amqp_port,
                user=self.user,
                password=self.password,
                management_port=self.management_port,
            )
        )
        (self.directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.directory / "rabbitmq-env.conf").write_text("")
        cookie = self.directory / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(20))
            cookie.chmod(0o400)

    def _environment(self) -> dict[str, str]:
        """Return the whole environment: nothing of the person's own RabbitMQ or of /etc/rabbitmq leaks in."""
        directory = self.directory
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(directory),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": LOCAL_DISTRIBUTION,
            "RABBITMQ_CONF_ENV_FILE": str(directory / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_PID_FILE": str(directory / "rabbitmq.pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(directory / "config"),
        }

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not (self._answers_amqp() and self._answers_http()):
            if time.monotonic() > deadline or not all(process.is_running() for process in self._processes):
                log = (self.directory / "rabbitmq.log").read_text(errors="replace")
                self.kill()
                raise RabbitMqError(f"RabbitMQ did not start: {log[-2000:]}")
            time.sleep(POLL_SECONDS)

    def _answers_amqp(self) -> bool:
        """Ask for AMQP 0-9-1; the broker answers with Connection.Start."""
        try:
            with socket.create_connection(("127.0.0.1", self.amqp_port), timeout=5) as connection:
                connection.sendall(AMQP_HEADER)
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def _answers_http(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.management_port), timeout=5).close()
        except OSError:
            return False
        return True


def find_programs() -> Path:
    """Return the directory of RabbitMQ's own programs: the wrappers on PATH insist on the system's user."""
    for directory in map(Path, PROGRAM_DIRECTORIES):
        if (directory / "rabbitmq-server").exists():
            return directory
    raise RabbitMqError("RabbitMQ is not installed; `make servers` installs it")


def installed_version() -> str:
    """Read the version from the name of the installation's directory; `unknown` where there is none."""
    names = sorted(path.name for path in Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
    return names[-1].partition("-")[2] if names else "unknown"


def _find_epmd() -> str:
    for candidate in (shutil.which("epmd"), *map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))):
        if candidate is not None:
            return candidate
    raise RabbitMqError("epmd, Erlang's port mapper, is not installed")

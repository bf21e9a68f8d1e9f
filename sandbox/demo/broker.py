"""The demo's RabbitMQ: on this machine, else a container, else installed now, else a clear sentence."""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.error import URLError
from urllib.request import urlopen

from sandbox.docker import docker_answers
from sandbox.install import apt_install, may_install
from sandbox.ports import free_port
from sandbox.rabbitmq import RabbitMqError, RabbitMqServer, find_programs

IMAGE = "rabbitmq:3.13.7-management"
START_TIMEOUT_SECONDS = 120


class RabbitMqContainer:
    """RabbitMQ with its management plugin in a container, on free ports of this machine."""

    def __init__(self, name: str):
        self.name = name
        self.amqp_port, self._management_port = free_port(), free_port()
        self.user, self.password = "trempy", secrets.token_hex(12)

    @property
    def description(self) -> str:
        """Say which broker this is, for people."""
        return f"the container {self.name} of {IMAGE}"

    @property
    def management_url(self) -> str:
        """Return the address of the management interface; `user` and `password` open it."""
        return f"http://127.0.0.1:{self._management_port}"

    def start(self) -> None:
        """Start the container, pulling its image if need be, and return when the broker answers."""
        _docker(
            "run", "--detach", "--name", self.name,
            "--publish", f"127.0.0.1:{self.amqp_port}:5672",
            "--publish", f"127.0.0.1:{self._management_port}:15672",
            "--env", "RABBITMQ_DEFAULT_USER", "--env", "RABBITMQ_DEFAULT_PASS",
            IMAGE,
            environment={"RABBITMQ_DEFAULT_USER": self.user, "RABBITMQ_DEFAULT_PASS": self.password},
        )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise RabbitMqError(f"RabbitMQ did not start: {_docker('logs', '--tail', '20', self.name)}")
            time.sleep(0.5)

    def _answers(self) -> bool:
        """Tell whether the management interface answers: it starts after the AMQP listeners."""
        try:
            urlopen(self.management_url, timeout=5).close()
        except (URLError, OSError):
            return False
        return True


def choose_broker(*, directory: Path, container_name: str) -> RabbitMqServer | RabbitMqContainer:
    """Return a broker that can be started; raise RabbitMqError saying what to do when there is none."""
    if not _is_installed():
        if docker_answers():
            return RabbitMqContainer(container_name)
        if not may_install():
            raise RabbitMqError(
                "RabbitMQ is not installed, no Docker engine answers, and no package can be installed without"
                " a password: run `sudo apt-get install rabbitmq-server`, then try again"
            )
        apt_install(["rabbitmq-server"])
    return RabbitMqServer(directory=directory)


def remove_container(name: str) -> None:
    """Remove a container and its volumes; one that is not there is no error."""
    if shutil.which("docker"):
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", name],
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip


def _is_installed() -> bool:
    try:
        find_programs()
    except RabbitMqError:
        return False
    return True


def _docker(*arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> str:
    finished = subprocess.run(
        ["docker", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    if finished.returncode != 0:
        raise RabbitMqError(f"docker {arguments[0]} failed: {finished.stderr.strip()}")
    return finished.stdout + finished.stderr

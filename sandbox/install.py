"""Prepare a machine: the virtual environment and, where we may, the servers' packages.

`python3 -m sandbox.install venv|servers` uses the standard library only: it runs before anything is there.
What cannot be done is said in one sentence, with what to do instead.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sandbox.docker import docker_answers

UV = "uv==0.13.9"
ENVIRONMENT = Path(".venv")
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "installed"
POSTGRES_PROGRAMS = Path("/usr/lib/postgresql")
RABBITMQ_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
POLICY = Path("/usr/sbin/policy-rc.d")
CHROMIUM_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
CLUSTER_POLICY = Path("/etc/postgresql-common/createcluster.d/trempy.conf")


class InstallError(RuntimeError):
    """Something has to be done by a person first; the message says what."""


def install_environment() -> None:
    """Create .venv if need be and install this project, editable, with its tests, at exact versions."""
    if not PYTHON.exists():
        _create_environment()
    _install_project()
    STAMP.touch()


def install_servers() -> None:
    """Install what is missing of RabbitMQ, PostgreSQL and Chromium, without starting any service."""
    missing = [
        *([] if RABBITMQ_PROGRAM.exists() or "TREMPY_TEST_BROKER" in os.environ else ["rabbitmq-server"]),
        *([] if any(POSTGRES_PROGRAMS.glob("*/bin/postgres")) else ["postgresql"]),
        *([] if find_chromium() else ["chromium"]),
    ]
    if not missing:
        return
    if may_install():
        apt_install(missing)
    elif "chromium" in missing or ("rabbitmq-server" in missing and not docker_answers()):
        raise InstallError(
            f"{' and '.join(missing)} missing: run `sudo apt-get install {' '.join(missing)}` first"
        )
    else:
        print(f"{' and '.join(missing)} not installed: containers and PyPI's PostgreSQL are used instead")


def find_chromium() -> str | None:
    """Return the path of Chromium: the program TREMPY_TEST_CHROMIUM, else one of its usual names."""
    given = os.environ.get("TREMPY_TEST_CHROMIUM")
    names = [given] if given else CHROMIUM_PROGRAMS
    return next((path for name in names if (path := shutil.which(name))), None)


def apt_install(packages: Sequence[str]) -> None:
    """Install packages of the distribution as root, in a process of its own when we are not."""
    if os.geteuid() != 0:
        _run(["sudo", "-n", sys.executable, "-m", "sandbox.install", "apt", *packages])
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _service_starts_refused():
        _run(["apt-get", "update", "-q"], environment)
        _run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], environment)
    if "rabbitmq-server" in packages and shutil.which("systemctl"):
        subprocess.run(
            ["systemctl", "disable", "--quiet", "rabbitmq-server"], check=False, stdin=subprocess.DEVNULL
        )


def may_install() -> bool:
    """Tell whether packages can be installed without asking anybody."""
    if shutil.which("apt-get") is None:
        return False
    return os.geteuid() == 0 or _succeeds(["sudo", "-n", "true"])


@contextmanager
def _service_starts_refused() -> Iterator[None]:
    """Keep packages from starting services (invoke-rc.d(8)) and from creating a default cluster."""
    with (
        _temporary_file(POLICY, "#!/bin/sh\nexit 101\n", mode=0o755),
        _temporary_file(CLUSTER_POLICY, "create_main_cluster = false\n", mode=0o644),
    ):
        yield


@contextmanager
def _temporary_file(path: Path, text: str, *, mode: int) -> Iterator[None]:
    """Keep a file while the block runs; one that was there before stays as it was."""
    if path.exists():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _create_environment() -> None:
    if not _has_ensurepip():
        _install_ensurepip()
    venv.create(ENVIRONMENT, with_pip=True, symlinks=True)


def _has_ensurepip() -> bool:
    """Tell whether a new environment gets pip; Debian and Ubuntu keep that in a package of its own."""
    return _succeeds([sys.executable, "-c", "import ensurepip, venv"])


def _install_ensurepip() -> None:
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not may_install():
        raise InstallError(f"Python's venv is incomplete: run `sudo apt-get install {package}` first")
    apt_install([package])


def _install_project() -> None:
    """Install with uv, or with pip where uv cannot be had or does not know the machine's package index."""
    project = ["-e", ".[test,ai,docs,messaging,openlineage]", "-c", "constraints.txt"]
    uv = [ENVIRONMENT / "bin" / "uv", "--system-certs", "pip", "install", "-q", "-p", PYTHON]
    if _install_uv() and _succeeds([*uv, *project]):
        return
    _run([PYTHON, "-m", "pip", "install", "-q", *project])


def _install_uv() -> bool:
    if not _succeeds([PYTHON, "-m", "pip", "--version"]):
        _run([PYTHON, "-m", "ensurepip"])
    return _succeeds([PYTHON, "-m", "pip", "install", "-q", UV])


def _run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
    finished = subprocess.run(
        [str(word) for word in command], env=environment, stdin=subprocess.DEVNULL, check=False
    )
    if finished.returncode != 0:
        raise InstallError(f"`{' '.join(map(str, command))}` failed with exit code {finished.returncode}")


def _succeeds(command: Sequence[str | Path]) -> bool:
    with suppress(FileNotFoundError):
        return (
            subprocess.run(
                [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, check=False
            ).returncode
            == 0
        )
    return False


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    command, *packages = arguments
    try:
        if command == "venv":
            install_environment()
        elif command == "servers":
            install_servers()
        else:
            apt_install(packages)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

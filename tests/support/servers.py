"""The servers tests run against, wherever they come from.

Order of preference for each: a URI in the environment, programs installed on this machine, containers.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg2
import pytest

from sandbox.airflow import AirflowServer
from sandbox.installations import (
    PostgresError,
    available_versions,
    distribution_versions,
    find_bin_dir,
    full_version,
)
from sandbox.postgres import PostgresServer
from sandbox.rabbitmq import RabbitMqError, RabbitMqServer, find_programs, installed_version

SOURCE_VARIABLE = "TREMPY_TEST_SOURCE"
TARGET_VARIABLE = "TREMPY_TEST_TARGET"
BROKER_VARIABLE = "TREMPY_TEST_BROKER"

ANY = ""
MARKED_VERSIONS = (15, 16, 18)  # that tests are marked for

LocalServer = TypeVar("LocalServer", PostgresServer, RabbitMqServer, AirflowServer)


class ServerMissingError(RuntimeError):
    """No way was found to get a server; the message says what to do."""


class DatabaseServer(Protocol):
    """A PostgreSQL server, as tests see it."""

    @property
    def description(self) -> str:
        """Say which server this is."""

    def superuser_uri(self, dbname: str = "postgres") -> str:
        """Return the URI of a database for a superuser."""

    def uri(self, dbname: str, *, user: str, password: str) -> str:
        """Return the URI of a database for one role."""

    def remove(self) -> None:
        """Stop the server if it is ours."""


@dataclass(frozen=True, slots=True)
class GivenServer:
    """A running PostgreSQL server known by the URI of a superuser."""

    given_uri: str
    container: Any = None

    @property
    def description(self) -> str:
        """Say which server this is, without its password."""
        parts = urlsplit(self.given_uri)
        return f"PostgreSQL {self._version()} at {parts.hostname}:{parts.port or 5432}"

    def superuser_uri(self, dbname: str = "postgres") -> str:
        """Return the given URI with another database."""
        return urlunsplit(urlsplit(self.given_uri)._replace(path=f"/{dbname}"))

    def uri(self, dbname: str, *, user: str, password: str) -> str:
        """Return the given URI with another database and role."""
        parts = urlsplit(self.given_uri)
        address = parts.netloc.rpartition("@")[2]
        return urlunsplit(
            parts._replace(netloc=f"{quote(user)}:{quote(password)}@{address}", path=f"/{dbname}")
        )

    def remove(self) -> None:
        """Stop the container, if there is one."""
        if self.container is not None:
            self.container.stop()

    def _version(self) -> str:
        connection = psycopg2.connect(self.superuser_uri())
        try:
            return str(connection.info.parameter_status("server_version"))
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class GivenBroker:
    """A running RabbitMQ known by its URI."""

    amqp_uri: str
    container: Any = None

    @property
    def description(self) -> str:
        """Say which broker this is, without its password."""
        parts = urlsplit(self.amqp_uri)
        return f"RabbitMQ at {parts.hostname}:{parts.port or 5672}"

    def remove(self) -> None:
        """Stop the container, if there is one."""
        if self.container is not None:
            self.container.stop()


def open_database_server(variable: str, version: int | None) -> DatabaseServer:
    """Return a running server: the one `variable` names, a local one, or a container."""
    if uri := os.environ.get(variable):
        return GivenServer(uri)
    if available_versions():
        return start_whole(PostgresServer(version))
    uri, container = _containers(f"PostgreSQL ({variable})").start_postgres(version)
    return GivenServer(uri, container)


def open_broker() -> GivenBroker | RabbitMqServer:
    """Return a running broker: the one the environment names, a local one, or a container."""
    if uri := os.environ.get(BROKER_VARIABLE):
        return GivenBroker(uri)
    try:
        broker = RabbitMqServer()
    except RabbitMqError:
        return GivenBroker(*_containers(f"RabbitMQ ({BROKER_VARIABLE})").start_rabbitmq())
    return start_whole(broker)


def start_whole(server: LocalServer) -> LocalServer:
    """Start a local server; remove what is there of it when that fails or is interrupted."""
    try:
        server.start()
    except BaseException:
        server.remove()
        raise
    return server


class ServerPool:
    """The PostgreSQL servers of a test session, each opened when first asked for."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, int | None], DatabaseServer] = {}

    def __enter__(self) -> "ServerPool":
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers.values():
            server.remove()

    def open(self, variable: str, version: int | None) -> DatabaseServer:
        """Return the server of one role and version; end the whole run when there is no way to get one."""
        key = (variable, version)
        if key not in self._servers:
            try:
                self._servers[key] = open_database_server(variable, version)
            except ServerMissingError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        return self._servers[key]


def servers_are_given() -> bool:
    """Tell whether the environment names the servers."""
    return SOURCE_VARIABLE in os.environ or TARGET_VARIABLE in os.environ


def describe_database_server(variable: str, version: int | None) -> str:
    """Say which server open_database_server() would return, without starting one."""
    if uri := os.environ.get(variable):
        return f"{GivenServer(uri).description} ({variable})"
    if not available_versions():
        return _describe_containers(f"PostgreSQL ({variable})")
    try:
        bin_dir = find_bin_dir(version)
    except PostgresError as error:
        return str(error)
    return f"PostgreSQL {full_version(bin_dir)} from {bin_dir}"


def versions_in_turn(marked: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the versions of source and target of marks such as `15-18`, over and over; ANY: those of the run."""
    if servers_are_given():
        return itertools.repeat((None, None))
    return itertools.cycle(
        [(None, None) if each == ANY else parse_versions(versions_to_run(each)) for each in marked]
    )


def parse_versions(text: str) -> tuple[int, int]:
    """Return the versions of source and target: `15-18` or, for both, `16`."""
    source, _, target = text.partition("-")
    return int(source), int(target or source)


def versions_to_run(marked: str) -> str:
    """Return a mark such as 15 or `15-18` with versions that are installed in the place of others."""
    return "-".join(str(_version_to_run(int(version))) for version in marked.split("-"))


def _version_to_run(version: int) -> int:
    """Return the version itself, or else the distribution's, which has what 15 is asked for, or the lowest."""
    installed = available_versions()
    if version in installed or not installed:
        return version
    return min(distribution_versions() or installed)


def describe_marked_versions() -> str:
    """Say on which server a test runs that is marked for a version."""
    if servers_are_given():
        return "whatever a test is marked for, it runs once, on the servers given"
    if not available_versions():
        return "none is installed"
    return ", ".join(f"{version}: {_description_of_marked(version)}" for version in MARKED_VERSIONS)


def _description_of_marked(version: int) -> str:
    bin_dir = available_versions()[_version_to_run(version)]
    missing = "" if version in available_versions() else "not installed, in its place "
    return f"{missing}PostgreSQL {full_version(bin_dir)} from {bin_dir}"


def describe_broker() -> str:
    """Say which broker open_broker() would return, without starting one."""
    if uri := os.environ.get(BROKER_VARIABLE):
        return f"{GivenBroker(uri).description} ({BROKER_VARIABLE})"
    try:
        return f"RabbitMQ {installed_version()} from {find_programs()}"
    except RabbitMqError:
        return _describe_containers(f"RabbitMQ ({BROKER_VARIABLE})")


def _describe_containers(what: str) -> str:
    try:
        return _containers(what).DESCRIPTION
    except ServerMissingError as error:
        return str(error)


def _containers(what: str) -> ModuleType:
    """Import the module that starts containers; it is slow to import and rarely needed."""
    from tests.support import containers  # noqa: PLC0415

    if not containers.docker_answers():
        raise ServerMissingError(
            f"no {what}: not given, not installed, and no Docker engine answers; `make servers` installs it"
        )
    return containers

"""Which servers a test runs on, and that the head of the report says so."""

from pathlib import Path
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
from testcontainers.core.container import DockerContainer

from sandbox import installations
from sandbox.rabbitmq import RabbitMqError, RabbitMqServer, find_programs
from tests.support import servers


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Return a function that lets the machine have these versions, from PyPI and from the distribution."""

    def make_programs(source: str, version: int) -> Path:
        bin_dir = tmp_path / source / str(version) / "bin"
        bin_dir.mkdir(parents=True)
        program = bin_dir / "postgres"
        program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}.7 (Debian)'\n")
        program.chmod(0o755)
        return bin_dir

    def install(*, bundled: tuple[int, ...], packaged: tuple[int, ...]) -> None:
        for name in (servers.SOURCE_VARIABLE, servers.TARGET_VARIABLE):
            monkeypatch.delenv(name, raising=False)
        from_pypi = [make_programs("pypi", version) for version in bundled]
        from_apt = [make_programs("apt", version) for version in packaged]
        monkeypatch.setattr(installations, "_bundled_bin_dirs", lambda: from_pypi)
        found = installations._by_version(from_apt)
        for module in (installations, servers):
            monkeypatch.setattr(module, "distribution_versions", lambda: found)

    return install


def test_version_that_is_installed_is_the_one_a_marked_test_runs_on(install) -> None:
    install(bundled=(16, 18), packaged=(15,))

    assert [servers.versions_to_run(marked) for marked in ("15", "16", "15-18")] == ["15", "16", "15-18"]


def test_other_distributions_version_stands_in_for_the_one_a_test_is_marked_for(install) -> None:
    install(bundled=(16, 18), packaged=(17,))

    assert [servers.versions_to_run(marked) for marked in ("15", "18-15", "16")] == ["17", "18-17", "16"]
    assert "15: not installed, in its place PostgreSQL 17.7" in servers.describe_marked_versions()


def test_servers_too_old_for_trempy_are_not_used(install) -> None:
    install(bundled=(16, 18), packaged=(14,))

    assert list(installations.available_versions()) == [16, 18]
    assert servers.versions_to_run("15") == "16"


def test_head_of_the_report_names_every_server_with_its_version(install) -> None:
    install(bundled=(16, 18), packaged=(15,))

    assert "PostgreSQL 15.7 from " in servers.describe_database_server(servers.SOURCE_VARIABLE, None)
    for version in servers.MARKED_VERSIONS:
        assert f"{version}: PostgreSQL {version}.7 from " in servers.describe_marked_versions()


def test_without_any_server_the_head_and_the_end_of_the_run_say_what_to_do(install, monkeypatch) -> None:
    install(bundled=(), packaged=())
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

    with pytest.raises(servers.ServerMissingError, match="not given, not installed, and no Docker engine"):
        servers.open_database_server(servers.SOURCE_VARIABLE, None)
    assert "no Docker engine answers" in servers.describe_database_server(servers.SOURCE_VARIABLE, None)


def test_containers_serve_where_a_docker_engine_answers(install, monkeypatch) -> None:
    from tests.support import containers  # noqa: PLC0415  # slow to import

    started: list[tuple[str, str | None]] = []

    def start(container: DockerContainer) -> DockerContainer:
        started.append((container.image, container._command))
        container._container = Mock()
        return container

    install(bundled=(), packaged=())
    monkeypatch.setattr("testcontainers.core.container.DockerClient", Mock())
    monkeypatch.delenv(servers.BROKER_VARIABLE, raising=False)
    monkeypatch.setattr(servers, "RabbitMqServer", Mock(spec=RabbitMqServer, side_effect=RabbitMqError))
    monkeypatch.setattr(servers, "find_programs", Mock(spec=find_programs, side_effect=RabbitMqError))
    monkeypatch.setattr(servers, "installed_version", Mock(spec=find_programs, side_effect=RabbitMqError))
    monkeypatch.setattr(containers, "docker_answers", lambda: True)
    for kind in (containers.PostgresContainer, containers.RabbitMqContainer):
        monkeypatch.setattr(kind, "start", start)
        monkeypatch.setattr(kind, "get_container_host_ip", lambda _: "127.0.0.1")
        monkeypatch.setattr(kind, "get_exposed_port", lambda _, port: 40000 + port % 1000)

    server = servers.open_database_server(servers.SOURCE_VARIABLE, 18)
    broker = servers.open_broker()

    assert urlsplit(server.superuser_uri("one")).path == "/one"
    assert server.superuser_uri().startswith("postgresql://")
    assert broker.amqp_uri.startswith("amqp://")
    (postgres, command), (rabbitmq, _) = started
    assert (postgres, rabbitmq) == ("postgres:18-bookworm", containers.RABBITMQ_IMAGE)
    assert "-c wal_level=logical" in str(command)
    for said in (servers.describe_database_server(servers.SOURCE_VARIABLE, None), servers.describe_broker()):
        assert said == containers.DESCRIPTION

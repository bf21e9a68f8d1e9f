"""docker-compose.yaml: everything the demo needs, healthy before it is used, at fixed versions."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
AIRFLOW = ["airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"]
SERVERS = ["source", "target", "rabbitmq", "airflow-database", *AIRFLOW]


def test_all_servers_are_there() -> None:
    assert set(SERVICES) == {*SERVERS, "airflow-init", "demo"}


@pytest.mark.parametrize("name", SERVICES)
def test_image_has_a_fixed_tag(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", SERVICES[name]["image"])


def test_base_image_has_the_airflow_version_of_the_constraints() -> None:
    (image,) = re.findall(r"^FROM (\S+)$", (ROOT / "docker/airflow.Dockerfile").read_text(), re.MULTILINE)
    (version,) = re.findall(r"^apache-airflow==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)

    assert image.startswith(f"apache/airflow:{version}-python3.")


@pytest.mark.parametrize("name", SERVERS)
def test_server_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_are_waited_for(name: str) -> None:
    conditions = {other: how["condition"] for other, how in SERVICES[name].get("depends_on", {}).items()}

    assert conditions == {
        other: "service_completed_successfully" if other == "airflow-init" else "service_healthy"
        for other in conditions
    }
    assert conditions.keys() <= SERVICES.keys()


def test_demo_waits_for_every_server() -> None:
    assert set(SERVICES["demo"]["depends_on"]) == set(SERVERS) - {"airflow-database"}


@pytest.mark.parametrize("name", ["source", "target"])
def test_databases_decode_logically_and_trust_nobody(name: str) -> None:
    assert "wal_level=logical" in SERVICES[name]["command"]
    assert "trust" not in str(SERVICES[name])


def test_named_volumes_are_declared_and_used() -> None:
    used = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }

    assert used == set(COMPOSE["volumes"])


def test_ports_are_published_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_copied_files_exist_and_are_not_ignored() -> None:
    lines = (ROOT / "docker/airflow.Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[2:-1]]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert set(copied) <= kept

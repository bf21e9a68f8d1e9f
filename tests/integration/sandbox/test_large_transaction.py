"""The measurement of one very large transaction, with a small one."""

from __future__ import annotations

import json
import subprocess
import sys


def test_peak_memory_is_measured_and_the_sides_are_equal() -> None:
    command = [sys.executable, "-m", "benchmarks.large_transaction", "--rows", "8000", "--work-mem", "64kB"]
    measured = subprocess.run(command, stdout=subprocess.PIPE, check=True)

    facts = json.loads(measured.stdout)
    assert facts["equal"]
    assert facts["row_changes"] == 8000
    assert 0 < facts["capture_peak_mb"] < 150
    assert 0 < facts["apply_peak_mb"] < 350

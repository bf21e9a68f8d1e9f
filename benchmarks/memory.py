"""One transaction of five million row changes: what capture and apply need of memory."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.figures import Figure, Finding
from benchmarks.product import AT_MOST_MB
from benchmarks.stage import Stage

_CHANGES = 5_000_000


def large_transaction(stage: Stage, *, rounds: int, scale: float) -> list[Finding]:
    """Run `python -m benchmarks.large_transaction`, which has servers of its own, once."""
    command = [sys.executable, "-m", "benchmarks.large_transaction", "--rows", str(int(_CHANGES * scale))]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not finished.stdout:
        raise RuntimeError(f"{' '.join(command[1:])} ended with {finished.returncode}")
    facts = json.loads(finished.stdout)
    assert facts["equal"], "source and target differ"
    title = f"one transaction of {facts['row_changes']:,} changes"
    return [
        *(
            Figure(f"{title}: peak memory of {name}", "MB", (facts[f"{name}_peak_mb"],), at_most=limit)
            for name, limit in AT_MOST_MB.items()
        ),
        Figure(f"{title}: applied after its commit", "s", (facts["applied_after_commit_seconds"],)),
    ]

"""`python -m benchmarks [NAME …]`: run benchmarks; print tables, write the same as JSON.

Without names all of them run, at small sizes; a benchmark that is named runs
at its full size.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.catalogue import BENCHMARKS, Benchmark
from benchmarks.figures import Failed, Finding, findings_text
from benchmarks.stage import Stage, open_stage

_FULL_SIZE = 1.0


def main() -> int:
    """Run what was asked for; return 1 when something failed or is not as good as it must be."""
    arguments = _arguments()
    findings: list[Finding] = []
    with open_stage() as stage:
        print(stage.description, flush=True)
        for name in arguments.names or BENCHMARKS:
            scale = arguments.scale or (_FULL_SIZE if arguments.names else BENCHMARKS[name].scale_among_all)
            found = _run(stage, name, rounds=arguments.rounds, scale=scale)
            findings += found
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            arguments.json.write_text(json.dumps(_report(stage, arguments, findings), indent=2) + "\n")
    print(f"\n{findings_text(findings)}\n\nas JSON: {arguments.json}")
    return 0 if all(entry.is_reached for entry in findings) else 1


def _run(stage: Stage, name: str, *, rounds: int, scale: float) -> Sequence[Finding]:
    """Run one benchmark; what is wrong with it does not keep the others from running."""
    started = time.monotonic()
    benchmark: Benchmark = BENCHMARKS[name]
    try:
        found: Sequence[Finding] = benchmark.run(stage, rounds=rounds, scale=scale)
    except Exception as error:  # noqa: BLE001 - it is reported, and the exit code tells
        traceback.print_exc()
        found = [Failed(name, f"{type(error).__name__}: {error}")]
    print(
        f"\n{name}, scale {scale:g}, {time.monotonic() - started:.0f} s\n{findings_text(found)}", flush=True
    )
    return found


def _report(stage: Stage, arguments: argparse.Namespace, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "measured_on": stage.description,
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "rounds": arguments.rounds,
        "findings": [entry.as_dict() for entry in findings],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="names:\n" + "\n".join(f"  {name:22} {entry.what}" for name, entry in BENCHMARKS.items()),
    )
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME", help="all by default")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of product and peer in turn")
    parser.add_argument("--scale", type=float, help="size of the workload, 1 being the full one")
    parser.add_argument(
        "--json", type=Path, default=Path("build/benchmarks.json"), help="file for the figures"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

"""What the processes of a measurement cost: CPU by group, peak memory of single ones."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class CpuShares:
    """CPU seconds by group of processes, such as `source` and `broker`; filled when the measurement ends."""

    seconds: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.seconds.items())


@contextmanager
def measure_cpu(groups: Mapping[str, Callable[[], set[int]]]) -> Iterator[CpuShares]:
    """Count what each group's processes use while the block runs.

    What has ended before its end counts if its parent is of the group, as with PostgreSQL's backends.
    """
    before = {name: _ticks(pids()) for name, pids in groups.items()}
    shares = CpuShares()
    yield shares
    for name, pids in groups.items():
        after = _ticks(pids())
        used = sum(ticks - before[name].get(pid, 0) for pid, ticks in after.items())
        shares.seconds[name] = used / TICKS_PER_SECOND


@contextmanager
def measure_cpu_with_clients(groups: Mapping[str, Callable[[], set[int]]]) -> Iterator[CpuShares]:
    """Count what programs that are started and ended within the block use, too, as `clients`."""
    before = _waited_seconds()
    with measure_cpu(groups) as shares:
        yield shares
    shares.seconds["clients"] = _waited_seconds() - before


def peak_bytes_of(pid: int) -> int:
    """Read the highest resident size of a running process from /proc."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def _waited_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ticks(pids: set[int]) -> dict[int, int]:
    found = {}
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        found[pid] = sum(map(int, fields[11:15]))  # its own, and of children it has waited for
    return found

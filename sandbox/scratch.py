"""Directories for servers whose files are worth nothing once they have ended."""

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # a file system in memory, on Linux
NEEDED_BYTES = 4 << 30  # for all servers of a test run


def make_scratch_directory(prefix: str) -> Path:
    """Create a directory, in memory where there is plenty of it: databases are made several times faster."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if _has_memory_to_spare() else None))


def _has_memory_to_spare() -> bool:
    try:
        file_system = os.statvfs(MEMORY)
        available_bytes = _available_memory_bytes()
    except OSError:
        return False
    refused = file_system.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)  # a server's programs may be copied there
    free_bytes = file_system.f_bavail * file_system.f_frsize
    return not refused and os.access(MEMORY, os.W_OK) and min(free_bytes, available_bytes) >= 2 * NEEDED_BYTES


def _available_memory_bytes() -> int:
    """Read MemAvailable (proc(5)), 0 where it is not told."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0

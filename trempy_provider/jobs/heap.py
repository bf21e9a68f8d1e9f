"""Let large blocks of memory go back to the system as soon as they are free.

glibc begins to keep larger and larger blocks in its heap once such ones were freed, and between smaller ones
they are not used again: a process that handles message after message of some megabytes then grows without
holding anything.
See mallopt(3), M_MMAP_THRESHOLD.
"""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD = -3
_LARGE_BLOCK_BYTES = 1 << 20


def give_back_large_blocks() -> None:
    """Keep the threshold for large blocks where it is; elsewhere than with glibc, do nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)

"""Wait for conditions instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(
    condition: Callable[[], Value],
    *,
    timeout_seconds: float = 10,
    poll_seconds: float = 0.02,
    what: str | None = None,
) -> Value:
    """Call `condition` until it returns something true, and return that; fail the test after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            waited_for = what or getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"waited {timeout_seconds} s in vain for {waited_for}; last seen: {value!r}")
        time.sleep(poll_seconds)
    return value

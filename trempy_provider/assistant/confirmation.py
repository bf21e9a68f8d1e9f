"""A person's yes, without which nothing is saved."""

from __future__ import annotations

import sys

from trempy_provider.errors import ConfigurationError

_YES = ("y", "yes", "s", "sim", "si", "sí")


def confirm(question: str) -> bool:
    """Ask in the terminal; raise ConfigurationError where nobody is there, who could have agreed."""
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nobody is there to confirm, so nothing was saved",
            hint="Run it in a terminal, or with --yes.",
        )
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in _YES

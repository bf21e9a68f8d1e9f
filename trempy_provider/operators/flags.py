"""Flags that may have been rendered from a template."""

from __future__ import annotations


def is_true(value: bool | str) -> bool:
    """Read a flag: templates render True as text."""
    return value is True or str(value).strip().lower() == "true"

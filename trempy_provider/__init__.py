"""TREMpy for Airflow: PostgreSQL to PostgreSQL replication."""

from __future__ import annotations

from typing import Any

__version__ = "1.0.0"


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow asks of a provider: connection types, modules, links and commands."""
    from trempy_provider.provider_info import PROVIDER_INFO  # noqa: PLC0415  # the version is read without it

    return PROVIDER_INFO

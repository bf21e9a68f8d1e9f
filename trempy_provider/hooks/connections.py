"""Look up Airflow connections and read their extras by name."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from trempy_provider.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import Connection

# Airflow answers "not defined" also when its API server cannot be reached for a moment.
RETRY_SECONDS = (0.5, 1.0, 2.0)


def find_connection(conn_id: str) -> Connection:
    """Return the connection; raise ConfigurationError when there is none."""
    for pause_seconds in RETRY_SECONDS:
        with suppress(AirflowNotFoundException):
            return BaseHook.get_connection(conn_id)
        time.sleep(pause_seconds)
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise ConfigurationError(
            f"connection {conn_id!r} is not defined",
            hint="Create it in Airflow, or name another one in the task's settings.",
        ) from error


def read_extras(
    connection: Connection, *, allowed: Collection[str], ignored: Collection[str] = ()
) -> Mapping[str, Any]:
    """Return the extras that are filled in; raise ConfigurationError for one that is not allowed."""
    extras = {
        name: value for name, value in connection.extra_dejson.items() if value is not None and value != ""
    }
    unknown = sorted(set(extras) - set(allowed) - set(ignored))
    if unknown:
        raise ConfigurationError(
            f"connection {connection.conn_id!r} has the extra {unknown[0]!r}, which is not supported",
            hint=f"Allowed extras: {', '.join(sorted(allowed))}.",
        )
    return {name: value for name, value in extras.items() if name in allowed}

"""Settings and endpoints for tests that run jobs."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.databases import DatabasePair
from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.parameters import ConnectionParameters
from trempy_provider.postgres.session import Endpoint, Session


def make_task(
    task_name: str, tables: Iterable[str | tuple[str, str] | Mapping[str, Any]], **options: Any
) -> ReplicationTask:
    """Build the settings of a task that loads, follows changes and creates its target tables.

    A table is a name in schema shop, a pair of schema and name, or an entry of tables[].
    """
    defaults = {"replication_type": "full_load_and_cdc", "create_table_if_not_exists": True}
    return ReplicationTask.model_validate(
        {
            "task": {**defaults, "task_name": task_name, **options},
            "tables": [_entry(table) for table in tables],
        }
    )


def make_source(databases: DatabasePair, task_name: str = "test") -> Endpoint:
    """Return the source as jobs get it, with the provider's role."""
    return make_endpoint(databases.source_uri, task_name, "source")


def make_target(databases: DatabasePair, task_name: str = "test") -> Endpoint:
    """Return the target as jobs get it, with the provider's role."""
    return make_endpoint(databases.target_uri, task_name, "target")


def make_endpoint(uri: str, task_name: str, role: str, *, metadata: Endpoint | None = None) -> Endpoint:
    """Return an endpoint for any URI."""
    return Endpoint(
        lambda: ConnectionParameters.from_uri(uri), task_name=task_name, role=role, metadata=metadata
    )


def open_source(databases: DatabasePair) -> Session:
    """Open a session of the provider's role on the source."""
    return make_source(databases).connect("test")


def open_target(databases: DatabasePair) -> Session:
    """Open a session of the provider's role on the target."""
    return make_target(databases).connect("test")


def _entry(table: str | tuple[str, str] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(table, str):
        table = ("shop", table)
    if isinstance(table, tuple):
        return {"schema_name": table[0], "table_name": table[1]}
    return {"schema_name": "shop", **table}

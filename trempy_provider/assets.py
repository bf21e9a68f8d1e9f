"""Replicated tables as Airflow assets, for `schedule=[…]` of DAGs that use their rows.

An asset's URI is made of names alone: nothing is looked up or connected to while a DAG file is parsed.
"""

from __future__ import annotations

from urllib.parse import quote

from airflow.sdk import Asset, AssetAlias

from trempy_provider.postgres.tables import QualifiedName

SCHEME = "trempy"


def replicated_table(task_name: str, table: str) -> Asset:
    """Return the asset of a table that a replication task writes: `trempy://<task>/<schema>/<table>`.

    `table` is the table's name on the source, as `schema.table`, parts in double quotes where needed.
    Apply and full load emit its events; raise ConfigurationError for what is no table name.
    """
    return asset_of(task_name, QualifiedName.parse(table))


def replicated_tables(task_name: str) -> AssetAlias:
    """Return the alias of all tables of a replication task: an event of any of them is one of the alias."""
    return AssetAlias(f"{SCHEME}_{task_name}")


def asset_of(task_name: str, table: QualifiedName) -> Asset:
    """Return the asset of a source table; characters that are special in a URI are percent-encoded."""
    parts = (quote(part, safe="") for part in (table.schema_name, table.table_name))
    return Asset(f"{SCHEME}://{task_name}/{'/'.join(parts)}")

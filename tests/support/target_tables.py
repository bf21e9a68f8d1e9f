"""Build projections, tables and table states by hand."""

from __future__ import annotations

from typing import Any

from tests.support.tasks import make_task
from trempy_provider.apply_modes.projection import Projection, project
from trempy_provider.config.value_types import TEXT
from trempy_provider.postgres.table_states import LoadState, TableState
from trempy_provider.postgres.tables import Column, Key, QualifiedName, Table
from trempy_provider.replication.messages import Relation

TEXT_OID = 25


def make_column(name: str, position: int = 1, **fields: Any) -> Column:
    """Return a column of type text, but for what `fields` says."""
    given = {
        "type_oid": TEXT_OID,
        "type_name": "text",
        "base_type_oid": TEXT_OID,
        "stored_type_name": fields.get("type_name", "text"),
        "type_schema": "pg_catalog",
    }
    return Column(name=name, position=position, **{**given, **fields})


def make_table(*columns: Column | str, keys: tuple[tuple[str, ...], ...] = (), name: str = "t") -> Table:
    """Return a target table in schema shop, with a unique index for each of `keys`."""
    made = [make_column(column) if isinstance(column, str) else column for column in columns]
    return Table(
        oid=1,
        name=QualifiedName("shop", name),
        kind="r",
        columns=tuple(made),
        keys=tuple(Key(f"key_{number}", names) for number, names in enumerate(keys)),
    )


def make_state(*key_columns: str, oid: int = 16384, name: str = "t", **fields: Any) -> TableState:
    """Return the state of a table that is ready, but for what `fields` says."""
    return TableState(
        source_oid=oid,
        source=QualifiedName("public", name),
        target=QualifiedName("shop", name),
        key_columns=key_columns,
        **{"state": LoadState.READY, **fields},
    )


def project_onto(relation: Relation, *key: str, table: Table | None = None) -> Projection:
    """Return the projection onto a table of the same columns, or onto `table`."""
    target = table or make_table(*relation.column_names, keys=(key,) if key else ())
    return project(
        relation,
        types=[TEXT for _ in relation.columns],
        task=make_task("test", [("public", "t")]),
        state=make_state(*key),
        target=target,
    )

"""The three columns by which a target table in the mode `scd2` tells the versions of a row apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from psycopg2 import sql

from trempy_provider.config.task import ApplyModeName, ReplicationTask
from trempy_provider.postgres.tables import Column, Key, QualifiedName, Table

_TIMES = {"timestamp with time zone": 1184, "timestamp without time zone": 1114}
_FLAGS = {"integer": 23, "smallint": 21, "bigint": 20, "numeric": 1700}


@dataclass(frozen=True, slots=True)
class VersionColumns:
    """Their names: the time from which a version holds, the time it ended, whether it is current."""

    start: str
    end: str
    current: str

    @property
    def names(self) -> tuple[str, str, str]:
        """Return the names in this order."""
        return self.start, self.end, self.current

    def definitions(self) -> tuple[Column, Column, Column]:
        """Return the columns of a table that the task creates."""
        return (
            _column(self.start, "timestamp with time zone", not_null=True),
            _column(self.end, "timestamp with time zone"),
            _column(self.current, "integer", not_null=True),
        )

    def key(self, table: Table, identity: tuple[str, ...]) -> Key:
        """Return the key of a table that the task creates: a row's key, and the start of the version."""
        names = [key.name for key in table.keys if key.is_primary or key.is_replica_identity]
        return Key(
            next(iter(names), "primary_key"), (*identity, self.start), is_primary=True, is_not_null=True
        )

    def misfits(self, table: Table) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
        """Yield name, type and allowed types of those columns of a table that are missing or do not fit."""
        present = {column.name: column.type_name for column in table.columns}
        for name, allowed in ((self.start, _TIMES), (self.end, _TIMES), (self.current, _FLAGS)):
            if present.get(name) not in allowed:
                yield name, present.get(name), tuple(allowed)


def version_columns(task: ReplicationTask) -> VersionColumns | None:
    """Return the columns of a task in the mode `scd2`, None in others."""
    if task.cdc.mode is not ApplyModeName.SCD2:
        return None
    return VersionColumns(*task.cdc.scd2_settings.column_names)


def first_version_sql(table: QualifiedName, columns: VersionColumns, start: datetime) -> sql.Composed:
    """Compose the defaults that make every row copied into a table a current version from `start` on."""
    return sql.SQL(
        "alter table {table} alter {start} set default {moment}, alter {end} drop default, "
        "alter {current} set default 1"
    ).format(
        table=table.identifier,
        start=sql.Identifier(columns.start),
        end=sql.Identifier(columns.end),
        current=sql.Identifier(columns.current),
        moment=sql.Literal(start.isoformat()),
    )


def no_defaults_sql(table: QualifiedName, columns: VersionColumns) -> sql.Composed:
    """Compose the end of these defaults."""
    return sql.SQL("alter table {} {}").format(
        table.identifier,
        sql.SQL(", ").join(sql.SQL("alter {} drop default").format(sql.Identifier(n)) for n in columns.names),
    )


def _column(name: str, type_name: str, *, not_null: bool = False) -> Column:
    oid = {**_TIMES, **_FLAGS}[type_name]
    return Column(
        name=name,
        position=0,
        type_oid=oid,
        type_name=type_name,
        base_type_oid=oid,
        type_schema="pg_catalog",
        not_null=not_null,
        base_type_name=type_name,
    )

"""What a table looks like: values that describe it, read by `catalog`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from psycopg2 import sql

from trempy_provider.errors import ConfigurationError

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*")
_NAME_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


@dataclass(frozen=True, slots=True, order=True)
class QualifiedName:
    """The schema and name of a table, exactly as the catalog has them."""

    schema_name: str
    table_name: str

    def __str__(self) -> str:
        return f"{quote_name(self.schema_name)}.{quote_name(self.table_name)}"

    @property
    def identifier(self) -> sql.Identifier:
        """Return the name for composed SQL."""
        return sql.Identifier(self.schema_name, self.table_name)

    @classmethod
    def parse(cls, text: str) -> QualifiedName:
        """Read what `str` writes: `schema.table`, parts in double quotes where needed.

        An unquoted part is taken as it stands, capitals included.
        """
        first = _NAME_PART.match(text)
        second = (
            _NAME_PART.fullmatch(text, first.end() + 1) if first and text[first.end() :][:1] == "." else None
        )
        if first is None or second is None:
            raise ConfigurationError(
                f"not a table name: {text!r}", hint='Write schema.table or "My Schema"."Table".'
            )
        return cls(_unquoted(first), _unquoted(second))


@dataclass(frozen=True, slots=True)
class SequenceOptions:
    """How a sequence counts."""

    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = 2**63 - 1
    cache: int = 1
    cycles: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `base_type_oid` is what a domain rests on, `type_name` is complete with its modifier."""

    name: str
    position: int
    type_oid: int
    type_name: str
    base_type_oid: int
    type_schema: str
    not_null: bool = False
    default_sql: str | None = None
    default_is_safe: bool = False  # rests on nothing but built-in objects, and is not a sequence
    identity: str = ""  # "a": always, "d": by default
    generated: str = ""  # "s": stored, "v": virtual
    generated_from: tuple[str, ...] = ()
    collation: tuple[str, str] | None = None  # schema and name, when it is not the type's own
    sequence: QualifiedName | None = None  # owned by the column: serial and identity
    base_type_name: str = ""  # without modifier
    stored_type_name: str = ""  # of what a domain rests on, with the modifier
    equality: tuple[str, str] | None = None  # schema and name of the type's `=`, when it is not built in
    sequence_options: SequenceOptions | None = None

    @property
    def is_domain(self) -> bool:
        """Tell whether the type is a domain."""
        return self.type_oid != self.base_type_oid

    @property
    def is_serial(self) -> bool:
        """Tell whether the default draws from a sequence."""
        return not self.generated and (self.default_sql or "").startswith("nextval(")

    @property
    def identifier(self) -> sql.Identifier:
        """Return the name for composed SQL."""
        return sql.Identifier(self.name)


@dataclass(frozen=True, slots=True)
class Key:
    """A unique index over plain columns, in the index's order of columns."""

    name: str
    columns: tuple[str, ...]
    is_primary: bool = False
    is_replica_identity: bool = False
    is_immediate: bool = True
    is_constraint: bool = True
    is_not_null: bool = False
    nulls_not_distinct: bool = False


@dataclass(frozen=True, slots=True)
class Partition:
    """A leaf partition: where the rows of a partitioned table are."""

    oid: int
    name: QualifiedName
    kind: str
    persistence: str
    replica_identity: str
    page_count: int
    size_bytes: int
    estimated_rows: int | None
    identity_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A relation; of a partitioned one, sizes and row counts are the sums of its leaves'."""

    oid: int
    name: QualifiedName
    kind: str  # pg_class.relkind: "r" table, "p" partitioned table, "v" view, "m", "f", "S"
    persistence: str = "p"  # "p" permanent, "u" unlogged, "t" temporary
    replica_identity: str = "d"
    is_partition: bool = False
    has_row_security: bool = False
    forces_row_security: bool = False
    owner: str = ""
    page_count: int = 0
    size_bytes: int = 0
    estimated_rows: int | None = None  # None: never analysed
    has_inheritance_children: bool = False
    cascades_to_it: bool = False  # in this session, deleting rows it refers to deletes its own
    unique_index_count: int = (
        0  # partial ones, on expressions and exclusion constraints too; the most of a partition
    )
    columns: tuple[Column, ...] = ()
    keys: tuple[Key, ...] = ()
    partitions: tuple[Partition, ...] = field(default=(), repr=False)

    @property
    def is_partition_root(self) -> bool:
        """Tell whether the rows are in partitions."""
        return self.kind == "p"

    @property
    def rows(self) -> sql.Composed:
        """Return the table as it is named where rows of tables that inherit from it are not meant."""
        return sql.SQL("{}{}").format(
            sql.SQL("" if self.is_partition_root else "only "), self.name.identifier
        )

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Return the primary key's columns in the key's order, () without one."""
        return next((key.columns for key in self.keys if key.is_primary), ())

    @property
    def unique_keys(self) -> tuple[Key, ...]:
        """Return the unique keys other than the primary key."""
        return tuple(key for key in self.keys if not key.is_primary)

    @property
    def identity_columns(self) -> tuple[str, ...] | None:
        """Return the columns an UPDATE or DELETE carries of the old row; None: all, (): none.

        See REPLICA IDENTITY in "ALTER TABLE".
        """
        if self.replica_identity == "f":
            return None
        return next((key.columns for key in self.keys if _carries_identity(key, self.replica_identity)), ())

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Return the columns by which apply finds a row; (): by all of them.

        A replica identity index comes before the primary key: DELETE carries the index's columns only.
        """
        if self.replica_identity == "i" and self.identity_columns:
            return self.identity_columns
        return self.primary_key

    def column(self, name: str) -> Column:
        """Return the column called `name`; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def _carries_identity(key: Key, replica_identity: str) -> bool:
    if not key.is_immediate:
        return False
    return key.is_primary if replica_identity == "d" else replica_identity == "i" and key.is_replica_identity


def quote_name(name: str) -> str:
    """Return a name as it is written in SQL, in quotes where it must be; for people, not for statements."""
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as a SQL literal; for people, not for statements."""
    return "'" + text.replace("'", "''") + "'"


def _unquoted(match: re.Match[str]) -> str:
    return match[2] if match[1] is None else match[1].replace('""', '"')

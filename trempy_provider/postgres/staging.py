"""Staging tables: net changes on their way into a target table.

A staging table is temporary, lives as long as its session, and is empty after every commit.
Beside the target's columns it has the change's operation and the mask of the columns that are unchanged:
one character per column, so that one statement can serve all rows that leave the same columns alone.
See "COPY", section "Text Format".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2 import sql

from trempy_provider.postgres.session import Session
from trempy_provider.replication.messages import UNCHANGED, Value

OPERATION_COLUMN = "trempy operation"
MASK_COLUMN = "trempy mask"
_NULL = b"\\N"
_SENT, _LEFT = b".", b"u"


@dataclass(frozen=True, slots=True)
class StagedRow:
    """One row to stage: an operation's letter and a value per staged column."""

    operation: str
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class StagedCounts:
    """How many rows were staged, by operation and mask."""

    rows: Counter[tuple[str, str]]

    def count(self, operation: str) -> int:
        """Return the rows of an operation."""
        return sum(count for (staged, _), count in self.rows.items() if staged == operation)

    def masks(self, operation: str) -> list[tuple[str, int]]:
        """Return the masks of an operation's rows, with their counts."""
        return [(mask, count) for (staged, mask), count in self.rows.items() if staged == operation]


class StagingTables:
    """The staging tables of one session, made when first needed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._names: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self._filled: set[str] = set()
        self._made_count = 0

    def begin(self) -> None:
        """Note that a new transaction starts: all staging tables are empty."""
        self._filled.clear()

    def prepare(self, owner: str, columns: tuple[tuple[str, str], ...]) -> None:
        """Make `owner`'s staging table for `columns` if it is missing."""
        self._table(owner, columns)

    def stage(
        self, owner: str, columns: tuple[tuple[str, str], ...], rows: Iterable[StagedRow]
    ) -> tuple[sql.Identifier, StagedCounts]:
        """Copy rows into `owner`'s staging table for `columns` (names and types), emptied first.

        Return the table's name and how many rows it holds.
        """
        counts: Counter[tuple[str, str]] = Counter()
        body = b"".join(_lines(rows, counts))
        return self.stage_text(owner, columns, iter((body,))), StagedCounts(counts)

    def stage_text(
        self, owner: str, columns: tuple[tuple[str, str], ...], parts: Iterator[bytes]
    ) -> sql.Identifier:
        """Copy rows already written as COPY's text, operation and mask first; return the table's name."""
        name = self._table(owner, columns)
        identifier = sql.Identifier("pg_temp", name)
        if name in self._filled:
            self._session.execute(sql.SQL("truncate {}").format(identifier))
        self._session.copy_from(sql.SQL("copy {} from stdin").format(identifier), _Parts(parts))
        self._filled.add(name)
        return identifier

    @contextmanager
    def in_savepoint(self, name: str) -> Iterator[None]:
        """Run the block under a savepoint of the session; undone, the tables hold what they held before."""
        filled = frozenset(self._filled)
        try:
            with self._session.savepoint(name):
                yield
        except BaseException:
            self._filled = set(filled)
            raise

    def forget(self) -> None:
        """Drop all of them: a roll-back may have taken some, or the target's tables have changed."""
        for name in self._names.values():
            identifier = sql.Identifier("pg_temp", name)
            self._session.execute(sql.SQL("drop table if exists {}").format(identifier))
        self._names.clear()
        self._filled.clear()

    def _table(self, owner: str, columns: tuple[tuple[str, str], ...]) -> str:
        name = self._names.get((owner, columns))
        if name is None:
            self._made_count += 1
            name = self._names[owner, columns] = f"trempy_staging_{self._made_count}"
            self._session.execute(create_staging_sql(name, columns))
        return name


class _Parts:
    """Parts of a text, as COPY reads a file: each as it is, whatever size was asked for."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = filter(None, parts)  # nothing would be the end

    def read(self, _size: int = -1, /) -> bytes:
        """Return the next part, nothing at the end."""
        return next(self._parts, b"")

    readline = read  # COPY asks for it and never calls it


def create_staging_sql(name: str, columns: Iterable[tuple[str, str]]) -> sql.Composed:
    """Compose the creation of a staging table; types are written as format_type gives them."""
    definitions = [
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(type_name)) for column, type_name in columns
    ]
    return sql.SQL(
        'create temporary table {name} ({operation} "char", {mask} text collate "C"{columns}) '
        "on commit delete rows"
    ).format(
        name=sql.Identifier(name),
        operation=sql.Identifier(OPERATION_COLUMN),
        mask=sql.Identifier(MASK_COLUMN),
        columns=sql.SQL("").join(sql.SQL(", {}").format(definition) for definition in definitions),
    )


def _lines(rows: Iterable[StagedRow], counts: Counter[tuple[str, str]]) -> Iterable[bytes]:
    for row in rows:
        mask = b"".join([_LEFT if value is UNCHANGED else _SENT for value in row.values])
        counts[row.operation, mask.decode()] += 1
        fields = [row.operation.encode(), mask, *map(_field, row.values)]
        yield b"\t".join(fields) + b"\n"


def _field(value: Value) -> bytes:
    if value is None or value is UNCHANGED:
        return _NULL
    if b"\\" in value or b"\n" in value or b"\t" in value or b"\r" in value:
        return (
            value.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t").replace(b"\r", b"\\r")
        )
    return value

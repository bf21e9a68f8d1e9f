"""A table's two sides, asked for digests and for rows; the servers compute, no row comes here."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg2 import sql

from trempy_provider.apply_modes.comparison_plan import STAGING, VERSION_COLUMN, ComparedTable
from trempy_provider.jobs.loading.guarded_copy import is_failing_row
from trempy_provider.postgres.comparison import Buckets, Choice, KeyRange, RowKey, Rows
from trempy_provider.postgres.copy import copy_rows_within
from trempy_provider.postgres.digests import Digest
from trempy_provider.postgres.session import Session
from trempy_provider.postgres.translation import SourceStatementError, TargetStatementError

Answer = TypeVar("Answer")
EMPTY = Digest()


@dataclass(frozen=True, slots=True)
class Seen:
    """The rows of one key at one look; `versions` tell whether any of them has changed since."""

    digest: Digest
    versions: str | None


ABSENT = Seen(EMPTY, None)
Looked = dict[RowKey, Seen]


class Side:
    """The rows of one side, through a session."""

    def __init__(self, session: Session, rows: Rows) -> None:
        self.session = session
        self.rows = rows

    def digest(self, choice: Choice) -> Digest:
        """Return the digest of some rows."""
        row = self.session.fetch_one(self.rows.digest_sql(choice))
        assert row is not None
        return Digest(*row)

    def count(self, choice: Choice) -> int:
        """Return the number of some rows."""
        return int(self.session.fetch_value(self.rows.count_sql(choice)))

    def bound(self, within: KeyRange, place: int) -> RowKey | None:
        """Return the key at a place in the order of keys, None when there are not so many."""
        return self.session.fetch_one(self.rows.bound_sql(within, place))

    def buckets(self, mask: int) -> dict[int, Digest]:
        """Return the digest of each bucket."""
        return {row[0]: Digest(*row[1:]) for row in self.session.fetch_all(self.rows.buckets_sql(mask))}

    def look(self, choice: Choice) -> Looked:
        """Return what there is of each key."""
        return _looked(self.session.fetch_all(self.rows.look_sql(choice)))


class StagedSide(Side):
    """The source's rows, copied to the target to be computed there: in the target's types, by its text."""

    def __init__(self, source: Session, target: Session, table: ComparedTable) -> None:
        assert table.staged is not None
        super().__init__(source, table.source)
        self._target = target
        self._table = table
        self._staged = table.staged
        target.execute(
            sql.SQL(
                "drop table if exists {staging};"
                "create temporary table {staging} as select {columns}, null::text as {version} from {target}"
                " with no data"
            ).format(
                staging=STAGING,
                columns=sql.SQL(", ").join(column.identifier for column in table.columns),
                version=sql.Identifier(VERSION_COLUMN),
                target=table.target_table.name.identifier,
            )
        )

    def digest(self, choice: Choice) -> Digest:
        """Return the digest of some rows."""
        self._stage(choice)
        row = self._target.fetch_one(self._staged.digest_sql(KeyRange()))
        assert row is not None
        return Digest(*row)

    def buckets(self, mask: int) -> dict[int, Digest]:
        """Return the digest of each bucket."""
        self._stage(KeyRange())
        return {row[0]: Digest(*row[1:]) for row in self._target.fetch_all(self._staged.buckets_sql(mask))}

    def look(self, choice: Choice) -> Looked:
        """Return what there is of each key."""
        # Whose key has a type of the target's own is in a bucket there only.
        self._stage(KeyRange() if isinstance(choice, Buckets) else choice)
        chosen = choice if isinstance(choice, Buckets) else KeyRange()
        return _looked(self._target.fetch_all(self._staged.look_sql(chosen)))

    def _stage(self, choice: Choice) -> None:
        table = self._table
        self._target.execute(sql.SQL("truncate {}").format(STAGING))
        query = self.rows.chosen_sql([*table.values, self.rows.version], choice)
        names = [*(column.name for column in table.columns), VERSION_COLUMN]
        copy_rows_within(self.session, self._target, query=query, into=STAGING, columns=names)


def _looked(rows: list[tuple[Any, ...]]) -> Looked:
    return {tuple(row[:-4]): Seen(Digest(*row[-4:-1]), row[-1]) for row in rows}


class Sides:
    """Both sides of one table."""

    def __init__(self, table: ComparedTable, *, source: Session, target: Session) -> None:
        self.table = table
        is_staged = table.staged is not None
        self.source = StagedSide(source, target, table) if is_staged else Side(source, table.source)
        self.target = Side(target, table.target)

    def digests(self, choice: Choice) -> tuple[Digest | None, Digest]:
        """Return both digests; None where the source has a row of which it cannot compute a value."""
        return self._both(lambda side: _digest_or_none(side, choice), lambda side: side.digest(choice))

    def buckets(self, mask: int) -> tuple[dict[int, Digest], dict[int, Digest]]:
        """Return the digests of all buckets of both sides."""
        return self._both(lambda side: side.buckets(mask), lambda side: side.buckets(mask))

    def looks(self, choice: Choice) -> tuple[Looked, Looked]:
        """Return what both sides have of each key."""
        return self._both(lambda side: side.look(choice), lambda side: side.look(choice))

    def _both(
        self, of_source: Callable[[Side], Answer], of_target: Callable[[Side], Any]
    ) -> tuple[Answer, Any]:
        """Ask both servers at the same time, unless one of them does the work of both."""
        if isinstance(self.source, StagedSide):
            return of_source(self.source), of_target(self.target)
        with ThreadPoolExecutor(max_workers=1) as other_side:
            answer = other_side.submit(of_target, self.target)
            return of_source(self.source), answer.result()


def _digest_or_none(side: Side, choice: Choice) -> Digest | None:
    try:
        return side.digest(choice)
    except (SourceStatementError, TargetStatementError) as error:
        if not is_failing_row(error):
            raise
        return None

"""Copy a part of which a row fails: the row is found, recorded and left out; all others are copied.

A row fails when its values do not fit the target, or when an expression over them has no result.
PostgreSQL does not say which row of a COPY it was; so a range of places that fails is halved, again and
again, until it is one row.
All of the part is written in one transaction, like any other; ranges stand under savepoints.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

from psycopg2 import sql

from trempy_provider.apply_modes.error_limit import raise_at_error_limit
from trempy_provider.apply_modes.row_errors import is_row_error
from trempy_provider.errors import TrempyError
from trempy_provider.jobs.loading.context import LoadContext
from trempy_provider.jobs.loading.failed_rows import FailedRows, RowError
from trempy_provider.postgres.copy import CopyCounts, copy_out_sql
from trempy_provider.postgres.expression_sql import bare_column, expression_sql
from trempy_provider.postgres.load_design import LoadDesign
from trempy_provider.postgres.load_plan import Part, Place, place_bounds_sql, rows_sql
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.table_states import TableState
from trempy_provider.postgres.translation import SourceStatementError, TargetStatementError
from trempy_provider.replication.lsn import Lsn

_SOURCE_ROW_ERRORS = ("21", "22", "54")  # cardinality, data exception, program limit exceeded
_PAGES_AT_ONCE = 64
_PLACES_PER_PAGE = 2048  # more line pointers than the largest page has room for
_SPOOLED_BYTES = 1 << 24
_HOPELESS = 1000  # rows that failed while none was copied: something else is wrong than rows


def is_failing_row(error: TrempyError) -> bool:
    """Tell whether an error of a COPY belongs to one of its rows."""
    if isinstance(error, TargetStatementError):
        return is_row_error(error)
    return isinstance(error, SourceStatementError) and error.sqlstate.startswith(_SOURCE_ROW_ERRORS)


def can_be_guarded(part: Part) -> bool:
    """Tell whether a part's rows have places by which they can be told apart."""
    return part.leaf.is_heap and not part.leaf.is_foreign


class GuardedCopy:
    """The copying of one part, through one session of each side; the source's transaction is open."""

    def __init__(
        self,
        context: LoadContext,
        state: TableState,
        design: LoadDesign,
        *,
        snapshot_lsn: Lsn,
        source: Session,
        target: Session,
    ) -> None:
        self._context = context
        self._design = design
        self._source = source
        self._target = target
        self._failed = FailedRows(context.task, state, snapshot_lsn=snapshot_lsn, target=target)
        self._rows = self._bytes = 0

    def copy(self, part: Part) -> CopyCounts:
        """Copy a part without the rows that fail, and return what was copied.

        Raise ErrorLimitError when too many rows of the task have failed.
        """
        with self._target.transaction():
            for first, end in self._ranges(part):
                self._copy(part, first, end)
            self._failed.settle()
        if self._failed.count:
            raise_at_error_limit(self._target, self._context.task)
        return CopyCounts(self._rows, self._bytes, failed_rows=self._failed.count)

    def _ranges(self, part: Part) -> Iterator[tuple[Place, Place]]:
        """Yield the part's places in pieces; no row that the snapshot sees is behind the last page."""
        end_page = part.end_page
        if end_page is None:
            end_page = self._source.fetch_value(static_sql("relation_pages"), {"oid": part.leaf.oid})
        for page in range(part.first_page or 0, end_page, _PAGES_AT_ONCE):
            yield (page, 0), (min(page + _PAGES_AT_ONCE, end_page), 0)

    def _copy(self, part: Part, first: Place, end: Place) -> None:
        self._context.stop.raise_if_set()
        try:
            self._copy_at_once(part, first, end)
        except (SourceStatementError, TargetStatementError) as error:
            if not is_failing_row(error):
                raise
            middle = _middle(first, end)
            if middle is None:
                self._record(part, first, error)
                return
            self._copy(part, first, middle)
            self._copy(part, middle, end)

    def _copy_at_once(self, part: Part, first: Place, end: Place) -> None:
        out_query = copy_out_sql(
            rows_sql(part.leaf, self._design.plan, place_bounds_sql(first, end)), binary=self._design.binary
        )
        with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES) as spool:
            with self._source.savepoint("trempy_range"):
                self._source.copy_to(out_query, spool)
            size = spool.tell()
            self._rows += self._write(spool)
            self._bytes += size

    def _write(self, spool: IO[bytes]) -> int:
        spool.seek(0)
        with self._target.savepoint("trempy_range"):
            return self._target.copy_from(self._design.copy_in_sql(), spool)

    def _record(self, part: Part, place: Place, error: RowError) -> None:
        self._failed.record(error, key=self._key(part, place))
        if self._failed.count >= _HOPELESS and not self._rows:
            raise error

    def _key(self, part: Part, place: Place) -> dict[str, str] | None:
        """Return the row's key as it is on the target, None when there is none or it is what fails."""
        plan = self._design.plan
        key = [column for column in plan.columns if column.name in plan.identity]
        if not key:
            return None
        query = sql.SQL("select {key} from only {relation} where {bounds}").format(
            key=sql.SQL(", ").join(
                sql.SQL("format('%s', {})").format(expression_sql(column.value, bare_column))
                for column in key
            ),
            relation=part.leaf.name.identifier,
            bounds=sql.SQL(" and ").join(place_bounds_sql(place, (place[0], place[1] + 1))),
        )
        try:
            with self._source.savepoint("trempy_key"):
                row = self._source.fetch_one(query)
        except SourceStatementError:
            return None
        return None if row is None else {c.name: text for c, text in zip(key, row, strict=True)}


def _middle(first: Place, end: Place) -> Place | None:
    """Return the place in the middle of a range, None when it holds one place."""
    if end[0] - first[0] > 1:
        return (first[0] + end[0]) // 2, 0
    last = _PLACES_PER_PAGE if end[0] > first[0] else end[1]
    return (first[0], (first[1] + last) // 2) if last - first[1] > 1 else None

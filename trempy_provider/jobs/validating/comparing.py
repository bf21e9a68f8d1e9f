"""Find the rows of a table that look different, and have them settled.

Where both sides can find a range of keys by an index, the table is compared range by range, in the order of
keys; a range that differs is halved until it is small enough to look at its rows.
Each range's digests are statements of their own: no snapshot is kept, and the next process goes on behind the
last range settled.

Where keys have no order that both sides share (texts, keys made by a transformation) or the table has none,
rows are divided into buckets by a hash of their key: one pass over each side for all digests, and one for
each group of buckets that differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from trempy_provider.jobs.validating.context import ValidationContext
from trempy_provider.jobs.validating.settling import Difference, Settled, Settler
from trempy_provider.jobs.validating.sides import EMPTY, Looked, Seen, Sides
from trempy_provider.postgres.comparison import Buckets, KeyRange, RowKey
from trempy_provider.postgres.digests import Digest
from trempy_provider.postgres.validations import DifferenceKind, TableValidation

_RANGE_ROWS = 20_000
_LOOK_ROWS = 500  # of a range that is not halved any more
_BUCKET_ROWS = 200
_FEWEST_BUCKETS, _MOST_BUCKETS = 16, 1 << 18
_LOOK_BUCKETS_ROWS = 50_000  # at one pass
_SETTLE_ROWS = 2000
_SETTLE_SECONDS = 10.0

Record = Callable[[RowKey, Difference, str | None], None]


class Comparing:
    """Compare one table; `on_progress` is called when everything up to `found.position` is settled."""

    def __init__(
        self,
        context: ValidationContext,
        sides: Sides,
        settler: Settler,
        found: TableValidation,
        *,
        record: Record,
        is_tolerated: Callable[[DifferenceKind], bool],
        on_progress: Callable[[], None],
    ) -> None:
        self._context = context
        self._sides = sides
        self._settler = settler
        self._found = found
        self._record = record
        self._is_tolerated = is_tolerated
        self._on_progress = on_progress
        self._suspects: list[RowKey] = []
        self._suspected_at = 0.0

    def run(self) -> None:
        """Compare what is left of the table."""
        if self._sides.table.is_ordered:
            self._compare_ranges()
        else:
            self._compare_buckets()
        self._settle()

    def _compare_ranges(self) -> None:
        after = self._found.position
        while True:
            until = self._sides.source.bound(KeyRange(after), _RANGE_ROWS - 1)
            row_count = self._compare_range(KeyRange(after, until))
            self._found.row_count += row_count
            self._found.range_count += 1
            after = until
            self._settle_if_due(after)
            if until is None:
                return
            self._context.throttle.spend(row_count)

    def _compare_range(self, whole: KeyRange) -> int:
        """Suspect the rows of a range that look different; return how many the source has."""
        row_count, waiting = None, [whole]
        while waiting:
            part = waiting.pop()
            self._context.stop.raise_if_set()
            on_source, on_target = self._sides.digests(part)
            source_count = self._sides.source.count(part) if on_source is None else on_source.row_count
            row_count = source_count if row_count is None else row_count
            if on_source == on_target:
                continue
            if on_source is None and source_count <= 1:
                self._note_failing(on_target)
                continue
            larger_count = max(source_count, on_target.row_count)
            is_small = larger_count <= _LOOK_ROWS and on_source is not None
            halves = None if is_small else self._halves(part, source_count, on_target.row_count)
            if halves is None:
                self._suspect(*self._sides.looks(part))
            else:
                waiting += halves
        return row_count or 0

    def _halves(self, part: KeyRange, source_count: int, target_count: int) -> list[KeyRange] | None:
        """Divide a range where the side with more rows has its middle; None where that does not divide it."""
        larger = self._sides.source if source_count >= target_count else self._sides.target
        place = max(source_count, target_count) // 2 - 1
        middle = None if place < 0 else larger.bound(part, place)
        if middle is None or middle == part.until:
            return None
        return [KeyRange(middle, part.until), KeyRange(part.after, middle)]

    def _note_failing(self, on_target: Digest) -> None:
        """Count a row of which the source cannot compute a value; the target should not have it."""
        self._found.failing_count += 1
        self._found.note("of some rows the settings' expressions have no result on the source")
        if on_target != EMPTY:
            self._found.count(DifferenceKind.DIFFERENT, on_target.row_count)
            self._found.failed_count += on_target.row_count

    def _compare_buckets(self) -> None:
        rows = sum(leaf.estimated_rows or leaf.size_bytes // 100 for leaf in self._sides.table.leaves)
        mask = min(max(_FEWEST_BUCKETS, 1 << (rows // _BUCKET_ROWS).bit_length()), _MOST_BUCKETS) - 1
        on_source, on_target = self._sides.buckets(mask)
        self._found.row_count = sum(digest.row_count for digest in on_source.values())
        self._found.range_count = len(on_source.keys() | on_target.keys())
        differing = {
            number: max(on_source.get(number, EMPTY).row_count, on_target.get(number, EMPTY).row_count)
            for number in on_source.keys() | on_target.keys()
            if on_source.get(number) != on_target.get(number)
        }
        for numbers in _grouped(differing):
            self._context.throttle.spend(self._found.row_count)
            self._suspect(*self._sides.looks(Buckets(mask, numbers)))
            self._settle_if_due(None)

    def _suspect(self, on_source: Looked, on_target: Looked) -> None:
        if not self._suspects:
            self._suspected_at = time.monotonic()
        keys = [
            key
            for key in on_source.keys() | on_target.keys()
            if _digest(on_source.get(key)) != _digest(on_target.get(key))
        ]
        for start in range(0, len(keys), _SETTLE_ROWS):
            self._suspects += keys[start : start + _SETTLE_ROWS]
            if len(self._suspects) >= _SETTLE_ROWS:
                self._settle()

    def _settle_if_due(self, position: RowKey | None) -> None:
        is_old = time.monotonic() - self._suspected_at > _SETTLE_SECONDS
        if self._suspects and is_old:
            self._settle()
        if not self._suspects:
            self._found.position = position
            self._on_progress()

    def _settle(self) -> None:
        keys, self._suspects = self._suspects, []
        if keys:
            self._take(self._settler.settle(keys))

    def _take(self, settled: Settled) -> None:
        self._found.unsettled_count += len(settled.unsettled)
        if settled.note is not None:
            self._found.note(settled.note)
        for key, difference in settled.real.items():
            if self._is_tolerated(difference.kind):
                self._found.tolerated_count += difference.row_count
                continue
            self._found.count(difference.kind, difference.row_count)
            outcome = settled.outcomes.get(key)
            self._found.repaired_count += difference.row_count if outcome == "repaired" else 0
            self._found.failed_count += difference.row_count if outcome not in (None, "repaired") else 0
            self._record(key, difference, outcome)


def _digest(seen: Seen | None) -> Digest:
    return EMPTY if seen is None else seen.digest


def _grouped(sizes: dict[int, int]) -> Iterator[list[int]]:
    """Yield buckets of which the rows are few enough to be looked at together."""
    group: list[int] = []
    row_count = 0
    for number, size in sizes.items():
        if group and row_count + size > _LOOK_BUCKETS_ROWS:
            yield group
            group, row_count = [], 0
        group.append(number)
        row_count += size
    if group:
        yield group

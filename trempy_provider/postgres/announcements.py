"""What is new in a task's tables since it was last announced to those who wait for fresh data.

The news are the difference between the counts of `table_states` now and at the last announcement.
Reading them and noting them as announced is one transaction; an announcer that has died before anybody heard
it asks again under the same name and is told the same news and what has come since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trempy_provider.postgres.metadata import schema_required
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import QualifiedName
from trempy_provider.replication.lsn import Lsn


@dataclass(frozen=True, slots=True)
class TableNews:
    """What has happened to a table: changes applied, and a load if there was one."""

    source_oid: int
    source: QualifiedName
    target: QualifiedName
    counts_before: tuple[int, ...]
    counts_after: tuple[int, ...]
    loaded_before: datetime | None
    loaded_at: datetime | None
    loaded_rows: int
    snapshot_lsn: Lsn | None
    applied_lsn: Lsn
    committed_at: datetime | None

    @property
    def is_ahead(self) -> bool:
        """Tell whether its rows are of a snapshot that the task's other tables have not reached yet."""
        return self.snapshot_lsn is not None and self.snapshot_lsn > self.applied_lsn

    @property
    def is_loaded(self) -> bool:
        """Tell whether a load has ended that was not announced before."""
        return self.loaded_at is not None and self.loaded_at != self.loaded_before

    @property
    def end_lsn(self) -> Lsn:
        """Return the LSN before which everything committed on the source is in the table."""
        return max(self.applied_lsn, self.snapshot_lsn) if self.snapshot_lsn else self.applied_lsn

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values; `loaded_row_count` is None where no load has ended."""
        pairs = zip(self.counts_before, self.counts_after, strict=True)
        counts = [max(after - before, 0) for before, after in pairs]
        return {
            "source_table": str(self.source),
            "target_table": str(self.target),
            "insert_count": counts[0],
            "update_count": counts[1],
            "delete_count": counts[2],
            "truncate_count": counts[3],
            "loaded_row_count": self.loaded_rows if self.is_loaded else None,
            "end_lsn": str(self.end_lsn),
            "committed_at": None if self.committed_at is None else self.committed_at.isoformat(),
        }


def announce_news(
    session: Session, task_name: str, *, announcer: str, is_wanted: Callable[[TableNews], bool]
) -> list[TableNews]:
    """Return the news that are wanted, and note them as announced; the others stay news.

    All of them are as of one moment between two transactions of apply.
    """
    parameters = {"task_name": task_name, "announcer": announcer}
    with schema_required(), session.transaction():
        session.execute(static_sql("lock_announcements"))
        found = map(_news, session.fetch_all(static_sql("read_news"), parameters))
        wanted = [news for news in found if is_wanted(news)]
        for news in wanted:
            session.execute(
                static_sql("write_announcement"),
                {
                    **parameters,
                    "source_oid": news.source_oid,
                    "counts_before": list(news.counts_before),
                    "counts_after": list(news.counts_after),
                    "loaded_before": news.loaded_before,
                    "loaded_after": news.loaded_at,
                },
            )
    return wanted


def _news(row: tuple[Any, ...]) -> TableNews:
    oid, source_schema, source_table, target_schema, target_table, before, after, *rest = row
    loaded_before, loaded_at, loaded_rows, snapshot_lsn, applied_lsn, committed_at = rest
    return TableNews(
        oid,
        QualifiedName(source_schema, source_table),
        QualifiedName(target_schema, target_table),
        tuple(before),
        tuple(after),
        loaded_before,
        loaded_at,
        loaded_rows,
        None if snapshot_lsn is None else Lsn.parse(snapshot_lsn),
        Lsn.parse(applied_lsn),
        committed_at,
    )

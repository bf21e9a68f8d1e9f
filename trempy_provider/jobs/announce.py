"""Announce: tell once what has happened to a task's tables, with the LSN up to which they hold everything.

Tables announced together carry the same LSN: the target's checkpoint.
A table whose load has brought rows from beyond it is left out until apply has come there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from trempy_provider.config.task import ReplicationTask
from trempy_provider.postgres.announcements import TableNews, announce_news
from trempy_provider.postgres.session import Endpoint
from trempy_provider.postgres.tables import QualifiedName


def announce(
    task: ReplicationTask,
    *,
    target: Endpoint,
    announcer: str,
    loads_only: bool = False,
    tables: Collection[str] | None = None,
) -> dict[QualifiedName, dict[str, Any]]:
    """Return what is new, by source table: row counts, end LSN and commit time, never rows.

    With `loads_only`, which a load asks for that has just ended, only tables with a new load are told of,
    with the LSN of their snapshot where that is ahead of the checkpoint.
    `tables` names some source tables as `schema.table`; None means all.
    Asked again by the same `announcer`, this tells the same and what has come since.
    """
    names = None if tables is None else {QualifiedName.parse(name) for name in tables}

    def is_wanted(news: TableNews) -> bool:
        if names is not None and news.source not in names:
            return False
        return news.is_loaded if loads_only else not news.is_ahead

    with target.connect("announce") as session:
        found = announce_news(session, task.task_name, announcer=announcer, is_wanted=is_wanted)
    return {news.source: {"task_name": task.task_name, **news.as_dict()} for news in found}

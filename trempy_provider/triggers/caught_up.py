"""Wait until a task's target has caught up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from trempy_provider.errors import RetryPolicy, TrempyError
from trempy_provider.hooks.postgres import open_endpoint, open_target
from trempy_provider.jobs.caught_up import is_caught_up, is_lag_below
from trempy_provider.replication.lsn import Lsn


class CaughtUpTrigger(BaseTrigger):
    """Ask the task's metadata every few seconds.

    :param task_name: the replication task
    :param target_conn_id: the target's connection
    :param metadata_conn_id: the connection of the metadata; the target's unless it is given
    :param lsn: everything committed on the source before it has to be applied
    :param committed_at: the same for a commit time, in ISO format with a time zone
    :param max_lag_seconds: instead of both, the lag has to be below this; `source_conn_id` is needed then
    :param source_conn_id: the source's connection
    :param poll_interval_seconds: how often to ask
    """

    def __init__(
        self,
        *,
        task_name: str,
        target_conn_id: str,
        metadata_conn_id: str | None = None,
        lsn: str | None = None,
        committed_at: str | None = None,
        max_lag_seconds: float | None = None,
        source_conn_id: str | None = None,
        poll_interval_seconds: float = 5.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.task_name = task_name
        self.target_conn_id = target_conn_id
        self.metadata_conn_id = metadata_conn_id or target_conn_id
        self.lsn = lsn
        self.committed_at = committed_at
        self.max_lag_seconds = max_lag_seconds
        self.source_conn_id = source_conn_id
        self.poll_interval_seconds = poll_interval_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments: names and positions, never a secret."""
        names = (
            "task_name", "target_conn_id", "metadata_conn_id", "lsn", "committed_at", "max_lag_seconds",
            "source_conn_id", "poll_interval_seconds",
        )  # fmt: skip
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when the target has caught up or an error needs a person."""
        while not await asyncio.to_thread(self._is_over):  # noqa: ASYNC110  # nothing else tells
            await asyncio.sleep(self.poll_interval_seconds)
        goal = {"lsn": self.lsn, "committed_at": self.committed_at, "max_lag_seconds": self.max_lag_seconds}
        yield TriggerEvent(goal)

    def _is_over(self) -> bool:
        target = open_target(
            self.target_conn_id, metadata_conn_id=self.metadata_conn_id, task_name=self.task_name
        )
        try:
            if self.max_lag_seconds is not None and self.source_conn_id is not None:
                source = open_endpoint(self.source_conn_id, task_name=self.task_name, role="source")
                return is_lag_below(source, target, self.task_name, seconds=self.max_lag_seconds)
            return is_caught_up(target, self.task_name, lsn=self._lsn(), committed_at=self._committed_at())
        except TrempyError as error:
            self.log.warning("%s", error.explanation)
            return error.policy is RetryPolicy.AFTER_FIX

    def _lsn(self) -> Lsn | None:
        return None if self.lsn is None else Lsn.parse(self.lsn)

    def _committed_at(self) -> datetime | None:
        return None if self.committed_at is None else datetime.fromisoformat(self.committed_at)
